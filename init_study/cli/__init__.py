"""The launcher: flags to a study, a study to an answer.

`launch.py`, `python -m init_study` and the script `init-study` all call `main`. Only
this package reads flags: `options` is the one table of them, `words` has a file for
each word, `launcher` prints what a word answers.
"""

from init_study.cli.launcher import main

__all__ = ["main"]
