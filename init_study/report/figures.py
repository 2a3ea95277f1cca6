"""The figures of the report, each an `<svg>`. One look per scheme, everywhere."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter
from matplotlib.transforms import blended_transform_factory

from init_study.answers import Comparison, Interval
from init_study.answers.text import low_to_high, percent, rate, shorten
from init_study.report.svg import INK, MUTED, draw, spread

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
_LABEL_WIDTH = 22
_INCHES_PER_LABEL = 0.155


class Look(NamedTuple):
    """How a scheme is drawn; told apart without colour too."""

    colour: str
    marker: str
    dash: str | tuple[float, tuple[float, ...]]


class _End(NamedTuple):
    """Where a line ends, and its name."""

    x: float
    y: float
    name: str
    look: Look


def looks(schemes: Sequence[str]) -> dict[str, Look]:
    """By place in the study, so that a scheme looks the same in every figure."""
    return {
        scheme: Look(
            _COLOURS[i % len(_COLOURS)],
            _MARKERS[i % len(_MARKERS)],
            _DASHES[i // _SCHEMES_PER_DASH % len(_DASHES)],
        )
        for i, scheme in enumerate(schemes)
    }


def forest(comparison: Comparison, look: Mapping[str, Look], name: str) -> str:
    """Each scheme's difference to the best one, with its interval."""
    differences = [(row.scheme, row.difference) for row in comparison.rows]
    return differences_forest(comparison.label, differences, "the best", look, name)


def differences_forest(
    label: str,
    differences: Sequence[tuple[str, Interval | None]],
    reference: str,
    look: Mapping[str, Look],
    name: str,
) -> str:
    """Differences to a reference, itself among them as None."""
    rows = sorted(differences, key=lambda row: -_or_zero(row[1]).mean)
    size = (8.0, 0.62 + 0.235 * len(rows))
    label = f"{label}: test accuracy of each scheme compared to {reference}"
    return draw(size, name, label, _plot_forest, rows, reference, look)


def curves(
    comparison: Comparison,
    table: pd.DataFrame,
    metric: str,
    look: Mapping[str, Look],
    name: str,
) -> str:
    """Mean and interval by step, of `answers.learning_curves`.

    Args:
        metric: `accuracy`, or `loss`, whose axis is logarithmic if it varies much.
    """
    label = f"{comparison.label}: {metric} of each scheme by step"
    return draw(_size(look), name, label, _plot_curves, comparison, table, metric, look)


def over_rates(comparison: Comparison, look: Mapping[str, Look], name: str) -> str:
    """Validation accuracy of each scheme at each learning rate."""
    label = f"{comparison.label}: accuracy of each scheme by learning rate"
    return draw(_size(look), name, label, _plot_over_rates, comparison, look)


def _size(look: Mapping[str, Look]) -> tuple[float, float]:
    return 4.9, max(3.5, 0.75 + _INCHES_PER_LABEL * len(look))


def _or_zero(difference: Interval | None) -> Interval:
    return difference or Interval(0.0, 0.0, 0.0, 0)


def _plot_forest(
    figure: Figure,
    rows: Sequence[tuple[str, Interval | None]],
    reference: str,
    look: Mapping[str, Look],
) -> None:
    axes = _axes(figure, left=_label_inches(look), right=1.75, top=0.12, bottom=0.5)
    left, right = span = _forest_span(rows)
    axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for place, (scheme, difference) in enumerate(rows):
        word = reference.removeprefix("the ")
        _plot_difference(axes, place, difference, word, look[scheme], span)
    names = [shorten(scheme, _LABEL_WIDTH) for scheme, _ in rows]
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
    """Points from left to right: at least half of the rows fit, and so does every row
    that takes no more than twice the space."""
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
    look: Look,
    span: tuple[float, float],
) -> None:
    left, right = span
    mean, low, high = (100 * value for value in _or_zero(difference)[:3])
    if low < right and high > left:
        ends = [max(low, left), min(high, right)]
        axes.plot(ends, [place, place], color=look.colour, linewidth=1.8)
    if left <= mean <= right:
        axes.plot(mean, place, marker=look.marker, color=look.colour, markersize=5.5)
    if min(mean, low) < left:
        axes.plot(left, place, marker="<", color=look.colour, clip_on=False)
    if max(mean, high) > right:
        axes.plot(right, place, marker=">", color=look.colour, clip_on=False)
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
    )


