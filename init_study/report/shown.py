"""A figure of the page: drawings with title, caption and the data behind them; or each
a file of its own, for a paper."""

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from init_study.report.palette import SchemeStyle
from init_study.report.svg import Drawing, draw, save
from init_study.report.tables import words

FORMATS = ("pdf", "svg", "png")


class Shown(NamedTuple):
    """One figure.

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


def figure(shown: Shown) -> str:
    """As HTML. Where there are two drawings, the second takes the place of the first
    when it is asked for; no script is needed."""
    box = "scroll wide" if shown.wide else "scroll"
    drawn = [draw(drawing) for drawing in shown.drawings.values()]
    views = "".join(
        f"<div class='{box} view{i}'>{svg}</div>" for i, svg in enumerate(drawn)
    )
    return (
        f"\n<figure><h3>{escape(shown.title)}</h3>{_choice(shown)}{views}"
        f"<figcaption>{words(shown.caption)} {_data_link(shown)}</figcaption></figure>"
    )


def export(figures: Iterable[tuple[str, Shown]], folder: Path, form: str) -> list[Path]:
    """Every drawing as a file of its own, and its data as `.csv` beside it.

    Args:
        figures: with names for the files.
        form: of `FORMATS`.
    """
    written = []
    for name, shown in figures:
        for label, drawing in shown.drawings.items():
            first = label == next(iter(shown.drawings))
            own = name if first else f"{name}-{label.replace(' ', '-')}"
            save(drawing, folder / f"{own}.{form}")
            written.append(folder / f"{own}.{form}")
        shown.data.to_csv(folder / f"{name}.csv", index=False)
    return written


def controls(styles: Mapping[str, SchemeStyle]) -> str:
    """What of all figures and tables is to be seen: schemes, and each seed."""
    boxes = "".join(
        f"<label><input type=checkbox checked id=show-{one.place}>"
        f'<i style="background:{one.colour}"></i>{escape(scheme)}</label>'
        for scheme, one in styles.items()
    )
    return (
        f"<fieldset class=choose><legend>Show</legend>{boxes}<label class=each>"
        "<input type=checkbox id=seeds>each seed in the curves</label></fieldset>"
    )


def controls_css(styles: Mapping[str, SchemeStyle]) -> str:
    """Hides what is not asked for."""
    return "\n".join(
        f"body:has(#show-{one.place}:not(:checked)) .scheme-{one.place} "
        "{ display: none !important }"
        for one in styles.values()
    )


def _choice(shown: Shown) -> str:
    if len(shown.drawings) < 2:
        return ""
    first, second = shown.drawings
    name = shown.drawings[first].name
    return (
        f"<p class=views><label><input type=radio name={name} checked>{escape(first)}"
        f"</label><label><input type=radio name={name} class=second>{escape(second)}"
        "</label></p>"
    )


def _data_link(shown: Shown) -> str:
    text = shown.data.to_csv(index=False, float_format="%.6g")
    data = base64.b64encode(text.encode()).decode()
    name = next(iter(shown.drawings.values())).name
    return (
        f"<a class=data download='{name}.csv' href='data:text/csv;base64,{data}'>"
        "Data as CSV</a>"
    )
