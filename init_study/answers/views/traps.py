"""Traps that stand out before the first step, what came of them, and a way out.

The thresholds are rules of thumb: a finding says what to look at, and is no verdict.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from init_study.answers.comparison import Comparison
from init_study.answers.step_curves import at_best_rates
from init_study.answers.words import percent

# Orders of magnitude of a mean square, over all hidden layers together.
_SIGNAL, _GRADIENT = 2.0, 3.0
_DEAD, _BLIND = 0.5, 0.01


class RunTrap(NamedTuple):
    """A finding on one scheme.

    Attributes:
        scheme: its name.
        finding: what is seen.
        evidence: the number, mean over seeds.
        cure: what to try.
    """

    scheme: str
    finding: str
    evidence: str
    cure: str


def hidden_layers(
    scheme: str, layers: pd.DataFrame, step: int
) -> dict[str, Float[np.ndarray, "seeds layers"]]:
    """Arrange what is measured in hidden layers after a step, by metric.

    Args:
        scheme: its name.
        layers: of `at_best_rates`.
        step: 0 is before the first; empty where nothing was measured then.
    """
    own = layers.loc[(layers["scheme"] == scheme) & (layers["step"] == step)]
    hidden = own.loc[own["layer"] < own["layer"].max()]
    return {
        str(metric): table.pivot(
            index="seed", columns="layer", values="value"
        ).to_numpy(np.float64)
        for metric, table in hidden.groupby("metric")
    }


def find_traps(comparison: Comparison, layers: pd.DataFrame) -> tuple[RunTrap, ...]:
    """Find the traps of all schemes of a finished program, in the order of its rows.

    None for a run without layers.

    Args:
        comparison: of the program.
        layers: of `store.load_layers`.
    """
    ours = at_best_rates(comparison, layers)
    found = []
    for row in comparison.rows:
        start = hidden_layers(row.scheme, ours, 0)
        end = hidden_layers(row.scheme, ours, comparison.steps)
        # A net without a hidden layer has none of these traps.
        if start and next(iter(start.values())).shape[1]:
            with np.errstate(all="ignore"):
                findings = (rule(start, end) for rule in _RULES)
                found += [RunTrap(row.scheme, *one) for one in findings if one]
    return tuple(found)


_Measured = dict[str, np.ndarray]
_Finding = tuple[str, str, str] | None


def _not_finite(start: _Measured, end: _Measured) -> _Finding:
    seeds, layers = np.nonzero(~np.isfinite(start["signal"]))
    if not len(layers):
        return None
    return (
        f"the signal is not finite from hidden layer {layers.min() + 1} on",
        f"in {len(set(seeds.tolist()))} of {len(start['signal'])} seeds, before the "
        "first step",
        "a smaller scale, or a norm: see launch.py show",
    )


def _copies(start: _Measured, end: _Measured) -> _Finding:
    share = float(start["distinct"].min(1).mean())
    if not share < _ALL:
        return None
    evidence = f"{percent(share)} % of the filters of a layer are distinct"
    later = _at_the_end(end, "distinct")
    if np.isnan(later):
        return (
            "filters start as copies of one another",
            f"{evidence}; it was not measured after the last step",
            _COPIES_CURE,
        )
    if later >= _ALL:
        return (
            "filters start as copies of one another, and training tells them apart",
            f"{evidence}, all of them after the last step",
            "none is needed; such starts can be slow at first",
        )
    return (
        "filters are copies of one another, and stay so",
        f"{evidence}, and {percent(later)} % after the last step",
        _COPIES_CURE,
    )


_COPIES_CURE = (
    "random weights; zeros only in the head or at the end of residual branches"
)
# A share that is all but for rounding.
_ALL = 0.999


def _at_the_end(end: _Measured, metric: str) -> float:
    """Give the least of a layer and a seed; NaN where it was not measured, in any."""
    return float(end[metric].min()) if metric in end else float("nan")


def _signal(start: _Measured, end: _Measured) -> _Finding:
    powers = _powers(start["signal"])
    if not _SIGNAL < abs(powers) < np.inf:
        return None
    word = "explodes" if powers > 0 else "vanishes"
    return (
        f"the signal {word} on its way",
        f"its mean square changes by {_times(powers)} over the hidden layers",
        "a law that counts the fan and the activation: he_normal for ReLU, "
        "gain_normal for others; or a norm",
    )


def _gradient(start: _Measured, end: _Measured) -> _Finding:
    powers = -_powers(start["gradient"])
    if not _GRADIENT < abs(powers) < np.inf:
        return None
    word = "explodes" if powers > 0 else "vanishes"
    return (
        f"the gradient {word} on its way back",
        f"its mean square changes by {_times(powers)} over the hidden layers",
        "as for the signal; shortcuts; see launch.py show",
    )


def _no_gradient(start: _Measured, end: _Measured) -> _Finding:
    zero = float((start["weight_gradient"] == 0).mean())
    if not zero > 0:
        return None
    evidence = f"in {percent(zero)} % of the hidden layers"
    later = _at_the_end(end, "weight_gradient")
    if np.isnan(later):
        return (
            "hidden weights have no gradient at first",
            f"{evidence} before the first step; it was not measured after the last",
            "no zeros in two layers that follow one another",
        )
    if later > 0:
        return (
            "hidden weights have no gradient at first, and move later",
            f"{evidence} before the first step, in none after the last",
            "none is needed: zeros in front of them move first",
        )
    still = float((end["weight_gradient"] == 0).mean())
    return (
        "hidden weights have no gradient and do not move",
        f"{evidence} before the first step, and in {percent(still)} % after the last",
        "no zeros in two layers that follow one another",
    )


def _dead(start: _Measured, end: _Measured) -> _Finding:
    share = float(start["dead"].max(1).mean())
    if not share > _DEAD:
        return None
    return (
        "units are dead or saturated on the whole batch",
        f"{percent(share)} % of those of a layer",
        "smaller biases, a smaller scale, or an activation that is nowhere flat",
    )


def _blind(start: _Measured, end: _Measured) -> _Finding:
    seen = float((start["spread"][:, -1] / start["signal"][:, -1]).mean())
    if not seen < _BLIND:
        return None
    return (
        "the last hidden layer gives much the same for all images",
        f"{percent(seen)} % of its mean square vary from image to image",
        "smaller biases; a scale nearer to the edge of chaos",
    )


def _powers(values: np.ndarray) -> float:
    return float(np.mean(np.log10(values[:, -1] / values[:, 0])))


def _times(powers: float) -> str:
    return f"10^{powers:+.1f}".replace("+", "").replace("-", "−")


_RULES: tuple[Callable[[_Measured, _Measured], _Finding], ...] = (
    _not_finite,
    _copies,
    _no_gradient,
    _signal,
    _gradient,
    _dead,
    _blind,
)
