"""Trains populations of CNNs that differ in how they start, and compares them.

python launch.py            run the default study and write its report
python launch.py --help     what else there is
"""

from init_study.__main__ import start

if __name__ == "__main__":
    start()
