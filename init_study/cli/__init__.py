"""What the launcher says: tables, catalogues and overviews for the terminal."""
