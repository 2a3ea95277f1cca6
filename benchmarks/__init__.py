"""Side-by-side speed of this engine and of what one would use instead."""
