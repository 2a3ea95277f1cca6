"""How a run is watched and stopped, and what it says when it returns."""

from collections.abc import Callable
from typing import NamedTuple

from init_study.engine.progress import Progress


class Outcome(NamedTuple):
    """What one call of `run` did.

    Attributes:
        finished: whether every program is done.
        member_steps: taken in this call.
        seconds: of training, evaluation and compilation in this call.
    """

    finished: bool
    member_steps: int
    seconds: float


class Control(NamedTuple):
    """How a run is watched and stopped.

    Changes no result; but a given execution may not be the one that would have been
    taken, and two executions differ in the last bits.

    Attributes:
        watch: told how far the run is: before a program is timed or compiled, and
            after every call to the devices.
        checkpoint_every: seconds between two checkpoints, at least: what a `kill -9`
            can lose. By default as of `checkpoint_interval`.
        stop_requested: asked after every call to the devices, about once a second;
            if true, a checkpoint is written and the run returns unfinished. Also within
            an evaluation, which is begun anew by whoever goes on.
        given_execution: refuse an execution that does not fit, and try no other.
        recorded: called whenever records have come.
        spectra: measure spectra and predict signals before the first step, too.
        accept_drift: go on with a run that was begun under other versions of JAX and
            its like, or other settings of it, which may give other bits.
    """

    watch: Callable[[Progress], None] = lambda progress: None
    checkpoint_every: float | None = None
    stop_requested: Callable[[], bool] = lambda: False
    given_execution: bool = False
    recorded: Callable[[], None] = lambda: None
    spectra: bool = False
    accept_drift: bool = False
