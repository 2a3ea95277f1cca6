"""What to type next, after the page of a plain run."""

import shlex
from collections.abc import Sequence

from init_study.answers import Comparison

# Flags of a plain run that a race does not take, or that name the plain run's folder.
_LEFT_OUT = (
    "--workdir",
    "--tensorboard",
    "--notensorboard",
    "--spectra",
    "--json",
    "--study.seeds",
)


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
    words = shlex.split(command)
    flags = [word for word in words if word.startswith("--")]
    if not is_open or not words or "compare(" in command:
        return ""
    start = words[: words.index(flags[0])] if flags else words
    start = [word for word in start if word != "run"]
    kept = [flag for flag in flags if flag.partition("=")[0] not in _LEFT_OUT]
    return shlex.join([*start, "run", "--until=decided", *kept])
