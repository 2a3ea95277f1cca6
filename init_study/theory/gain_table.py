"""Constants of activations, as `launch.py gain` shows them."""

from collections.abc import Iterable
from math import isnan
from typing import Any

from init_study.activations import Activation
from init_study.errors import UserError
from init_study.theory.criticality import critical_sigma_w2, critical_variances
from init_study.theory.maps import q_slope
from init_study.theory.moments import gain, moments
from init_study.theory.shaping import shaped_activation

_WHAT = {
    "gain": "std of weights times √fan_in that keeps q, the signal's mean square",
    "scale": "gain²: their variance times fan_in",
    "mean": "E[φ]",
    "second_moment": "E[φ²]",
    "derivative_moment": "E[φ'²]",
    "chi1": "factor on a gradient's mean square per layer, backwards",
    "c0": "correlation of two unrelated inputs after a layer",
    "q_slope": "factor on a small error of q per layer",
    "critical_sigma_w2": "scale between order and chaos, without a bias",
    "edge_of_chaos": "scale and bias variance that keep q and the gradients",
}
_ONE = 1e-4


def gain_overview(name: str, q: float = 1.0) -> dict[str, Any]:
    """Collect an activation's constants for signals of variance q.

    None where there is none.

    `scale` is gain², the variance of weights times fan_in; `chi1`, `c0` and `q_slope`
    are with that scale and no bias.

    Args:
        name: as of `shaped_activation`.
        q: the variance of pre-activations.

    Raises: UserError for an unknown name, a function that cannot be evaluated, or one
        that has no gain.

    Example:
        >>> round(gain_overview("relu")["scale"], 6)
        2.0
    """
    phi = shaped_activation(name) if "(" in name else name
    value, found = gain(phi, q), moments(phi, q)
    sloped = not isnan(found.derivative)
    return {
        "activation": name,
        "q": q,
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
    """Write one activation as the lines of a table that explains itself."""
    return [
        {"name": name, "value": _words(overview[name], 6), "what": text}
        for name, text in _WHAT.items()
    ]


def gain_columns(overviews: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write several activations as the lines of a table, one each."""
    names = {
        "activation": "activation",
        "gain": "gain",
        "second_moment": "E[φ²]",
        "derivative_moment": "E[φ'²]",
        "mean": "E[φ]",
        "chi1": "chi1",
        "c0": "c0",
        "q_slope": "q_slope",
        "critical_sigma_w2": "critical",
        "edge_of_chaos": "edge_of_chaos",
    }
    return [
        {title: _words(overview[name], 4) for name, title in names.items()}
        for overview in overviews
    ]


def gain_sentence(overview: dict[str, Any]) -> str:
    """Say in a sentence what an activation's constants mean for a deep net."""
    growth, edge = overview["chi1"], overview["edge_of_chaos"]
    said = f"Weights of std {overview['gain']:.4g}/√fan_in are variance-preserving"
    if growth is None:
        said += (
            ", but φ jumps or is too steep for E[φ'²]: nothing is known of gradients"
        )
    elif abs(growth - 1) < _ONE:
        said += ", and gradients keep their size"
    else:
        verb = "grow by" if growth > 1 else "shrink to"
        said += f", but gradients {verb} {growth:.4g} per layer (mean square), "
        said += f"{growth**20:.2g} over 20 layers. "
        if edge is None:
            said += f"No bias mends that at q={overview['q']:g}"
        else:
            said += "The edge of chaos keeps both: weights of std "
            said += f"{edge['sigma_w2'] ** 0.5:.4g}/√fan_in, "
            said += f"biases of std {edge['sigma_b2'] ** 0.5:.4g}"
    if overview["q_slope"] > 1 + _ONE:
        said += ". Without a bias, a variance that is off drifts further off"
    return f"{said}."


def _edge(phi: Activation | str, q: float) -> dict[str, float] | None:
    try:
        sigma_w2, sigma_b2 = critical_variances(phi, q)
    except UserError:
        return None
    return {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}


def _words(value: Any, digits: int) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return ", ".join(_words(number, digits) for number in value.values())
    return f"{value:.{digits}g}"
