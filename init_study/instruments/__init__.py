"""What is measured of a network at its start and along the way, as pure functions."""
