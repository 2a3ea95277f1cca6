"""A figure of a page: drawings with title, caption and the data behind them.

For a paper each drawing is a file of its own.
"""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from init_study.answers.cells import as_cells
from init_study.report.svg import Drawing, save, to_markup


class Shown(NamedTuple):
    """One figure, not drawn yet.

    Attributes:
        title: what it shows.
        caption: how to read it.
        drawings: by what they are called, if there are several to choose from.
        data: the numbers that are drawn.
        wide: whether it may be scrolled.
    """

    title: str
    caption: str
    drawings: dict[str, Drawing]
    data: pd.DataFrame
    wide: bool = False


class Picture(NamedTuple):
    """One figure as a page has it; its markup is in `templates/figures.html`.

    Attributes:
        title, caption, wide: of the figure.
        views: SVG by what it is called. The second takes the place of the first when
            it is asked for.
        name: letters and digits, another one for each figure of a page.
        data: the numbers that are drawn, as CSV in base 64.
    """

    title: str
    caption: str
    wide: bool
    views: dict[str, Markup]
    name: str
    data: str


def picture(shown: Shown) -> Picture:
    """Draw a figure for a page."""
    text = as_cells(shown.data).to_csv(index=False, float_format="%.6g")
    return Picture(
        shown.title,
        shown.caption,
        shown.wide,
        {label: to_markup(drawing) for label, drawing in shown.drawings.items()},
        next(iter(shown.drawings.values())).name,
        base64.b64encode(text.encode()).decode(),
    )


def export(figures: Iterable[tuple[str, Shown]], folder: Path, form: str) -> list[Path]:
    """Write every drawing to a file of its own, and its data as `.csv` beside it.

    Args:
        figures: with names for the files.
        folder: for the files, which is there.
        form: `pdf`, `svg` or `png`.

    Returns: the paths of the drawings.
    """
    written = []
    for name, shown in figures:
        for label, drawing in shown.drawings.items():
            first = label == next(iter(shown.drawings))
            own = name if first else f"{name}-{label.replace(' ', '-')}"
            save(drawing, folder / f"{own}.{form}")
            written.append(folder / f"{own}.{form}")
        as_cells(shown.data).to_csv(folder / f"{name}.csv", index=False)
    return written