def _plot_curves(
    figure: Figure,
    comparison: Comparison,
    table: pd.DataFrame,
    metric: str,
    look: Mapping[str, Look],
) -> None:
    axes = _axes(figure, left=0.62, right=_label_inches(look), top=0.14, bottom=0.5)
    scale = 100 if metric == "accuracy" else 1
    if metric == "loss":
        _log_loss(axes, table)
    ends = []
    for scheme, curve in table.groupby("scheme", sort=False):
        one = look[str(scheme)]
        steps, mean = curve["step"].to_numpy(), scale * curve["mean"].to_numpy()
        low, high = (scale * curve[end].to_numpy() for end in ("low", "high"))
        axes.fill_between(steps, low, high, color=one.colour, alpha=0.13, linewidth=0)
        axes.plot(steps, mean, color=one.colour, linestyle=one.dash)
        ends.append(_End(steps[-1], mean[-1], str(scheme), one))
    axes.set_xlim(0, comparison.steps)
    axes.set_xlabel("step")
    if metric == "accuracy":
        _accuracy_axis(axes, comparison)
    else:
        axes.set_ylabel("training loss (nats)")
    _label_ends(figure, axes, ends)


def _log_loss(axes: Axes, table: pd.DataFrame) -> None:
    """The means set the limits: a band may reach down to zero. A narrow range stays
    linear: it would have a single tick."""
    low, high = float(table["mean"].min()), float(table["mean"].max())
    if not 0 < 3 * low <= high < math.inf:
        return
    axes.set_yscale("log")
    axes.set_ylim(low / 1.3, high * 1.3)
    ticks = [m * 10.0**e for e in range(-9, 10) for m in (1, 2, 5)]
    inside = [t for t in ticks if low / 1.3 <= t <= high * 1.3]
    decades = [t for t in inside if f"{t:e}"[0] == "1"]
    axes.yaxis.set_major_locator(FixedLocator(inside if len(inside) < 9 else decades))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _plot_over_rates(
    figure: Figure, comparison: Comparison, look: Mapping[str, Look]
) -> None:
    axes = _axes(figure, left=0.62, right=_label_inches(look), top=0.14, bottom=0.5)
    rates = [at_rate.learning_rate for at_rate in comparison.rows[0].rates]
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 1.35, max(rates) * 1.35)
    ends = []
    for i, row in enumerate(comparison.rows):
        one = look[row.scheme]
        # A little beside each other, or the intervals would hide one another.
        x = np.array(rates) * 1.022 ** (i - (len(comparison.rows) - 1) / 2)
        accuracy = [at_rate.validation for at_rate in row.rates]
        mean = 100 * np.array([interval.mean for interval in accuracy])
        low = 100 * np.array([interval.low for interval in accuracy])
        axes.errorbar(x, mean, mean - low, color=one.colour, fmt="none", linewidth=0.8)
        axes.plot(x, mean, color=one.colour, linestyle=one.dash, linewidth=1.1)
        axes.plot(x, mean, one.marker, color=one.colour, markersize=3.5)
        chosen = rates.index(row.best.learning_rate)
        axes.plot(x[chosen], mean[chosen], "o", mfc="none", mec=one.colour, ms=8, mew=1)
        ends.append(_End(x[-1], mean[-1], row.scheme, one))
    axes.xaxis.set_major_locator(FixedLocator(rates))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda r, _: rate(r)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("learning rate")
    _accuracy_axis(axes, comparison)
    _label_ends(figure, axes, ends)


def _accuracy_axis(axes: Axes, comparison: Comparison) -> None:
    """From 0 to 100 %: how much a difference matters is seen only so."""
    axes.axhline(100 * comparison.chance, color=MUTED, linewidth=0.9, dashes=(2, 2))
    axes.annotate(
        "chance",
        (0, 100 * comparison.chance),
        xycoords=("axes fraction", "data"),
        xytext=(3, -9),
        textcoords="offset points",
        color=MUTED,
        fontsize=7.5,
    )
    axes.set_ylim(0, 101)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel("validation accuracy (%)")


def _axes(
    figure: Figure, *, left: float, right: float, top: float, bottom: float
) -> Axes:
    """Axes that leave this many inches at each side."""
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


def _label_inches(look: Mapping[str, Look]) -> float:
    longest = max(min(len(scheme), _LABEL_WIDTH) for scheme in look)
    return 0.35 + 0.07 * longest


def _label_ends(figure: Figure, axes: Axes, ends: Sequence[_End]) -> None:
    """The name of each line beside its end, moved apart where they would overlap."""
    to_axes = axes.transData + axes.transAxes.inverted()
    height = axes.get_position().height * figure.get_figheight()
    xy = [to_axes.transform((end.x, end.y)) for end in ends]
    places = spread([y for _, y in xy], _INCHES_PER_LABEL / height)
    for end, (x, y), place in zip(ends, xy, places, strict=True):
        axes.plot(
            [x, 1.015, 1.06, 1.085],
            [min(max(y, 0), 1), min(max(y, 0), 1), place, place],
            transform=axes.transAxes,
            color=end.look.colour,
            linestyle=end.look.dash,
            linewidth=1,
            clip_on=False,
        )
        axes.text(
            1.1,
            place,
            shorten(end.name, _LABEL_WIDTH),
            transform=axes.transAxes,
            va="center_baseline",
            fontsize=8,
        )
