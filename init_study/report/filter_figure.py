"""The filters of the first layer as pictures, untrained and trained."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from init_study.answers import Comparison
from init_study.answers.columns import shorten
from init_study.report.palette import LABEL_WIDTH, SchemeStyle, inner_axes, label_inches
from init_study.report.shown import Shown
from init_study.report.svg import INK, Drawing

Kernels = Mapping[tuple[str, int, str, float], Float[np.ndarray, "h w in out"]]
_MOST_FILTERS = 8


def filter_figure(
    name: str,
    comparison: Comparison,
    kernels: Kernels,
    styles: Mapping[str, SchemeStyle],
) -> dict[str, Shown]:
    """Show the first seed's filters of every scheme at its best rate.

    Args:
        name: letters and digits, which the name of its drawing begins with.
        comparison: of the program, by `answers.compare_runs`.
        kernels: of `store.load_filters`.
        styles: of all schemes of the study.

    Returns: nothing where no filters were kept.
    """
    pairs = {}
    for row in comparison.rows:
        rate = row.best.learning_rate
        places = [
            (comparison.program, step, row.scheme, rate)
            for step in (0, comparison.steps)
        ]
        if all(place in kernels for place in places):
            before, after = (kernels[place] for place in places)
            pairs[row.scheme] = before, after
    if not pairs:
        return {}
    size = 8.0, 0.55 + 0.42 * len(pairs)
    label = f"{comparison.label}: filters of the first layer of each scheme"
    return {
        "filters": Shown(
            "Filters of the first layer",
            f"The first {_MOST_FILTERS} filters of the first seed, the mean over input "
            "channels, each scheme at its best learning rate. Grey is zero; black and "
            "white are as far from it as a scheme's largest number at that time.",
            {
                "pictures": Drawing(
                    size, f"{name}filters", label, _plot, (pairs, styles)
                )
            },
            _table(pairs),
            wide=True,
        )
    }


def _table(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    rows = [
        (scheme, when, *place, value)
        for scheme, both in pairs.items()
        for when, kernel in zip(("before", "after"), both, strict=True)
        for place, value in np.ndenumerate(kernel)
    ]
    columns = ["scheme", "when", "row", "column", "in", "out", "value"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def _plot(
    figure: Figure,
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    styles: Mapping[str, SchemeStyle],
) -> None:
    axes = inner_axes(
        figure, left=label_inches(styles), right=0.1, top=0.3, bottom=0.05
    )
    picture = np.concatenate([_strip(*both) for both in pairs.values()])
    axes.imshow(
        picture, cmap="gray", vmin=-1, vmax=1, aspect="auto", interpolation="nearest"
    )
    height = len(picture) / len(pairs)
    names = [shorten(scheme, LABEL_WIDTH) for scheme in pairs]
    axes.set_yticks((np.arange(len(pairs)) + 0.5) * height - 1, names)
    axes.set_xticks(
        [picture.shape[1] * share for share in (0.24, 0.76)],
        ["before the first step", "after the last"],
    )
    axes.tick_params(length=0, labeltop=True, labelbottom=False, labelcolor=INK)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _strip(before: np.ndarray, after: np.ndarray) -> Float[np.ndarray, "h w"]:
    """Put the filters before and after training side by side, a gap between the two."""
    parts = [_side_by_side(before), np.full((before.shape[0] + 1, 3), np.nan)]
    return np.concatenate([*parts, _side_by_side(after)], axis=1)


def _side_by_side(kernel: np.ndarray) -> Float[np.ndarray, "h w"]:
    filters = kernel.mean(2)[..., :_MOST_FILTERS]
    scale = np.abs(filters).max()
    filters = filters / scale if scale > 0 else filters
    height, width, count = filters.shape
    strip = np.full((height + 1, _MOST_FILTERS * (width + 1)), np.nan)
    for i in range(count):
        left = i * (width + 1)
        strip[:height, left : left + width] = filters[..., i]
    return strip
