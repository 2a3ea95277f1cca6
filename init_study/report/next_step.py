"""What to type next, after the page of a plain run."""

import shlex
from collections.abc import Sequence
from itertools import pairwise, takewhile

from init_study.answers import Comparison

# Flags of a plain run that a race does not take, or that name the plain run's folder.
_LEFT_OUT = (
    "--workdir",
    "--tensorboard",
    "--notensorboard",
    "--spectra",
    "--json",
    "--study.seeds",
    "--study.fresh_seeds",
    "--part",
)
# Words whose studies are theirs: no run of a study of that name goes on with them.
_OWN_STUDIES = {"claims", "published", "advise"}


def next_command(command: str, comparisons: Sequence[Comparison]) -> str:
    """Give the command that decides what this run left open; empty if nothing is.

    Args:
        command: that made the run; none is given for one that was made in Python.
        comparisons: of all its programs.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> next_command("python launch.py --study=a.py", compare_runs(*made_up_run()))
        ''
    """
    is_open = any(
        c.best is None and sum(not row.standing.never for row in c.rows) > 1
        for c in comparisons
    )
    try:
        words = shlex.split(command)
    except ValueError:
        # Quotes that do not close: it is shown, as it was written down.
        words = command.split()
    own = _OWN_STUDIES & set(words)
    if not is_open or not words or own or "compare(" in command:
        return ""
    start = [w for w in takewhile(lambda word: word[:1] != "-", words) if w != "run"]
    kept, leaves_value = [], False
    for before, word in pairwise(["", *words]):
        is_flag = word.startswith("-")
        if is_flag:
            name = "--" + word.lstrip("-").partition("=")[0]
            leaves_value = name in _LEFT_OUT
        # A value may stand behind its flag as a word of its own.
        belongs = before.startswith("-") and "=" not in before
        if (is_flag or belongs) and not leaves_value:
            kept.append(word)
    return shlex.join([*start, "run", "--until=decided", *kept])
