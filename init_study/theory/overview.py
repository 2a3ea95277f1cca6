"""What `launch.py gain` shows of an activation."""

from math import isnan
from typing import Any

from init_study.activations import Activation, find_activation
from init_study.errors import UserError
from init_study.theory.maps import critical_sigma_w2, edge_of_chaos, q_slope
from init_study.theory.moments import gain, moments

_ONE = 1e-4


def gain_overview(name: str, q: float = 1.0) -> dict[str, Any]:
    """Constants of an activation for signals of variance q; None where there is none.

    `scale` is gain², the variance of weights times fan_in; `chi1`, `c0` and `q_slope`
    are with that scale and no bias.
    Raises: UserError for an unknown name, a function that cannot be evaluated, or one
        that has no gain.
    """
    phi = find_activation(name)
    value, found = gain(phi, q), moments(phi, q)
    sloped = not isnan(found.derivative)
    return {
        "gain": value,
        "scale": value**2,
        "mean": found.mean,
        "second_moment": found.second,
        "derivative_moment": found.derivative if sloped else None,
        "chi1": value**2 * found.derivative if sloped else None,
        "c0": found.mean**2 / found.second,
        "q_slope": q_slope(phi, q, value**2),
        "critical_sigma_w2": critical_sigma_w2(phi),
        "edge_of_chaos": _edge(phi, q),
    }


def gain_rows(overview: dict[str, Any]) -> list[dict[str, Any]]:
    """The same as the lines of a table."""
    what = {
        "gain": "std of weights times √fan_in that keeps the variance",
        "scale": "gain²",
        "mean": "E[φ]",
        "second_moment": "E[φ²]",
        "derivative_moment": "E[φ'²]",
        "chi1": "growth of gradients per layer, mean square",
        "c0": "correlation of unrelated inputs after a layer",
        "q_slope": "what becomes of a small error of the variance, per layer",
        "critical_sigma_w2": "scale between order and chaos, without a bias",
        "edge_of_chaos": "scale and bias variance that keep gradients too",
    }
    return [
        {"name": name, "value": _words(overview[name]), "what": text}
        for name, text in what.items()
    ]


def gain_sentence(overview: dict[str, Any]) -> str:
    """What it means, in one line."""
    growth, edge = overview["chi1"], overview["edge_of_chaos"]
    kept = "variance-preserving"
    if overview["q_slope"] > 1 + _ONE:
        kept = "variance-preserving (but a variance that is off drifts further off)"
    if growth is None:
        return f"{kept}; φ' has no second moment, so nothing is known of gradients"
    if abs(growth - 1) < _ONE:
        return f"{kept}, and gradients keep their size"
    verb = "grow by" if growth > 1 else "shrink to"
    sentence = f"{kept}, but gradients {verb} {growth:.4g} per layer (mean square)"
    if edge is None:
        return f"{sentence}; no bias mends that at this q"
    return f"{sentence}; the edge of chaos keeps both"


def _edge(phi: Activation, q: float) -> dict[str, float] | None:
    try:
        sigma_w2, sigma_b2 = edge_of_chaos(phi, q)
    except UserError:
        return None
    return {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return f"{value['sigma_w2']:.6g}, {value['sigma_b2']:.6g}"
    return f"{value:.6g}"
