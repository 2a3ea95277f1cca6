"""The figures of the report, as drawings. One look per scheme, everywhere."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from matplotlib.transforms import blended_transform_factory

from init_study.answers import Comparison, Interval
from init_study.answers.words import low_to_high, percent, rate, shorten
from init_study.report.palette import (
    LABEL_WIDTH,
    End,
    SchemeStyle,
    accuracy_axis,
    curve_size,
    inner_axes,
    label_ends,
    label_inches,
    names,
    plain_ticks,
)
from init_study.report.svg import INK, MUTED, Drawing, mark


def forest(
    comparison: Comparison, styles: Mapping[str, SchemeStyle], name: str
) -> Drawing:
    """Each scheme's difference to the best one, with its interval."""
    differences = [(row.scheme, row.difference) for row in comparison.rows]
    return differences_forest(comparison.label, differences, "the best", styles, name)


def differences_forest(
    label: str,
    differences: Sequence[tuple[str, Interval | None]],
    reference: str,
    styles: Mapping[str, SchemeStyle],
    name: str,
) -> Drawing:
    """Differences to a reference, itself among them as None."""
    rows = sorted(differences, key=lambda row: -_or_zero(row[1]).mean)
    size = (8.0, 0.62 + 0.235 * len(rows))
    label = f"{label}: test accuracy of each scheme compared to {reference}"
    return Drawing(
        size, name, label, _plot_forest, (rows, reference, styles), names(styles)
    )


def curves(
    comparison: Comparison,
    table: pd.DataFrame,
    seeds: pd.DataFrame,
    metric: str,
    styles: Mapping[str, SchemeStyle],
    name: str,
    *,
    log: bool = False,
) -> Drawing:
    """Mean and interval by step, and each seed on demand.

    Args:
        table, seeds: of `answers.learning_curves` and `answers.seed_curves`.
        metric: `accuracy`, or `loss`, whose axis is logarithmic if it varies much.
        log: steps and errors on logarithmic axes instead.
    """
    label = f"{comparison.label}: {metric} of each scheme by step"
    label += ", logarithmic" if log else ""
    arguments = (comparison, table, seeds, metric, styles, log)
    return Drawing(
        curve_size(styles), name, label, _plot_curves, arguments, names(styles)
    )


def over_rates(
    comparison: Comparison, styles: Mapping[str, SchemeStyle], name: str
) -> Drawing:
    """Validation accuracy of each scheme at each learning rate."""
    label = f"{comparison.label}: accuracy of each scheme by learning rate"
    arguments = (comparison, styles)
    return Drawing(
        curve_size(styles), name, label, _plot_over_rates, arguments, names(styles)
    )


def heat_map(
    table: pd.DataFrame, styles: Mapping[str, SchemeStyle], name: str
) -> Drawing:
    """Test accuracy by scheme (rows) and program (columns), in the study's order."""
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


def _plot_curves(
    figure: Figure,
    comparison: Comparison,
    table: pd.DataFrame,
    seeds: pd.DataFrame,
    metric: str,
    styles: Mapping[str, SchemeStyle],
    log: bool,
) -> None:
    axes = inner_axes(
        figure, left=0.62, right=label_inches(styles), top=0.14, bottom=0.5
    )
    if log:
        table, seeds = table.loc[table["step"] > 0], seeds.loc[seeds["step"] > 0]
    shown = _error if log and metric == "accuracy" else _scaled(metric)
    ends = []
    for scheme, curve in table.groupby("scheme", sort=False):
        one = styles[str(scheme)]
        steps, mean = curve["step"].to_numpy(), shown(curve["mean"])
        low, high = (shown(curve[end]) for end in ("low", "high"))
        own: dict[str, Any] = {"color": one.colour, "gid": mark(one.place)}
        axes.fill_between(steps, low, high, alpha=0.13, linewidth=0, **own)
        axes.plot(steps, mean, linestyle=one.dash, **own)
        _plot_seeds(axes, seeds.loc[seeds["scheme"] == scheme], shown, one)
        ends.append(End(steps[-1], mean[-1], str(scheme), one))
    axes.set_xlabel("step")
    if log:
        axes.set_xscale("log")
        axes.set_xlim(float(table["step"].min()), comparison.steps)
        _step_ticks(axes, sorted(set(table["step"])))
    else:
        axes.set_xlim(0, comparison.steps)
    if metric == "loss":
        _log_loss(axes, table)
        axes.set_ylabel("training loss (nats)")
    elif log:
        axes.set_yscale("log")
        axes.set_ylabel("validation error (%)")
        plain_ticks(axes, *axes.get_ylim())
    else:
        accuracy_axis(axes, comparison)
    label_ends(figure, axes, ends)


