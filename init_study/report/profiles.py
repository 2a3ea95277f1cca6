"""Signals and gradients by layer, before the first step and after the last.

There are figures, and tables of the start and of what stands out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from init_study.answers import Comparison
from init_study.answers.statistics import half_width
from init_study.answers.step_curves import at_best_rates
from init_study.answers.views.traps import find_traps, hidden_layers
from init_study.report.palette import (
    End,
    SchemeStyle,
    curve_size,
    inner_axes,
    label_ends,
    label_inches,
    names,
)
from init_study.report.shown import Shown
from init_study.report.svg import Drawing, mark
from init_study.report.tables import Card, Rows

_METRICS = {
    "signal": "mean square of the outputs",
    "gradient": "mean square of the loss gradient",
}
_MOST_TICKS = 12


def profile_figures(
    name: str,
    comparison: Comparison,
    layers: pd.DataFrame,
    predictions: pd.DataFrame,
    styles: Mapping[str, SchemeStyle],
) -> dict[str, Shown]:
    """Show signals and gradients by layer, each scheme at its best rate.

    Returns: nothing for a run without such numbers.
    """
    ours = at_best_rates(comparison, layers)
    if ours.empty:
        return {}
    own = predictions.loc[predictions["program"] == comparison.program]
    return {
        metric: _profile(name, metric, comparison, ours, _scaled(own, ours), styles)
        for metric in _METRICS
    }


def start_card(comparison: Comparison, layers: pd.DataFrame) -> Card[Rows] | None:
    """Say of each scheme how its worst layer is before the first step.

    Returns: None for a run without such numbers.
    """
    ours = at_best_rates(comparison, layers)
    if ours.empty:
        return None
    rows = [
        _start_row(row.scheme, hidden_layers(row.scheme, ours, 0))
        for row in comparison.rows
    ]
    return Card(
        "Before the first step",
        rows,
        f"Means over {comparison.num_seeds} seeds, on each seed's first batch, of the "
        "hidden layers: signal and gradient, the mean square behind the last over that "
        "behind the first, in powers of ten; distinct filters, of the layer with the "
        "fewest; dead units, of the layer with the most, which pass on less than 5 % "
        "of a gradient on the whole batch; input seen, the share of the last layer's "
        "outputs' mean square that varies from image to image.",
    )


def trap_card(comparison: Comparison, layers: pd.DataFrame) -> Card[Rows] | None:
    """Say what stands out, with evidence and a way out; None where nothing does."""
    traps = find_traps(comparison, layers)
    if not traps:
        return None
    rows = []
    for scheme in dict.fromkeys(trap.scheme for trap in traps):
        own = [trap for trap in traps if trap.scheme == scheme]
        found = "; ".join(f"{trap.finding} ({trap.evidence})" for trap in own)
        cures = "; ".join(dict.fromkeys(trap.cure for trap in own))
        rows.append({"scheme": scheme, "what": found, "try": cures})
    return Card(
        "What stands out",
        rows,
        "Before the first step, and where it says so after the last; means over seeds. "
        "Rules of thumb, not verdicts: a "
        "scheme may train all the same, and one without a finding may not.",
    )


def _start_row(scheme: str, start: Mapping[str, np.ndarray]) -> dict[str, str]:
    if not start or not start["signal"].shape[1]:
        names = ("signal", "gradient", "distinct filters", "dead units", "input seen")
        return {"scheme": scheme, **dict.fromkeys(names, "–")}
    with np.errstate(all="ignore"):
        return {
            "scheme": scheme,
            "signal": _powers(start["signal"]),
            "gradient": _powers(start["gradient"]),
            "distinct filters": _share(start["distinct"].min(1)),
            "dead units": _share(start["dead"].max(1)),
            "input seen": _share(start["spread"][:, -1] / start["signal"][:, -1]),
        }


def _powers(values: np.ndarray) -> str:
    ratio = np.mean(np.log10(values[:, -1] / values[:, 0]))
    return f"{ratio:+.1f}".replace("-", "−") if np.isfinite(ratio) else "–"


def _share(values: np.ndarray) -> str:
    mean = np.mean(values)
    return f"{100 * mean:.0f} %" if np.isfinite(mean) else "–"


def _scaled(predictions: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Scale predicted gradients to what was measured at the logits.

    Predictions are 1 in mean square there.
    """
    head = layers.loc[
        (layers["metric"] == "gradient")
        & (layers["step"] == 0)
        & (layers["layer"] == layers["layer"].max())
    ]
    factors = head.groupby("scheme")["value"].mean()
    is_gradient = predictions["metric"] == "gradient"
    factor = predictions["scheme"].map(factors).where(is_gradient, 1.0)
    return predictions.assign(value=predictions["value"] * factor)


