"""The launcher of an installed package: `python -m init_study`."""

import sys

from init_study.cli import main

if __name__ == "__main__":
    sys.exit(main())
