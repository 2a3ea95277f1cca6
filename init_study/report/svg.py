"""A Matplotlib figure as SVG that lives inside a page.

It is small, the same every time, and has the page's fonts and colours and no names that
clash.
"""

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib
from cycler import cycler
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Drawn in these, shown in the page's own: light and dark differ.
INK, MUTED, RULE = "#202124", "#5f6368", "#dcdee1"
_PAGE_COLOURS = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)"}
# Both are in 1/72 inch in Matplotlib; a page counts 96 pixels to the inch.
_PIXELS_PER_UNIT = 96 / 72

# Several artists may belong to one scheme: an id is one element's, a class is not.
_MARK = re.compile(r'<g id="(scheme-\d+)(-seeds)?">')

_STYLE: Any = {
    "svg.fonttype": "none",
    # A name is text, whatever signs it has.
    "text.parse_math": False,
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[INK]),
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
}


class Drawing(NamedTuple):
    """A figure that is not drawn yet.

    Attributes:
        size: inches.
        name: letters and digits, another one for each figure of a page.
        label: says what is shown to those who do not see it.
        plot: draws on `plot(figure, *arguments)`. What belongs to one scheme has a gid
            of `mark`.
        arguments: of it.
        names: by mark, what is said of a part when one points at it.
    """

    size: tuple[float, float]
    name: str
    label: str
    plot: Callable[..., None]
    arguments: tuple[Any, ...]
    names: Mapping[str, str] = MappingProxyType({})


def mark(place: int, *, seeds: bool = False) -> str:
    """Make the gid of what belongs to the scheme at this place of the study.

    In a page it is a class. `seeds`: for what is shown on demand.
    """
    return f"scheme-{place}{'-seeds' if seeds else ''}"


def to_markup(drawing: Drawing) -> Markup:
    """Draw an `<svg>` element for a page."""
    text = io.StringIO()
    with _settings(drawing):
        figure = _plotted(drawing)
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    # Matplotlib escapes the text that it draws; what is added here is escaped here.
    return Markup(_for_page(text.getvalue(), drawing))


def save(drawing: Drawing, path: Path) -> None:
    """Write a drawing to a file of its own, for a paper: `.pdf`, `.svg` or `.png`.

    The same drawing gives the same bytes.
    """
    metadata: dict[str, Any] = {
        ".pdf": {"CreationDate": None},
        ".svg": {"Date": None},
        ".png": {"Software": None},
    }[path.suffix]
    with _settings(drawing):
        matplotlib.rcParams["pdf.fonttype"] = 42
        figure = _plotted(drawing)
        for artist in figure.findobj(lambda one: _is_on_demand(one.get_gid())):
            artist.set_visible(False)
        figure.savefig(path, dpi=300, metadata=metadata, facecolor="white")


def _is_on_demand(gid: str | None) -> bool:
    return gid is not None and gid.endswith("-seeds")


@contextlib.contextmanager
def _settings(drawing: Drawing) -> Iterator[None]:
    # Matplotlib keeps its settings in one global table; here they are its defaults and
    # ours, whatever the machine is set to, and afterwards what they were before.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        matplotlib.rcParams["svg.hashsalt"] = drawing.name
        yield


def _plotted(drawing: Drawing) -> Figure:
    figure = Figure(figsize=drawing.size)
    drawing.plot(figure, *drawing.arguments)
    return figure


def spread(
    wanted: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0
) -> list[float]:
    """Find places near the wanted ones that are at least `gap` apart.

    Returns: them in the same order, between `low` and `high` if they fit.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = [min(max(wanted[i], low), high) for i in order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    top = high
    for i in reversed(range(len(places))):
        places[i] = min(places[i], top)
        top = places[i] - gap
    return [place for _, place in sorted(zip(order, places, strict=True))]


def _for_page(text: str, drawing: Drawing) -> str:
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    # In a page, SVG is part of HTML and needs no name spaces.
    text = text.replace("xlink:href=", "href=")
    text = _opening(drawing) + text[text.index(">") + 1 :]
    text = _MARK.sub(partial(_marked, drawing.names), text)
    text = _own_ids(text, drawing.name)
    for colour, variable in _PAGE_COLOURS.items():
        text = text.replace(colour, variable)
    # The size stays, the page gives the family.
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    return re.sub(r"\s*\n\s*", "\n", text)


def _marked(names: Mapping[str, str], match: re.Match[str]) -> str:
    own, on_demand = match[1], " seeds" if match[2] else ""
    name = names.get(own)
    said = "" if name is None else Markup("<title>{}</title>").format(name)
    return f'<g class="{own}{on_demand}">{said}'


def _opening(drawing: Drawing) -> str:
    width, height = (72 * inches for inches in drawing.size)
    opening = Markup(
        '<svg role="img" aria-label="{}" width="{:.0f}" height="{:.0f}" '
        'viewBox="0 0 {:g} {:g}">'
    ).format(
        drawing.label,
        width * _PIXELS_PER_UNIT,
        height * _PIXELS_PER_UNIT,
        width,
        height,
    )
    # As plain text: what is put behind it must not be escaped again.
    return str(opening)


def _own_ids(text: str, name: str) -> str:
    """Drop ids that nothing refers to, and make the others this figure's own."""
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', text))

    def rename(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    text = re.sub(r' id="([^"]*)"', rename, text)
    return re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
