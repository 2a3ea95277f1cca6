"""Where images and labels come from, one module for each kind of source."""
