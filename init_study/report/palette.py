"""How schemes look in every figure, and what the figures' axes share."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from init_study.answers import Comparison
from init_study.answers.columns import shorten
from init_study.report.svg import MUTED, mark, spread

# The first eight after Okabe & Ito (2008), "Color universal design": told apart by the
# colour-blind; yellow and black replaced, orange and sky darkened, to show on white and
# on black. No palette of twelve is that safe: from the ninth on, lines are dashed.
_COLOURS = (
    "#0f7fc9",
    "#d98a00",
    "#0f9d77",
    "#d55e00",
    "#c06c9f",
    "#4aa5dc",
    "#8a7d12",
    "#8b8b8b",
    "#7d68d0",
    "#a5694f",
    "#5f9e3a",
    "#cf3f57",
)
# No triangle that points sideways: those say that something lies beyond the scale.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p", "d", "h")
_DASHES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))
_SCHEMES_PER_DASH = 8
LABEL_WIDTH = 22
INCHES_PER_LABEL = 0.165


class SchemeStyle(NamedTuple):
    """How one scheme is drawn in every figure; told apart without colour too.

    Attributes:
        place: of the scheme in the study.
    """

    colour: str
    marker: str
    dash: str | tuple[float, tuple[float, ...]]
    place: int


class End(NamedTuple):
    """The end of a scheme's line in a figure, where its name is put."""

    x: float
    y: float
    name: str
    style: SchemeStyle


def scheme_styles(schemes: Sequence[str]) -> dict[str, SchemeStyle]:
    """Choose styles by place in the study: a scheme looks the same in every figure."""
    return {
        scheme: SchemeStyle(
            _COLOURS[i % len(_COLOURS)],
            _MARKERS[i % len(_MARKERS)],
            _DASHES[i // _SCHEMES_PER_DASH % len(_DASHES)],
            i,
        )
        for i, scheme in enumerate(schemes)
    }


def names(styles: Mapping[str, SchemeStyle]) -> dict[str, str]:
    """Name the marked parts of a drawing, for those who point at them."""
    return {mark(style.place): scheme for scheme, style in styles.items()}


def curve_size(styles: Mapping[str, SchemeStyle]) -> tuple[float, float]:
    """Give the inches of a figure of half the page's width: all names fit beside it."""
    return 4.9, max(3.5, 0.75 + INCHES_PER_LABEL * len(styles))


def plain_ticks(axes: Axes, low: float, high: float) -> None:
    """Mark a logarithmic y axis with plain numbers.

    1, 2 and 5 of each decade are marked, or the decades alone where these are many.
    """
    ticks = [m * 10.0**e for e in range(-9, 10) for m in (1, 2, 5)]
    inside = [t for t in ticks if low <= t <= high]
    decades = [t for t in inside if f"{t:e}"[0] == "1"]
    axes.yaxis.set_major_locator(FixedLocator(inside if len(inside) < 9 else decades))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def accuracy_axis(axes: Axes, comparison: Comparison) -> None:
    """Let the y axis go from 0 to 100 %.

    How much a difference matters is seen only so.
    """
    chance = 100 * comparison.validation_chance
    axes.axhline(chance, color=MUTED, linewidth=0.9, dashes=(2, 2))
    axes.annotate(
        "chance",
        (0, chance),
        xycoords=("axes fraction", "data"),
        xytext=(3, -9),
        textcoords="offset points",
        color=MUTED,
        fontsize=9,
    )
    axes.set_ylim(0, 101)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel("validation accuracy (%)")


def inner_axes(
    figure: Figure, *, left: float, right: float, top: float, bottom: float
) -> Axes:
    """Add axes that leave this many inches at each side."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - bottom - top) / height,
        )
    )
    return axes


def label_inches(styles: Mapping[str, SchemeStyle]) -> float:
    """Give the inches that the longest name takes beside a drawing."""
    longest = max(min(len(scheme), LABEL_WIDTH) for scheme in styles)
    return 0.35 + 0.075 * longest


def label_ends(figure: Figure, axes: Axes, ends: Sequence[End]) -> None:
    """Write the name of each line beside its end, apart where names would overlap."""
    to_axes = axes.transData + axes.transAxes.inverted()
    height = axes.get_position().height * figure.get_figheight()
    xy = [to_axes.transform((end.x, end.y)) for end in ends]
    places = spread([y for _, y in xy], INCHES_PER_LABEL / height)
    for end, (x, y), place in zip(ends, xy, places, strict=True):
        axes.plot(
            [x, 1.015, 1.06, 1.085],
            [min(max(y, 0), 1), min(max(y, 0), 1), place, place],
            transform=axes.transAxes,
            color=end.style.colour,
            linestyle=end.style.dash,
            linewidth=1,
            clip_on=False,
            gid=mark(end.style.place),
        )
        axes.text(
            1.1,
            place,
            shorten(end.name, LABEL_WIDTH),
            transform=axes.transAxes,
            va="center_baseline",
            fontsize=9,
            gid=mark(end.style.place),
        )
