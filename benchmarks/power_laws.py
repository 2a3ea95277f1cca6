"""Power laws through measured points: y = c · xᵃ. Pure."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np
from scipy import stats

# Fewer points say nothing of how far an exponent is off.
_FEWEST = 3


def fitted(axis: str, points: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Fit an exponent to each measure, on logarithms, with its interval at 95 %.

    Points where nothing was taken are left out. What a measure costs once, however
    small the axis, makes its exponent smaller; so that of the last two points, which
    has no interval, stands beside it.

    Args:
        axis: the name of what grows, in every point.
        points: measures by name.

    Example:
        >>> points = [{"depth": x, "bytes": 3.0 * x**2} for x in (1, 2, 4, 8)]
        >>> found = fitted("depth", points)["bytes"]
        >>> [round(found[key], 3) for key in ("exponent", "low", "high", "last")]
        [2.0, 2.0, 2.0, 2.0]
    """
    names = dict.fromkeys(name for point in points for name in point if name != axis)
    found = {}
    for name in names:
        pairs = [(p[axis], p[name]) for p in points if p.get(name, 0) > 0]
        if len(pairs) < _FEWEST:
            continue
        x, y = np.log(np.array(pairs, float)).T
        line = stats.linregress(x, y)
        # What does not vary at all has no error, and SciPy says that it has none.
        error = float(np.nan_to_num(line.stderr))
        wide = float(stats.t.ppf(0.975, len(pairs) - 2)) * error
        (x0, y0), (x1, y1) = pairs[-2:]
        found[name] = {
            "exponent": float(line.slope),
            "low": float(line.slope) - wide,
            "high": float(line.slope) + wide,
            "last": log(y1 / y0) / log(x1 / x0),
            "n": len(pairs),
        }
    return found


def growth_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Write exponents as a Markdown table, a row for each axis and measure.

    Args:
        records: of each axis its name, points and exponents.
    """
    rows = [
        "| grows | from | to | arithmetic | what | exponent | of the last two |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for record in records:
        axis, points = record["axis"], record["points"]
        for name, one in record["exponents"].items():
            span = f"{points[0][axis]} | {points[-1][axis]} | {record['arithmetic']}"
            interval = f"{one['low']:.2f} to {one['high']:.2f}"
            rows.append(
                f"| {axis} | {span} | {name} | {one['exponent']:.2f} ({interval}) | "
                f"{one['last']:.2f} |"
            )
    return "\n".join(rows)
