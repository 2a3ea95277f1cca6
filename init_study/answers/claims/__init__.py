"""Claims about initialization, and how records of studies judge them."""
