"""What a notebook calls: the launcher's words as functions, without flags.

Its names are those of `init_study` itself. Nothing is imported here: `initialize` needs
none of the libraries with which `compare` reads tables.
"""
