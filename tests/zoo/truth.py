"""What one writes down by hand of a net, and the sum that ends each of its branches.

Fans are averages over places, the border aside: forward, the numbers of the input that
feed one output; backward, the outputs that one number of the input feeds.
"""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple


class Layer(NamedTuple):
    """One kernel as the operation uses it.

    Attributes:
        name: of its module, or of the kernel itself if that is no `kernel`; slices of a
            stack have one name.
        fans: forward and backward; with several parts, the latter of all of them.
        then: what follows: `norm` or not, then one function: `linear` if nothing is
            said, `scaled` for a multiple of it, `?` for no function of one number.
            Where more than one answer is right they are parted by `|`; where parts
            differ, by `;`.
        parts: outputs of each kernel that is in it, as `8+4+4`, or how many equal ones;
            `1|2` where either can be said.
        apart: whether each part reads an input of its own.
        scale: path of what multiplies it behind, or None for nothing; `*` for any.
        free: whether it is normalized on its way, so that its scale has no effect.
        times: what it is multiplied by on its way.
        uses: how often the call reads it.
    """

    name: str
    fans: tuple[float, float]
    then: str = "linear"
    parts: str = "1"
    scale: str | None = None
    free: bool = False
    times: float = 1.0
    uses: int = 1
    apart: bool = False


class Branch(NamedTuple):
    """One residual branch; names are parted by blanks, other answers by `|`.

    Attributes:
        layers: those on it.
        ends: without which it is zero.
        shortcut: layers on the way around.
        scales: the last parameters that multiply each of its ends.
    """

    layers: str
    ends: str
    shortcut: str = ""
    scales: str = ""


class Net(NamedTuple):
    """A net with what is true of it.

    Attributes:
        make: gives the module.
        layers: in the order of execution.
        branches: in the order of their sums.
        shape: of the images.
        refuses: schemes that may refuse it although its layers and branches alone do
            not say so, with the reason.
    """

    make: Callable[[], Any]
    layers: tuple[Layer, ...]
    branches: tuple[Branch, ...] = ()
    shape: tuple[int, ...] = (8, 8, 3)
    refuses: dict[str, str] = {}  # noqa: RUF012  A constant of the class's kind.

    def renamed(self, make: Callable[[], Any], name: Callable[[str], str]) -> "Net":
        """The same net written otherwise, with other names for its modules."""

        def new(text: str) -> str:
            ways = [[name(word) for word in way.split()] for way in text.split("|")]
            return "|".join(" ".join(way) for way in ways)

        return self._replace(
            make=make,
            layers=tuple(
                one._replace(name=new(one.name), scale=one.scale and new(one.scale))
                for one in self.layers
            ),
            branches=tuple(Branch(*map(new, branch)) for branch in self.branches),
        )


_FACTOR = [1.0]


def residual(shortcut: Any, branch: Any) -> Any:
    """The sum at the end of every branch of the zoo."""
    if _FACTOR[-1] == 1:
        return shortcut + branch
    return shortcut + _FACTOR[-1] * branch if _FACTOR[-1] else shortcut


@contextmanager
def branches_times(factor: float):
    """Within this, branches that are traced are multiplied by a number, or cut at 0."""
    _FACTOR.append(factor)
    try:
        yield
    finally:
        _FACTOR.pop()
