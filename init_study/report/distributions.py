"""Every run of every scheme: as dots in a strip, and as shares above a threshold."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from init_study.answers.columns import shorten
from init_study.answers.words import percent
from init_study.report.palette import (
    LABEL_WIDTH,
    SchemeStyle,
    curve_size,
    inner_axes,
    label_inches,
    names,
)
from init_study.report.svg import INK, MUTED, Drawing, mark

# Runs of equal accuracy lie beside each other, within this part of a row's height.
_JITTER = 0.22


class SchemeRuns(NamedTuple):
    """The runs of one scheme.

    Attributes:
        scheme: its name.
        runs: accuracies.
        word: what is said of it, at the end of its row.
        faint: whether that is said in grey.
    """

    scheme: str
    runs: Sequence[float]
    word: str
    faint: bool


def strips(
    label: str,
    rows: Sequence[SchemeRuns],
    chance: float,
    styles: Mapping[str, SchemeStyle],
    name: str,
) -> Drawing:
    """Draw a dot for every run, with median and range, a row for each scheme."""
    size = (8.0, 0.62 + 0.29 * len(rows))
    text = f"{label}: test accuracy of every run, by scheme"
    # Who points at a scheme reads its runs.
    told = {
        mark(styles[row.scheme].place): f"{row.scheme}: "
        + ", ".join(percent(value) for value in row.runs)
        for row in rows
    }
    return Drawing(size, name, text, _plot_strips, (rows, chance, styles), told)


def shares_above(
    label: str,
    rows: Sequence[SchemeRuns],
    chance: float,
    styles: Mapping[str, SchemeStyle],
    name: str,
) -> Drawing:
    """Draw performance profiles: the share of runs above each accuracy."""
    size = curve_size({row.scheme: styles[row.scheme] for row in rows})
    text = f"{label}: share of runs above each test accuracy, by scheme"
    return Drawing(
        size, name, text, _plot_shares, (rows, chance, styles), names(styles)
    )


def _plot_strips(
    figure: Figure,
    rows: Sequence[SchemeRuns],
    chance: float,
    styles: Mapping[str, SchemeStyle],
) -> None:
    shown = {row.scheme: styles[row.scheme] for row in rows}
    axes = inner_axes(figure, left=label_inches(shown), right=1.9, top=0.12, bottom=0.5)
    axes.axvline(100 * chance, color=MUTED, linewidth=0.9, dashes=(2, 2), zorder=1)
    for place, row in enumerate(rows):
        _plot_strip(axes, place, row, styles[row.scheme])
    axes.set_yticks(range(len(rows)), [shorten(r.scheme, LABEL_WIDTH) for r in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 101)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, pad=9, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test accuracy (%), dashed: chance")


def _plot_strip(axes: Axes, place: int, row: SchemeRuns, style: SchemeStyle) -> None:
    own: dict[str, Any] = {"color": style.colour, "gid": mark(style.place)}
    runs = 100 * np.asarray(row.runs)
    median = float(np.median(runs))
    axes.plot([runs.min(), runs.max()], [place, place], linewidth=1.2, alpha=0.5, **own)
    places = place + _apart(runs)
    axes.plot(runs, places, marker=style.marker, linestyle="", markersize=4.2, **own)
    axes.plot([median] * 2, [place - 0.36, place + 0.36], linewidth=2.4, **own)
    axes.text(
        1.02,
        place,
        f"{percent(median / 100)}  {row.word}",
        transform=blended_transform_factory(axes.transAxes, axes.transData),
        va="center_baseline",
        color=MUTED if row.faint else INK,
        gid=mark(style.place),
    )


def _apart(runs: np.ndarray) -> np.ndarray:
    """Set runs of nearly one accuracy apart: above the row, below it, and so on."""
    order, offsets = np.argsort(runs, kind="stable"), np.zeros(len(runs))
    for before, this in pairwise(order):
        if runs[this] - runs[before] < 1.0:
            offsets[this] = -_JITTER if offsets[before] >= 0 else _JITTER
    return offsets


def _plot_shares(
    figure: Figure,
    rows: Sequence[SchemeRuns],
    chance: float,
    styles: Mapping[str, SchemeStyle],
) -> None:
    axes = inner_axes(figure, left=0.55, right=0.15, top=0.12, bottom=0.5)
    axes.axvline(100 * chance, color=MUTED, linewidth=0.9, dashes=(2, 2))
    for row in rows:
        style, runs = styles[row.scheme], 100 * np.sort(np.asarray(row.runs))
        # Just below its accuracy a run is still above; after the last there is none.
        x = np.concatenate([[0.0], runs, [100.0]])
        y = np.concatenate([[1.0], 1 - np.arange(len(runs)) / len(runs), [0.0]])
        axes.step(
            x,
            100 * y,
            where="pre",
            color=style.colour,
            linestyle=style.dash,
            linewidth=1.4,
            gid=mark(style.place),
            label=row.scheme,
        )
    axes.set_xlim(0, 101)
    axes.set_ylim(0, 101)
    axes.set_xlabel("test accuracy (%)")
    axes.set_ylabel("runs above (%)")
