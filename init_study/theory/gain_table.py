"""Constants of activations, as `launch.py gain` shows them."""

from collections.abc import Callable, Iterable
from typing import Any

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.theory.criticality import (
    critical_at_bias,
    critical_sigma_w2,
    critical_variances,
)
from init_study.theory.maps import q_slope
from init_study.theory.moments import derivative_moment, gain, moments
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


def gain_overview(
    name: str, q: float = 1.0, bias_variance: float | None = None
) -> dict[str, Any]:
    """Collect an activation's constants for signals of variance q.

    None where there is none; `missing` says why, by name.

    `scale` is gain², the variance of weights times fan_in; `chi1`, `c0` and `q_slope`
    are with that scale and no bias. `edge_of_chaos` is that at q or, if the variance of
    the biases is given, the one with it, and the q that goes with it.

    Args:
        name: as of `shaped_activation`.
        q: the variance of pre-activations.
        bias_variance: σ_b² of the edge of chaos.

    Raises: UserError for an unknown name, a function that cannot be evaluated, or one
        that has no gain.

    Example:
        >>> round(gain_overview("relu")["scale"], 6)
        2.0
        >>> edge = gain_overview("tanh", bias_variance=0.05)["edge_of_chaos"]
        >>> round(edge["sigma_w2"], 3)
        1.761
    """
    if bias_variance is not None:
        check_number("bias_variance", bias_variance, least=0)
    phi = shaped_activation(name) if "(" in name else name
    value, found = gain(phi, q), moments(phi, q)
    missing: dict[str, str] = {}

    def known(constant: str, compute: Callable[[], Any]) -> Any:
        try:
            return compute()
        except UserError as error:
            missing[constant] = str(error)
            return None

    slope = known("derivative_moment", lambda: derivative_moment(phi, q))
    return {
        "activation": name,
        "q": q,
        "gain": value,
        "scale": value**2,
        "mean": found.mean,
        "second_moment": found.second,
        "derivative_moment": slope,
        "chi1": None if slope is None else value**2 * slope,
        "c0": found.mean**2 / found.second,
        "q_slope": known("q_slope", lambda: q_slope(phi, q, value**2)),
        "critical_sigma_w2": critical_sigma_w2(phi),
        "edge_of_chaos": known("edge_of_chaos", lambda: _edge(phi, q, bias_variance)),
        "missing": missing,
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
    growth = overview["chi1"]
    said = f"Weights of std {overview['gain']:.4g}/√fan_in are variance-preserving"
    if growth is None:
        said += ", but nothing is known of gradients"
    elif abs(growth - 1) < _ONE:
        said += ", and gradients keep their size"
    else:
        verb = "grow by" if growth > 1 else "shrink to"
        said += f", but gradients {verb} {growth:.4g} per layer (mean square), "
        said += f"{growth**20:.2g} over 20 layers. "
        said += _edge_words(overview)
    drift = overview["q_slope"]
    if drift is not None and drift > 1 + _ONE:
        said += ". Without a bias, a variance that is off drifts further off"
    return f"{said}."


def gain_reasons(overview: dict[str, Any]) -> list[str]:
    """Write why constants are missing, a line each and no reason twice.

    Example:
        >>> gain_reasons(gain_overview("relu"))
        []
    """
    return list(dict.fromkeys(overview["missing"].values()))


def _edge_words(overview: dict[str, Any]) -> str:
    edge = overview["edge_of_chaos"]
    if edge is None:
        with_it = "sigma_b2=" in overview["missing"].get("edge_of_chaos", "")
        if with_it:
            return "No weights mend that with this bias"
        return f"No bias mends that at q={overview['q']:g}"
    at_q = f" at q={edge['q']:.4g}" if "q" in edge else ""
    return (
        f"The edge of chaos{at_q} keeps both: weights of std "
        f"{edge['sigma_w2'] ** 0.5:.4g}/√fan_in, "
        f"biases of std {edge['sigma_b2'] ** 0.5:.4g}"
    )


def _edge(phi: Activation | str, q: float, bias: float | None) -> dict[str, float]:
    if bias is None:
        sigma_w2, sigma_b2 = critical_variances(phi, q)
        return {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    sigma_w2, at = critical_at_bias(phi, bias)
    return {"sigma_w2": sigma_w2, "sigma_b2": bias, "q": at}


def _words(value: Any, digits: int) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return ", ".join(_words(number, digits) for number in value.values())
    return f"{value:.{digits}g}"