def _profile(
    name: str,
    metric: str,
    comparison: Comparison,
    layers: pd.DataFrame,
    predictions: pd.DataFrame,
    styles: Mapping[str, SchemeStyle],
) -> Shown:
    foreseen = predictions.loc[predictions["metric"] == metric]
    data = layers.loc[layers["metric"] == metric]
    columns = ["scheme", "seed", "step", "layer", "name", "value"]
    drawings = {
        "before the first step": _drawing(
            name, metric, data, foreseen, 0, comparison, styles
        ),
        "after the last": _drawing(
            name, metric, data, foreseen.iloc[:0], comparison.steps, comparison, styles
        ),
    }
    what = _METRICS[metric]
    where = " there, of one image," if metric == "gradient" else ""
    dotted = " Dotted: predicted from the mean squares of the weights."
    return Shown(
        f"{metric.capitalize()} by layer",
        f"{what[0].upper()}{what[1:]}{where} before norm and activation, on each "
        "seed's first batch, each scheme at its best learning rate: geometric mean of "
        f"{comparison.num_seeds} seeds, band: 95 % t interval of the logarithm. A "
        f"layer where it is zero is not drawn.{dotted if len(foreseen) else ''}",
        drawings,
        data[columns],
    )


def _drawing(
    name: str,
    metric: str,
    data: pd.DataFrame,
    foreseen: pd.DataFrame,
    step: int,
    comparison: Comparison,
    styles: Mapping[str, SchemeStyle],
) -> Drawing:
    when = "before the first step" if step == 0 else "after the last step"
    table = data.loc[data["step"] == step]
    return Drawing(
        curve_size(styles),
        f"{name}{metric}{'' if step == 0 else 'trained'}",
        f"{comparison.label}: {metric} of each scheme by layer, {when}",
        _plot_profile,
        (metric, table, foreseen, styles),
        names(styles),
    )


def _plot_profile(
    figure: Figure,
    metric: str,
    table: pd.DataFrame,
    foreseen: pd.DataFrame,
    styles: Mapping[str, SchemeStyle],
) -> None:
    axes = inner_axes(
        figure, left=0.72, right=label_inches(styles), top=0.14, bottom=0.5
    )
    ends, drawn = [], []
    for scheme, own in table.groupby("scheme", sort=False):
        style = styles[str(scheme)]
        mean = _plot_measured(axes, own, style)
        if mean.empty:
            continue
        ends.append(End(mean.index.to_numpy()[-1], mean.iloc[-1], str(scheme), style))
        predicted = foreseen.loc[
            (foreseen["scheme"] == scheme) & (foreseen["value"] > 0)
        ]
        axes.plot(
            predicted["layer"] + 1,
            np.log10(predicted["value"]),
            color=style.colour,
            linestyle=":",
            linewidth=1.2,
            gid=mark(style.place),
        )
        drawn.append(mean)
    _layer_axis(axes, int(table["layer"].max()) + 1 if len(table) else 1)
    _power_axis(axes, drawn)
    axes.set_ylabel(_METRICS[metric])
    label_ends(figure, axes, ends)


def _plot_measured(axes: Axes, own: pd.DataFrame, style: SchemeStyle) -> pd.Series:
    """Draw one scheme's line and band.

    Returns: its means of the logarithm by layer, the first layer being 1.
    """
    positive = own.loc[(own["value"] > 0) & np.isfinite(own["value"])]
    logs = np.log10(positive["value"]).groupby(positive["layer"] + 1)
    found = logs.agg(["mean", "std", "count"])
    if found.empty:
        return found["mean"]
    width = half_width(found["std"], found["count"])
    x, mean = found.index.to_numpy(), found["mean"].to_numpy()
    line: dict[str, Any] = {"color": style.colour, "gid": mark(style.place)}
    axes.fill_between(x, mean - width, mean + width, alpha=0.13, linewidth=0, **line)
    axes.plot(x, mean, linestyle=style.dash, **line)
    axes.plot(x, mean, style.marker, markersize=3, **line)
    return found["mean"]


def _layer_axis(axes: Axes, count: int) -> None:
    ticks = range(1, count + 1, -(-count // _MOST_TICKS))
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0.7, count + 0.3)
    axes.set_xlabel("layer, the last is the head")


def _power_axis(axes: Axes, drawn: Sequence[pd.Series]) -> None:
    """Let the y axis, whose numbers are powers of ten, span more than a decade."""
    if not drawn:
        axes.set_ylim(-1, 1)
    elif np.ptp(np.concatenate(drawn)) < 1:
        middle = float(np.mean(np.concatenate(drawn)))
        axes.set_ylim(middle - 0.75, middle + 0.75)
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda power, _: _power_of_ten(power)))


def _power_of_ten(power: float) -> str:
    """Write ten to a power: plain numbers near one, powers beyond."""
    if abs(power) <= 3:
        return f"{10**power:g}"[:5].rstrip(".")
    return f"1e{power:g}".replace("-", "−")
