"""What is measured on an accelerator, and in which order. Pure.

The most useful comes first, so that a short time is spent well: the executions that
are known to be fast, the peers, a study run twice, precision; then all the rest.
"""

from collections.abc import Sequence
from typing import NamedTuple

PARTS = ("ours", "peers", "study", "precision")
FORMS = ("patches", "xla", "canonical", "winograd")
WIDTHS = (16, 64, 4, 1)
# The fastest on one GPU (docs/why/execution.md), the fastest first.
KNOWN_BEST = ("patches/16", "patches/64", "patches/4", "xla/64", "canonical/64")
PEERS = ("flax_vmap", "flax_vmap_own", "flax_loop", "torch_graphs/8")
LATER_PEERS = ("torch_graphs/1", "torch_loop/channels_last")
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
# Of a study or of one execution, by name: what is set in the environment.
VARIABLES = {
    "plain": {},
    "deterministic": {"XLA_FLAGS": DETERMINISTIC},
}
# As `study.PRECISIONS`, which a peer's process does not import.
PRECISIONS = ("float32", "tf32", "bfloat16")
# Executions that are timed before any peer is.
_FIRST = 2


class Item(NamedTuple):
    """One thing to measure.

    Attributes:
        part: in `PARTS`.
        case: in `cases.CASES`; of a study its data set.
        name: FORM/WIDTH, a way, one of `PRECISIONS` or `VARIABLES`, or `VARIABLES`/RUN
            of a study.
        alone: nothing else runs beside it, as it is timed as a whole.
    """

    part: str
    case: str
    name: str
    alone: bool = False

    def __str__(self) -> str:
        return f"{self.part} {self.case} {self.name}"


def grid(members: int) -> tuple[str, ...]:
    """List all executions of so many members, the ones known to be fast first."""
    fitting = [width for width in WIDTHS if width <= members]
    widths = dict.fromkeys([min(16, members), *fitting, members])
    every = [f"{form}/{width}" for width in widths for form in FORMS]
    known = [one for one in KNOWN_BEST if one in every]
    return (*known, *(one for one in every if one not in known))


def list_items(
    cases: Sequence[str], executions: Sequence[str], parts: Sequence[str]
) -> list[Item]:
    """List what is measured, in order."""
    of_precision = "small" if "small" in cases else cases[0]
    ours = [Item("ours", case, one) for one in executions for case in cases]
    peers = [Item("peers", case, one) for one in PEERS for case in cases]
    later = [Item("peers", case, one) for one in LATER_PEERS for case in cases]
    study = [
        Item("study", "digits", "plain/1", alone=True),
        Item("study", "digits", "plain/2"),
        Item("study", "digits", "deterministic/1", alone=True),
        Item("study", "digits", "deterministic/2"),
    ]
    precision = [
        Item("precision", of_precision, name) for name in (*PRECISIONS, "deterministic")
    ]
    first = _FIRST * len(cases)
    order = (*ours[:first], *peers, *study, *precision, *ours[first:], *later)
    return [item for item in order if item.part in parts]