def _step_ticks(axes: Axes, steps: Sequence[int]) -> None:
    """At steps that were evaluated, each twice the one before at least."""
    shown: list[int] = []
    for step in reversed(steps):
        if not shown or step <= shown[-1] / 2:
            shown.append(step)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _plot_seeds(
    axes: Axes,
    seeds: pd.DataFrame,
    shown: Callable[..., np.ndarray],
    style: SchemeStyle,
) -> None:
    gid = mark(style.place, seeds=True)
    for _, curve in seeds.groupby("seed"):
        values = shown(curve["value"])
        axes.plot(curve["step"], values, color=style.colour, linewidth=0.6, gid=gid)


def _scaled(metric: str) -> Callable[..., np.ndarray]:
    return lambda values: (100 if metric == "accuracy" else 1) * np.asarray(values)


def _error(accuracy: Any) -> np.ndarray:
    """In per cent; a net without an error is drawn at the bottom."""
    return np.maximum(100 * (1 - np.asarray(accuracy)), 0.05)


def _log_loss(axes: Axes, table: pd.DataFrame) -> None:
    """The means set the limits: a band may reach down to zero. A narrow range stays
    linear: it would have a single tick."""
    low, high = float(table["mean"].min()), float(table["mean"].max())
    if not 0 < 3 * low <= high < math.inf:
        return
    axes.set_yscale("log")
    axes.set_ylim(low / 1.3, high * 1.3)
    plain_ticks(axes, low / 1.3, high * 1.3)


def _plot_over_rates(
    figure: Figure, comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> None:
    axes = inner_axes(
        figure, left=0.62, right=label_inches(styles), top=0.14, bottom=0.5
    )
    rates = [at_rate.learning_rate for at_rate in comparison.rows[0].rates]
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 1.35, max(rates) * 1.35)
    ends = []
    for i, row in enumerate(comparison.rows):
        one = styles[row.scheme]
        own: dict[str, Any] = {"color": one.colour, "gid": mark(one.place)}
        # A little beside each other, or the intervals would hide one another.
        x = np.array(rates) * 1.022 ** (i - (len(comparison.rows) - 1) / 2)
        accuracy = [at_rate.validation for at_rate in row.rates]
        mean = 100 * np.array([interval.mean for interval in accuracy])
        low = 100 * np.array([interval.low for interval in accuracy])
        _error_bars(axes, x, mean, mean - low, one)
        axes.plot(x, mean, linestyle=one.dash, linewidth=1.1, **own)
        axes.plot(x, mean, one.marker, markersize=3.5, **own)
        chosen = rates.index(row.best.learning_rate)
        ring: dict[str, Any] = {"mfc": "none", "mec": one.colour, "ms": 8, "mew": 1}
        axes.plot(x[chosen], mean[chosen], "o", gid=mark(one.place), **ring)
        ends.append(End(x[-1], mean[-1], row.scheme, one))
    axes.xaxis.set_major_locator(FixedLocator(rates))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda r, _: rate(r)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("learning rate")
    accuracy_axis(axes, comparison)
    label_ends(figure, axes, ends)


def _error_bars(
    axes: Axes, x: np.ndarray, mean: np.ndarray, width: np.ndarray, style: SchemeStyle
) -> None:
    (bars,) = axes.errorbar(
        x, mean, width, color=style.colour, fmt="none", linewidth=0.8
    ).lines[2]
    bars.set_gid(mark(style.place))


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
