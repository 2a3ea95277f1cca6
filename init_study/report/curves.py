"""Accuracy and loss by step and by learning rate, as drawings."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from init_study.answers import Comparison
from init_study.answers.words import rate
from init_study.report.palette import (
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
from init_study.report.svg import Drawing, mark


def by_step(
    comparison: Comparison,
    table: pd.DataFrame,
    seeds: pd.DataFrame,
    metric: str,
    styles: Mapping[str, SchemeStyle],
    name: str,
    *,
    log: bool = False,
) -> Drawing:
    """Draw mean and interval by step, and each seed on demand.

    Args:
        comparison: of the program, by `answers.compare_runs`.
        table: of `answers.learning_curves`.
        seeds: of `answers.seed_curves`.
        metric: `accuracy`, or `loss`, whose axis is logarithmic if it varies much.
        styles: of all schemes of the study.
        name: letters and digits, another one for each figure of a page.
        log: steps and errors on logarithmic axes instead.
    """
    label = f"{comparison.label}: {metric} of each scheme by step"
    label += ", logarithmic" if log else ""
    arguments = (comparison, table, seeds, metric, styles, log)
    return Drawing(
        curve_size(styles), name, label, _plot_by_step, arguments, names(styles)
    )


def by_rate(
    comparison: Comparison, styles: Mapping[str, SchemeStyle], name: str
) -> Drawing:
    """Draw the validation accuracy of each scheme at each learning rate."""
    label = f"{comparison.label}: accuracy of each scheme by learning rate"
    arguments = (comparison, styles)
    return Drawing(
        curve_size(styles), name, label, _plot_by_rate, arguments, names(styles)
    )


def _plot_by_step(
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
        style = styles[str(scheme)]
        steps, mean = curve["step"].to_numpy(), shown(curve["mean"])
        low, high = (shown(curve[end]) for end in ("low", "high"))
        own: dict[str, Any] = {"color": style.colour, "gid": mark(style.place)}
        axes.fill_between(steps, low, high, alpha=0.13, linewidth=0, **own)
        axes.plot(steps, mean, linestyle=style.dash, **own)
        _plot_seeds(axes, seeds.loc[seeds["scheme"] == scheme], shown, style)
        ends.append(End(steps[-1], mean[-1], str(scheme), style))
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
    """Mark steps that were evaluated, each at least twice the one before."""
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
    """Give the error in per cent; a net without one is drawn at the bottom."""
    return np.maximum(100 * (1 - np.asarray(accuracy)), 0.05)


def _log_loss(axes: Axes, table: pd.DataFrame) -> None:
    """Make the axis of the loss logarithmic, unless its range is narrow.

    The means set the limits, for a band may reach down to zero. A narrow range would
    have a single tick.
    """
    low, high = float(table["mean"].min()), float(table["mean"].max())
    if not 0 < 3 * low <= high < math.inf:
        return
    axes.set_yscale("log")
    axes.set_ylim(low / 1.3, high * 1.3)
    plain_ticks(axes, low / 1.3, high * 1.3)


def _plot_by_rate(
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
        style = styles[row.scheme]
        own: dict[str, Any] = {"color": style.colour, "gid": mark(style.place)}
        # A little beside each other, or the intervals would hide one another.
        x = np.array(rates) * 1.022 ** (i - (len(comparison.rows) - 1) / 2)
        accuracy = [at_rate.validation for at_rate in row.rates]
        mean = 100 * np.array([interval.mean for interval in accuracy])
        low = 100 * np.array([interval.low for interval in accuracy])
        _error_bars(axes, x, mean, mean - low, style)
        axes.plot(x, mean, linestyle=style.dash, linewidth=1.1, **own)
        axes.plot(x, mean, style.marker, markersize=3.5, **own)
        chosen = rates.index(row.best.learning_rate)
        ring: dict[str, Any] = {"mfc": "none", "mec": style.colour, "ms": 8, "mew": 1}
        axes.plot(x[chosen], mean[chosen], "o", gid=mark(style.place), **ring)
        ends.append(End(x[-1], mean[-1], row.scheme, style))
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
