"""Trains populations of CNNs that differ in how they start, and compares them.

python launch.py            run the default study and write its report
python launch.py --help     what else there is
"""

import sys

from init_study.cli import main

if __name__ == "__main__":
    sys.exit(main())
