"""What a study's instruments gave, by step: a panel for every number."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from init_study.answers import Comparison
from init_study.answers.statistics import Interval
from init_study.answers.step_curves import at_best_rates
from init_study.answers.views.explained import explanation_agreement
from init_study.answers.views.foretold import foretold
from init_study.answers.words import count
from init_study.report.palette import SchemeStyle, names
from init_study.report.shown import Shown
from init_study.report.svg import Drawing, mark
from init_study.report.tables import Card, Rows

_COLUMNS, _MOST_PANELS = 3, 12
_PANEL_WIDTH, _PANEL_HEIGHT, _LEGEND_ROW = 3.2, 2.0, 0.2
# From here on an axis is logarithmic.
_WIDE_RANGE = 30.0
_MOST_FORETELLING, _SURE = 25, 0.05


def reading_figures(
    name: str,
    comparison: Comparison,
    readings: pd.DataFrame,
    said: Mapping[str, Mapping[str, Any]],
    styles: Mapping[str, SchemeStyle],
) -> dict[str, Shown]:
    """Show what the instruments of a study gave, by instrument.

    Args:
        name: letters and digits, which the names of its drawings begin with.
        comparison: of the program, by `answers.compare_runs`.
        readings: of `store.load_readings`.
        said: what the manifest says of each instrument: `what` and `units`.
        styles: of all schemes of the study.

    Returns: nothing for a study without instruments.
    """
    ours = at_best_rates(comparison, readings)
    return {
        str(instrument): _figure(name, str(instrument), comparison, own, said, styles)
        for instrument, own in ours.groupby("instrument", sort=False)
    }


def _figure(
    name: str,
    instrument: str,
    comparison: Comparison,
    own: pd.DataFrame,
    said: Mapping[str, Mapping[str, Any]],
    styles: Mapping[str, SchemeStyle],
) -> Shown:
    numbers = list(dict.fromkeys(own["number"]))
    shown = numbers[:_MOST_PANELS]
    what, units = (said.get(instrument, {}).get(x, "?") for x in ("what", "units"))
    caption = (
        f"{what[:1].upper()}{what[1:]} ({units}), on "
        "the same few images of the training data for all members, each scheme at its "
        f"best learning rate: median of {count(comparison.num_seeds, 'seed')}, band: "
        "the lowest and the highest. Of a number that each layer, rate or tensor has, "
        "the mean over them. What is not finite is not drawn."
    )
    if len(numbers) > len(shown):
        rest = len(numbers) - len(shown)
        caption += f" The data have {count(rest, 'more number')}."
    rows = -(-len(shown) // _COLUMNS)
    size = (
        _PANEL_WIDTH * min(_COLUMNS, len(shown)),
        _PANEL_HEIGHT * rows + _LEGEND_ROW * (1 + len(styles) // 4),
    )
    drawing = Drawing(
        size,
        f"{name}read{''.join(filter(str.isalnum, instrument))}",
        f"{comparison.label}: {instrument} of each scheme by step",
        _plot,
        (own.loc[own["number"].isin(shown)], comparison.steps, styles),
        names(styles),
    )
    columns = ["scheme", "seed", "step", "number", "place", "value"]
    title = f"{instrument.replace('_', ' ').capitalize()} by step"
    return Shown(
        title, caption, {"panels": drawing}, own.reindex(columns=columns), wide=True
    )


def _plot(
    figure: Figure,
    table: pd.DataFrame,
    steps: int,
    styles: Mapping[str, SchemeStyle],
) -> None:
    numbers = list(dict.fromkeys(table["number"]))
    width, height = figure.get_size_inches()
    for place, number in enumerate(numbers):
        row, column = divmod(place, _COLUMNS)
        top = height - row * _PANEL_HEIGHT
        axes = figure.add_axes(
            (
                (column * _PANEL_WIDTH + 0.62) / width,
                (top - _PANEL_HEIGHT + 0.42) / height,
                (_PANEL_WIDTH - 0.8) / width,
                (_PANEL_HEIGHT - 0.72) / height,
            )
        )
        _plot_panel(axes, str(number), table.loc[table["number"] == number], styles)
        axes.set_xlim(-0.02 * steps, 1.02 * steps)
    _plot_legend(figure, table, styles)


def _plot_panel(
    axes: Axes, number: str, table: pd.DataFrame, styles: Mapping[str, SchemeStyle]
) -> None:
    """Draw one number of all schemes by step."""
    finite = table.loc[np.isfinite(table["value"])]
    each = finite.groupby(["scheme", "seed", "step"], sort=False)["value"].mean()
    over = each.groupby(["scheme", "step"], sort=False)
    found = over.agg(["median", "min", "max"]).reset_index()
    for scheme, curve in found.groupby("scheme", sort=False):
        style = styles[str(scheme)]
        curve = curve.sort_values("step")
        line: dict[str, Any] = {"color": style.colour, "gid": mark(style.place)}
        axes.fill_between(
            curve["step"], curve["min"], curve["max"], alpha=0.13, linewidth=0, **line
        )
        axes.plot(curve["step"], curve["median"], linestyle=style.dash, **line)
        axes.plot(curve["step"], curve["median"], style.marker, markersize=2.5, **line)
    axes.set_title(number.replace("_", " "), loc="left", fontsize="medium")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("step")
    _scale(axes, found["median"].to_numpy())


def _scale(axes: Axes, values: np.ndarray) -> None:
    """Make the axis logarithmic where all is positive and the range is wide."""
    wide = len(values) and values.min() > 0
    if wide and values.max() > _WIDE_RANGE * values.min():
        axes.set_yscale("log")
        axes.set_ylim(values.min() / 1.5, values.max() * 1.5)
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _written(value)))


def _written(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _plot_legend(
    figure: Figure, table: pd.DataFrame, styles: Mapping[str, SchemeStyle]
) -> None:
    """Name the schemes below the panels, each in its colour."""
    width, height = figure.get_size_inches()
    shown = [scheme for scheme in styles if scheme in set(table["scheme"])]
    columns = max(1, int(width // 2.4))
    for place, scheme in enumerate(shown):
        row, column = divmod(place, columns)
        style = styles[scheme]
        y = (_LEGEND_ROW * (len(shown) // columns - row) + 0.1) / height
        figure.text(
            (0.62 + 2.4 * column) / width,
            max(0.0, y),
            f"{scheme}",
            color=style.colour,
            gid=mark(style.place),
            fontsize="small",
        )


def foretold_card(
    comparisons: Sequence[Comparison], records: pd.DataFrame, readings: pd.DataFrame
) -> Card[Rows] | None:
    """Say which numbers foretold how members ended; None where there are too few.

    Args:
        comparisons: of all programs of the study.
        records: of `store.load`.
        readings: of `store.load_readings`.
    """
    found = foretold(comparisons, records, readings)
    if not found:
        return None
    by_name = {
        name: {
            outcome: one
            for outcome, rows in found.items()
            for one in rows
            if one.name == name
        }
        for name in (one.name for one in next(iter(found.values())))
    }
    shown = list(by_name)[:_MOST_FORETELLING]
    rows = [
        {"before the first step": name.replace("_", " ")}
        | {
            f"{outcome}, {of}": _told(*numbers)
            for outcome, one in by_name[name].items()
            for of, numbers in (
                ("schemes", (one.schemes, one.p_schemes)),
                ("seeds", (one.seeds, one.p_seeds)),
            )
        }
        for name in shown
    ]
    sure = {
        outcome: sum(one.p_schemes < _SURE for one in rows)
        for outcome, rows in found.items()
    }
    said = "; ".join(f"{outcome}: {many}" for outcome, many in sure.items())
    return Card(
        "Did anything foretell the end?",
        rows,
        "Kendall's rank correlation out of sample: of all pairs of schemes (of seeds "
        "of one scheme), how many more a number orders as they ended than the other "
        "way round, where whether more is better is learned from the other schemes "
        "alone; 0 foretells nothing. In brackets a 95 % interval of a bootstrap over "
        "schemes; a star: p < 5 % in a permutation test, adjusted by Holm for "
        f"{len(by_name)} numbers. With a star, of schemes: {said}. Of {len(by_name)} "
        f"numbers {len(shown)} are shown, the best of the first column first.",
    )


def _told(interval: Interval, p: float) -> str:
    if not np.isfinite(interval.mean):
        return "–"
    ends = f"{interval.low:+.2f} to {interval.high:+.2f}"
    star = "*" if p < _SURE else ""
    return f"{interval.mean:+.2f}{star} ({ends})".replace("-", "−")


def agreement_card(comparison: Comparison, raw: pd.DataFrame) -> Card[Rows] | None:
    """Say whether explanations and representations agree; None without any.

    Args:
        comparison: of the program.
        raw: readings of explanations and representations.
    """
    rows = [
        {
            "scheme": one.scheme,
            "explanation, or layer": one.kind.partition("/")[2],
            "seeds, before": _share_of_one(one.seeds_before),
            "seeds, after": _share_of_one(one.seeds_after),
            "schemes, before": _share_of_one(one.schemes_before),
            "schemes, after": _share_of_one(one.schemes_after),
            "before and after": _share_of_one(one.training),
        }
        for one in explanation_agreement(comparison, raw)
    ]
    if not rows:
        return None
    return Card(
        "Do explanations agree?",
        rows,
        "Of members at each scheme's best learning rate, before the first step and "
        "after the last, on the same few images: between seeds of the scheme, with "
        "other schemes of the same seed, and of a member with its own start. Maps of "
        "the gradient, of integrated gradients and of Grad-CAM by Spearman's rank "
        "correlation over pixels; layers by CKA without bias. 1 agrees, 0 is chance. "
        "Means over pairs. Schemes of one seed scale the same random numbers, where "
        "their laws allow it, and begin alike.",
    )


def _share_of_one(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–"
