"""What theory predicts for a network beside what is measured there, layer by layer.

Two predictions stand beside each number. One starts at the images and is carried
through the whole network by an ensemble (`init_study.mean_field.predict`). The other
goes one layer on from what was measured, by the maps of `init_study.theory`, and is
there where a layer reads an activation of the one before and nothing else.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.activations import Activation
from init_study.errors import UserError
from init_study.instruments.cosines import pair_cosines
from init_study.instruments.gains import Gain, predicted_gain, tap_squares
from init_study.instruments.signals import gradients_at_layers, layer_signals
from init_study.mean_field.ensemble import of_images
from init_study.mean_field.predict import predict
from init_study.mean_field.walk import walk
from init_study.network import Forward, ModelState, Network, Params, trace_forward
from init_study.theory import c_map, chi1, q_map

# What is read may differ from the activation by rounding alone.
_SAME = 1e-4


class Beside(NamedTuple):
    """A number of every layer, `[layers]`, and what theory says of it.

    Attributes:
        measured: on the batch.
        predicted: by mean-field theory, from the images on; NaN where it knows an
            operation of the network not.
        mapped: by theory from the number measured one layer before, or behind for
            gradients; NaN where more than an activation lies between.
    """

    measured: Float[np.ndarray, " layers"]
    predicted: Float[np.ndarray, " layers"]
    mapped: Float[np.ndarray, " layers"]


class Propagation(NamedTuple):
    """How signals, gradients and likenesses go through a network.

    Attributes:
        signal: mean square of the layer's output, before norm and activation: the
            length map.
        gradient: mean square of the gradient there, for gradients of variance 1 at the
            network's result.
        cosine: mean cosine between the outputs of two images: the correlation map.
        growth: χ1, by how much the mean square of a small change of the images grows
            from this layer's output to the next one's. `predicted` takes the predicted
            signal, `mapped` the measured one; NaN at the last layer.
        why: there are no predictions, in a line; empty where there are.
    """

    signal: Beside
    gradient: Beside
    cosine: Beside
    growth: Beside
    why: str


def propagation(
    network: Network,
    params: Params,
    state: ModelState,
    images: Float[Array, "n ..."],
    key: PRNGKeyArray,
) -> Propagation:
    """Measure signals and gradients of a network, and predict them from its weights.

    What predicts is the mean square of the kernels' own weights at each tap, and what
    else the network has.

    Args:
        network: a traced network.
        params: its parameters.
        state: its state.
        images: a batch; cosines need two.
        key: of gradients, changes, dropout and the ensemble.

    Reference: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017,
    arXiv:1611.01232. The ensemble takes images whose mean product is below zero, their
    mean taken away, for unrelated; the maps do not.
    Cost: 3 F + 2 B, the ensemble's walk twice, and integrals of each activation.

    Example:
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(8), (1, 1, 4))
        >>> images = jnp.eye(4).reshape(4, 1, 1, 4)
        >>> params = {"Dense_0": {"kernel": jnp.ones((4, 8)), "bias": jnp.zeros(8)}}
        >>> found = propagation(network, params, {}, images, jax.random.key(0))
        >>> float(found.signal.measured[0]), round(float(found.signal.predicted[0]), 2)
        (1.0, 1.0)
        >>> found.why
        ''
    """
    forward = trace_forward(network, params, state, images)
    squares = tap_squares(network, params, state)
    gains = [
        predicted_gain(forward.traced, layer, np.asarray(square, np.float64))
        for layer, square in zip(forward.layers, squares, strict=True)
    ]
    measure_key, predict_key = jax.random.split(key)
    measured = _measure(network, params, state, images, measure_key)
    foreseen, why = _foresee(
        network, (params, state, images), (forward, gains, squares), predict_key
    )
    links = _links(network, measured["direct"])
    biases = _bias_squares(network, params)
    foreseen["growth"] = _growths(links, gains, foreseen["signal"])
    mapped = _mapped(links, gains, biases, measured)
    mapped["growth"] = _growths(links, gains, measured["signal"])
    rows = {
        name: Beside(measured[name], foreseen[name], mapped[name])
        for name in ("signal", "gradient", "cosine", "growth")
    }
    return Propagation(**rows, why=why)


_Numbers = dict[str, Float[np.ndarray, " layers"]]
# The activation between a layer and the next, or None for anything else.
_Links = list[Activation | None]


def _measure(
    network: Network,
    params: Params,
    state: ModelState,
    images: Array,
    key: PRNGKeyArray,
) -> _Numbers:
    """Measure all of a network, and whether a layer reads the one before directly."""
    own_key, cotangent_key, noise_key = jax.random.split(key, 3)

    def read(params: Params, images: Array) -> dict[str, Array]:
        def outputs(images: Array, key: PRNGKeyArray = own_key) -> tuple[Array, ...]:
            own = jax.random.clone(key)
            return layer_signals(network, params, state, images, key=own).outputs

        result = jax.eval_shape(
            lambda: layer_signals(network, params, state, images).result
        )
        signals, gradients = gradients_at_layers(
            network,
            params,
            state,
            images,
            jax.random.normal(cotangent_key, result.shape),
            key=jax.random.clone(own_key),
        )
        # Forwards as the derivative of backwards: some functions know no other.
        values, back = jax.vjp(outputs, images)
        _, push = jax.vjp(lambda c: back(c)[0], jax.tree.map(jnp.zeros_like, values))
        (changes,) = push(jax.random.normal(noise_key, images.shape, images.dtype))
        grown = [_square(change) for change in changes]
        pairs = zip(grown[1:], grown[:-1], strict=True)
        nothing = jnp.float32(jnp.nan)
        return {
            "signal": _stacked([_square(one) for one in signals.outputs]),
            "gradient": _stacked([_square(one) for one in gradients]),
            "cosine": _stacked([_mean_cosine(one) for one in signals.outputs]),
            "growth": _stacked([*(b / a for b, a in pairs), nothing][: len(grown)]),
            "direct": _stacked(
                [
                    _is_direct(layer.activation, output, following)
                    for layer, output, following in zip(
                        network.layers[:-1],
                        signals.outputs[:-1],
                        signals.inputs[1:],
                        strict=True,
                    )
                ]
            ),
        }

    return {n: np.asarray(v) for n, v in jax.jit(read)(params, images).items()}


def _is_direct(function: Activation | None, output: Array, following: Array) -> Array:
    """Tell whether the next layer reads an activation of this one, and no more."""
    if function is None or output.size != following.size:
        return jnp.zeros((), bool)
    wanted, found = function(output).ravel(), following.ravel()
    return jnp.max(jnp.abs(wanted - found)) <= _SAME * jnp.max(jnp.abs(wanted))


def _foresee(
    network: Network,
    subject: tuple[Params, ModelState, Array],
    theory: tuple[Forward, list[Gain], Any],
    key: PRNGKeyArray,
) -> tuple[_Numbers, str]:
    """Predict from the images on; NaN, and why, where an operation is not known."""
    (params, state, images), (forward, gains, squares) = subject, theory
    nothing = np.full(len(network.layers), np.nan)
    try:
        found = predict(network, params, state, squares, images, key)
        start_key, walk_key = jax.random.split(jax.random.fold_in(key, 2))
        walked = walk(forward, walk_key, of_images(start_key, images), gains)
    except UserError as error:
        return dict.fromkeys(("signal", "gradient", "cosine"), nothing), str(error)
    cosines = [np.asarray(_mean_cosine(one)) for one in walked.outputs]
    return {
        "signal": np.asarray(found.signals),
        "gradient": np.asarray(found.gradients),
        "cosine": np.asarray(cosines),
    }, ""


def _links(network: Network, direct: np.ndarray) -> _Links:
    layers = network.layers[:-1]
    return [
        layer.activation if same else None
        for layer, same in zip(layers, direct, strict=True)
    ]


def _mapped(
    links: _Links, gains: list[Gain], biases: list[float], measured: _Numbers
) -> _Numbers:
    """Go one layer on from what was measured, or back for gradients."""
    found = {
        name: np.full(len(gains), np.nan) for name in ("signal", "gradient", "cosine")
    }
    for place, phi in enumerate(links):
        q, c, g = (
            float(value)
            for value in (
                measured["signal"][place],
                measured["cosine"][place],
                measured["gradient"][place + 1],
            )
        )
        if phi is None or not (np.isfinite(q) and q > 0):
            continue
        forwards, backwards = (float(one) for one in gains[place + 1])
        bias = biases[place + 1]
        found["signal"][place + 1] = _known(q_map, phi, q, forwards, bias)
        found["gradient"][place] = g * _known(chi1, phi, backwards, q)
        # Cosines of equal vectors may be above 1 by rounding.
        if np.isfinite(c):
            near = min(max(c, -1.0), 1.0)
            found["cosine"][place + 1] = _known(c_map, phi, near, q, forwards, bias)
    return found


def _growths(
    links: _Links, gains: list[Gain], signal: np.ndarray
) -> Float[np.ndarray, " layers"]:
    """Compute χ1 at each layer whose output is read directly."""
    found = np.full(len(gains), np.nan)
    for place, phi in enumerate(links):
        q = float(signal[place])
        if phi is not None and np.isfinite(q) and q > 0:
            found[place] = _known(chi1, phi, float(gains[place + 1].forward), q)
    return found


def _known(function: Any, *numbers: Any) -> float:
    """Compute what theory says; NaN where a moment does not exist."""
    try:
        return function(*numbers)
    except UserError:
        return np.nan


def _bias_squares(network: Network, params: Params) -> list[float]:
    flat: Any = traverse_util.flatten_dict(params)
    return [
        float(_square(flat[layer.bias])) if layer.bias else 0.0
        for layer in network.layers
    ]


def _mean_cosine(values: Array) -> Float[Array, ""]:
    if len(values) < 2:
        return jnp.float32(jnp.nan)
    return pair_cosines(values.reshape(len(values), -1)).mean


def _square(values: Array) -> Float[Array, ""]:
    return jnp.mean(values.astype(jnp.float32) ** 2)


def _stacked(rows: list[Array]) -> Array:
    return jnp.stack(rows) if rows else jnp.zeros(0)
