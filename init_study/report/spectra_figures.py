"""The Jacobian's singular values and the loss's curvature before the first step."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from init_study.answers import Comparison
from init_study.answers.statistics import t_interval
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


def jacobian_figure(
    name: str,
    comparison: Comparison,
    spectra: pd.DataFrame,
    styles: Mapping[str, SchemeStyle],
) -> dict[str, Shown]:
    """Show the singular values of the Jacobian of the logits by the image.

    Returns: nothing where they were not measured.
    """
    chosen = (spectra["program"] == comparison.program) & (
        spectra["kind"] == "jacobian"
    )
    data = spectra.loc[chosen]
    if data.empty:
        return {}
    size = curve_size(styles)
    label = f"{comparison.label}: singular values of each scheme's Jacobian"
    drawing = Drawing(
        size, f"{name}jacobian", label, _plot, (data, styles), names(styles)
    )
    return {
        "jacobian": Shown(
            "Singular values of the Jacobian",
            "Of the logits by the image, before the first step, on each seed's first "
            "batch: root mean square over images, geometric mean of "
            f"{comparison.num_seeds} seeds. A line that falls steeply: the net tells "
            "images apart in few directions. Zeros are not drawn.",
            {"points": drawing},
            data[["scheme", "seed", "rank", "value"]],
        )
    }


def curvature_card(comparison: Comparison, spectra: pd.DataFrame) -> Card[Rows] | None:
    """Say how great the curvature is, and up to which rate plain descent is stable.

    Returns: None where it was not measured.
    """
    hessian = spectra.loc[
        (spectra["program"] == comparison.program) & (spectra["kind"] == "hessian")
    ]
    if hessian.empty:
        return None
    ends = hessian.groupby(["scheme", "seed"])["value"].agg(["max", "min"])
    rows = []
    for row in comparison.rows:
        greatest = ends.loc[row.scheme, "max"].to_numpy(np.float64)
        interval = t_interval(greatest)
        stable = 2 / interval.mean if interval.mean > 0 else np.inf
        rows.append(
            {
                "scheme": row.scheme,
                "greatest curvature": f"{interval.mean:.3g}"
                + ("" if np.isnan(interval.low) else f" ± {_half(interval):.2g}"),
                "least": _least(ends.loc[row.scheme, "min"].mean(), interval.mean),
                "2 / greatest": f"{stable:.2g}" if np.isfinite(stable) else "∞",
                "best rate": f"{row.best.learning_rate:g}",
            }
        )
    return Card(
        "Curvature before the first step",
        rows,
        "Greatest and least eigenvalue of the Hessian of the loss on each seed's first "
        f"batch, by Lanczos's method: mean of {comparison.num_seeds} seeds ± half its "
        "95 % t interval. Plain gradient descent at a rate above 2 / greatest climbs "
        "at first; momentum and small batches move that bound.",
    )


def _least(least: float, greatest: float) -> str:
    """Write the least curvature; what is a millionth of the greatest is rounding."""
    return "0" if abs(least) < 1e-6 * greatest else f"{least:.3g}".replace("-", "−")


def _half(interval: tuple[float, ...]) -> float:
    return (interval[2] - interval[1]) / 2


def _plot(
    figure: Figure, data: pd.DataFrame, styles: Mapping[str, SchemeStyle]
) -> None:
    axes = inner_axes(
        figure, left=0.72, right=label_inches(styles), top=0.14, bottom=0.5
    )
    axes.set_yscale("log")
    ends = []
    for scheme, own in data.groupby("scheme", sort=False):
        style = styles[str(scheme)]
        positive = own.loc[own["value"] > 0]
        logs = np.log(positive["value"]).groupby(positive["rank"]).mean()
        if logs.empty:
            continue
        x, y = logs.index.to_numpy(), np.exp(logs.to_numpy())
        gid = mark(style.place)
        axes.plot(x, y, color=style.colour, linestyle=style.dash, gid=gid)
        axes.plot(x, y, style.marker, color=style.colour, markersize=3, gid=gid)
        ends.append(End(x[-1], y[-1], str(scheme), style))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    axes.set_xlabel("rank")
    axes.set_ylabel("singular value")
    label_ends(figure, axes, ends)
