"""What keeps processes from going on together, read from the table that they share."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from init_study.cluster.place import Place
from init_study.errors import ExitCode, UserError

GO_ON = (
    "what was saved is kept, and the same command goes on, with as many processes as "
    "there are then"
)


class Problem(NamedTuple):
    """What a process ends with because of another.

    Attributes:
        text: a line that names the other one.
        exit_code: of the process.
    """

    text: str
    exit_code: ExitCode = ExitCode.TRY_AGAIN


def marked(table: Mapping[str, str], mark: str, processes: int) -> list[int]:
    """List the processes of which the table says `here`, `left`, `lost` or `failed`.

    Example:
        >>> marked({"left/2": "", "lost/0": ""}, "left", 3)
        [2]
    """
    return [one for one in range(processes) if f"{mark}/{one}" in table]


def as_numbers(processes: Sequence[int]) -> str:
    """Write the numbers of processes, as `1, 3`."""
    return ", ".join(map(str, processes))


def failure_text(error: BaseException) -> str:
    """Write down for the others what ends a process, as `problem_in` reads it."""
    if isinstance(error, UserError):
        line = (str(error).splitlines() or [""])[0]
        return json.dumps([int(error.exit_code), line])
    return json.dumps([int(ExitCode.TRY_AGAIN), f"{type(error).__name__}; {GO_ON}"])


def problem_in(
    table: Mapping[str, str], place: Place, arriving: float
) -> Problem | None:
    """Find a process that has failed, never came, or is lost.

    Args:
        table: of `Board`.
        place: of this process.
        arriving: seconds that each had to come.

    Example:
        >>> table = {"here/0": "", "here/1": "", "lost/1": ""}
        >>> problem_in(table, Place(0, 2, "node0", 61000), 600).text
        'process 1 of 2 does not answer; what was saved is kept, and the same ...'
    """
    processes = place.processes
    if failed := marked(table, "failed", processes):
        code, text = json.loads(table[f"failed/{failed[0]}"])
        return Problem(f"process {failed[0]} ended: {text}", ExitCode(code))
    here, lost = (marked(table, mark, processes) for mark in ("here", "lost"))
    if absent := [one for one in lost if one not in here]:
        return Problem(
            f"process {as_numbers(absent)} of {processes} did not come within "
            f"{arriving:.0f} s; start all of them again"
        )
    if lost:
        them = f"process {as_numbers(lost)} of {processes}"
        return Problem(f"{them} does not answer; {GO_ON}")
    return None
