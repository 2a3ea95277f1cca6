"""Differences between schemes, and accuracy by scheme and program, as drawings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from init_study.answers import Interval
from init_study.answers.columns import shorten
from init_study.answers.words import low_to_high, percent
from init_study.report.palette import (
    LABEL_WIDTH,
    SchemeStyle,
    inner_axes,
    label_inches,
    names,
)
from init_study.report.svg import INK, MUTED, Drawing, mark


def differences_forest(
    label: str,
    differences: Sequence[tuple[str, Interval | None]],
    reference: str,
    styles: Mapping[str, SchemeStyle],
    name: str,
) -> Drawing:
    """Draw differences to a reference, itself among them as None, in their order."""
    rows = list(differences)
    size = (8.0, 0.62 + 0.235 * len(rows))
    label = f"{label}: test accuracy of each scheme compared to {reference}"
    return Drawing(
        size, name, label, _plot_forest, (rows, reference, styles), names(styles)
    )


def heat_map(
    table: pd.DataFrame, styles: Mapping[str, SchemeStyle], name: str
) -> Drawing:
    """Draw test accuracy by scheme (rows) and program (columns), in their order."""
    size = 8.0, 0.75 + 0.24 * len(table)
    label = "test accuracy of each scheme in each program"
    return Drawing(size, name, label, _plot_heat_map, (table, styles))


def _or_zero(difference: Interval | None) -> Interval:
    return difference or Interval(0.0, 0.0, 0.0, 0)


def _plot_forest(
    figure: Figure,
    rows: Sequence[tuple[str, Interval | None]],
    reference: str,
    styles: Mapping[str, SchemeStyle],
) -> None:
    axes = inner_axes(
        figure, left=label_inches(styles), right=1.75, top=0.12, bottom=0.5
    )
    left, right = span = _forest_span(rows)
    axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for place, (scheme, difference) in enumerate(rows):
        word = reference.removeprefix("the ")
        _plot_difference(axes, place, difference, word, styles[scheme], span)
    names = [shorten(scheme, LABEL_WIDTH) for scheme, _ in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left, right)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, pad=9, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"test accuracy compared to {reference} (percentage points)")


def _forest_span(
    rows: Sequence[tuple[str, Interval | None]],
) -> tuple[float, float]:
    """Choose the points from left to right.

    At least half of the rows fit, and so does every row that takes no more than twice
    the space.
    """
    extents = sorted(
        100 * np.nanmax(np.abs(difference[:3])) for _, difference in rows if difference
    )
    typical = extents[len(extents) // 2]
    limit = max([1.0, *(extent for extent in extents if extent <= 2 * typical)])
    ahead = max(100 * np.nanmax(_or_zero(difference)[:3]) for _, difference in rows)
    return -1.06 * limit, max(0.35 * limit, 1.06 * min(ahead, limit))


def _plot_difference(
    axes: Axes,
    place: int,
    difference: Interval | None,
    reference: str,
    style: SchemeStyle,
    span: tuple[float, float],
) -> None:
    left, right = span
    own: dict[str, Any] = {"color": style.colour, "gid": mark(style.place)}
    mean, low, high = (100 * value for value in _or_zero(difference)[:3])
    if low < right and high > left:
        ends = [max(low, left), min(high, right)]
        axes.plot(ends, [place, place], linewidth=1.8, **own)
    if left <= mean <= right:
        axes.plot(mean, place, marker=style.marker, markersize=5.5, **own)
    if min(mean, low) < left:
        axes.plot(left, place, marker="<", clip_on=False, **own)
    if max(mean, high) > right:
        axes.plot(right, place, marker=">", clip_on=False, **own)
    text, holds_zero = reference, False
    if difference is not None:
        holds_zero = low <= 0 <= high
        ends_text = low_to_high(difference)
        text = percent(difference.mean) + (f" ({ends_text})" if ends_text else "")
    axes.text(
        1.02,
        place,
        text,
        transform=blended_transform_factory(axes.transAxes, axes.transData),
        va="center_baseline",
        color=MUTED if holds_zero else INK,
        gid=mark(style.place),
    )


def _plot_heat_map(
    figure: Figure, table: pd.DataFrame, styles: Mapping[str, SchemeStyle]
) -> None:
    axes = inner_axes(
        figure, left=label_inches(styles), right=0.1, top=0.42, bottom=0.08
    )
    values = 100 * table.to_numpy(np.float64)
    axes.pcolormesh(values, cmap="cividis", vmin=0, vmax=100, edgecolors="none")
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        axes.text(
            column + 0.5,
            row + 0.5,
            "–" if np.isnan(value) else f"{value:.1f}",
            ha="center",
            va="center",
            # Yellow is light in a light and in a dark page.
            color="#202125" if value > 55 else "#ffffff",
        )
    axes.set_yticks(
        np.arange(len(table)) + 0.5, [shorten(s, LABEL_WIDTH) for s in table.index]
    )
    columns = [shorten(label, 96 // len(table.columns)) for label in table.columns]
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.tick_params(length=0, labeltop=True, labelbottom=False, labelcolor=INK)
    axes.invert_yaxis()
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
