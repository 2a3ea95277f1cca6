"""How often instruments are read while members train, and what that costs."""

from collections.abc import Mapping
from typing import NamedTuple

from init_study.errors import UserError
from init_study.instruments.instrument import Instrument
from init_study.network import Network
from init_study.study import Program

# Some instruments cost the square of it.
READ_IMAGES = 16
# Of the passes of training, at most, unless the study says how often.
_SHARE = 0.1
# Of a step, in forward passes: a backward pass is two.
_PASSES_OF_STEP = 3


class Cadence(NamedTuple):
    """When the members of a program are read.

    Attributes:
        steps: after which they are, 0 for the untrained.
        images: that they are read on.
        share: passes of all readings beside those of training.
        seed: in whose order these images are the first, for the members of all seeds.
    """

    steps: tuple[int, ...] = ()
    images: int = 0
    share: float = 0.0
    seed: int = 0


def plan_readings(
    instruments: Mapping[str, Instrument],
    network: Network,
    program: Program,
    classes: int,
    count: int | None = None,
) -> Cadence:
    """Choose the evaluations at which instruments are read, evenly spread.

    Passes of one image through the network are counted, a pass back as two: no time is
    taken, so that a study has the same readings wherever it runs.

    Args:
        instruments: by name; of none there is no reading.
        network: of the members.
        program: that they train in.
        classes: how many logits there are.
        count: of readings; by default as many as a tenth of the training pays for.

    Raises: UserError if that pays for none, naming what one costs.

    Example:
        >>> from init_study.instruments.table import find_instruments
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> chosen, program = find_instruments(["layers"]), Program(steps=100)
        >>> plan_readings(chosen, trace(Linear(2), (2, 2, 1)), program, 2, 3).steps
        (0, 50, 100)
    """
    if not instruments:
        return Cadence()
    images = min(READ_IMAGES, program.batch_size)
    passes = sum(one.passes(network, images, classes) for one in instruments.values())
    training = program.steps * program.batch_size * _PASSES_OF_STEP
    share = passes / training
    stops = (0, *program.evaluation_steps())
    if count is None:
        count = len(stops) if share == 0 else min(len(stops), int(_SHARE / share))
    if count == 0:
        raise UserError(
            f"to read {', '.join(instruments)} once is {share:.0%} of the training of "
            f"{program.steps} steps, more than the {_SHARE:.0%} that readings may take "
            "by default; say how often they are read: readings=2"
        )
    places = [round(i * (len(stops) - 1) / max(1, count - 1)) for i in range(count)]
    return Cadence(tuple(stops[i] for i in places), images, count * share)
