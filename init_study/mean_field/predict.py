"""Mean-field predictions: mean squares of a whole network's signals and gradients.

Every value of the network is replaced by random numbers `[images, places, channels]` of
a very wide net, an ensemble (`init_study.mean_field.ensemble`). A layer with random
weights turns them into new normal numbers whose second moments follow from the mean
squares of its weights, exactly so in the limit of large width; on the way back it does
the same to gradients. All else, activations, norms, sums and pools, is done to the
numbers themselves. README.md beside this file says what is left out.

References: Poole et al. 2016, arXiv:1606.05340, for the limit; Bingham & Miikkulainen
2021, arXiv:2109.08958 (AutoInit), for moments carried through a graph of operations.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.instruments.gains import Gain, predicted_gain
from init_study.keys import fixed_key
from init_study.mean_field.ensemble import (
    PLACES,
    SHAPE,
    of_images,
    of_noise,
    standard,
)
from init_study.mean_field.walk import walk
from init_study.network import Forward, ModelState, Network, Params, trace_forward


class PredictedSignals(NamedTuple):
    """Predicted mean squares at every layer, in the order of `network.layers`.

    Attributes:
        inputs: mean square of what it reads.
        signals: mean square of its output, bias included, before norm and activation.
        gradients: mean square of the gradient there, for gradients of variance 1 at the
            network's result.
    """

    inputs: tuple[Any, ...]
    signals: tuple[Any, ...]
    gradients: tuple[Any, ...]


def predict(
    network: Network,
    params: Params,
    model_state: ModelState,
    squares: Sequence[Float[Array | np.ndarray, "..."]],
    images: Float[Array, "n ..."],
    key: PRNGKeyArray,
) -> PredictedSignals:
    """Predict the mean squares of signals and gradients at every layer.

    Args:
        network: a traced network.
        params: its parameters; only those count that are no kernels.
        model_state: its state.
        squares: mean squares of the kernels' weights at each tap, as of
            `gains.tap_squares`, or their means over many draws.
        images: a batch; what the network reads.
        key: of the ensemble's random numbers.

    Raises: UserError for an operation that is not known here.

    Example:
        Four inputs of mean square 1 under weights of mean square 1/2 give 2.

        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(8), (1, 1, 4))
        >>> params = network.own_init(jax.random.key(0))
        >>> images = jnp.concatenate([jnp.ones((1, 1, 1, 4)), -jnp.ones((1, 1, 1, 4))])
        >>> squares = [jnp.array(0.5)]
        >>> made = predict(network, params, {}, squares, images, jax.random.key(1))
        >>> [round(signal, 1) for signal in made.signals]
        [2.0]
    """
    forward = trace_forward(network, params, model_state, images)
    # Op by op: a walk repeats few operations, which compile many times sooner than it.
    found = _mean_squares(forward, _gains(forward, squares), images, key)
    return PredictedSignals(*(tuple(map(float, values)) for values in found))


Predictor = Callable[
    [Params, ModelState, Sequence[Any], PRNGKeyArray], PredictedSignals
]


def make_predictor(
    network: Network,
    params: Params,
    model_state: ModelState,
    images: Float[Array, "n ..."],
) -> Predictor:
    """Make `predict` for many parameters of one network, compiled once.

    Args:
        network: a traced network.
        params: of these only shapes count.
        model_state: of this only shapes count.
        images: a batch; what the network reads.

    Returns: (params, model_state, squares, key) -> prediction.
    Raises: UserError for an operation that is not known here.
    """
    forward = trace_forward(network, params, model_state, images)

    @jax.jit
    def mean_squares(variables: Any, gains: Sequence[Gain], key: PRNGKeyArray) -> Any:
        given = forward._replace(variables=variables)
        return _mean_squares(given, gains, images, key)

    def predictor(
        params: Params,
        model_state: ModelState,
        squares: Sequence[Any],
        key: PRNGKeyArray,
    ) -> PredictedSignals:
        gains = _gains(forward, squares)
        variables = traverse_util.flatten_dict({"params": params, **model_state})
        found = mean_squares(variables, gains, key)
        return PredictedSignals(*(tuple(map(float, values)) for values in found))

    return predictor


def _gains(forward: Forward, squares: Sequence[Any]) -> list[Gain]:
    return [
        predicted_gain(forward.traced, layer, np.asarray(square, np.float64))
        for layer, square in zip(forward.layers, squares, strict=True)
    ]


def _mean_squares(
    forward: Forward, gains: Sequence[Gain], images: Array, key: PRNGKeyArray
) -> Any:
    """Compute the parts of `PredictedSignals` by one walk forth and one back."""

    def signals(shifts: list[Array]) -> tuple[Array, Any]:
        walked = walk(forward, key, start, gains, shifts)
        return walked.result, (walked.inputs, walked.outputs)

    start = of_images(jax.random.fold_in(key, 1), images)
    zeros = [jnp.zeros(SHAPE) for _ in gains]
    result, pull, (inputs, outputs) = jax.vjp(signals, zeros, has_aux=True)
    # Logits have no places: the gradient is the same wherever they stand for one.
    is_flat = len(forward.traced.shapes[forward.traced.outputs[0]].shape) == 2
    cotangent = standard(jax.random.fold_in(key, 0), 1 if is_flat else PLACES)
    (gradients,) = pull(jnp.broadcast_to(cotangent, result.shape))
    return tuple(
        [jnp.mean(value**2) for value in values]
        for values in (inputs, outputs, gradients)
    )


def unit_variance_scales(network: Network) -> tuple[float, ...]:
    """Find the variances of each layer's weights that keep all signals at 1.

    With them every layer's output has the mean square 1, for images of independent
    standard normal numbers, and what is no kernel as the module itself makes it:
    1 / (mean taps in use · in · E[x²]), layer by layer. This is AutoInit's rule.

    Raises: UserError for an operation that is not known here.
    Reference: Bingham & Miikkulainen 2021, arXiv:2109.08958.
    """
    params, state = _start(network)
    images = jax.ShapeDtypeStruct((8, *network.image_shape), jnp.float32)
    with jax.ensure_compile_time_eval():
        forward = trace_forward(network, params, state, images)
        gains = _gains(forward, [np.ones(layer.shape[:-2]) for layer in forward.layers])
        key = fixed_key(2)
        start = of_noise(jax.random.fold_in(key, 1))
        inputs = walk(forward, key, start, [None] * len(gains)).inputs
        squares = [float(jnp.mean(value**2)) for value in inputs]
    return tuple(
        1.0 / (gain.forward * square) if square > 0 else 1.0
        for gain, square in zip(gains, squares, strict=True)
    )


def _start(network: Network) -> tuple[Params, ModelState]:
    """Draw what is no kernel as the module itself does; kernels are zeros."""
    kernels = {("params", *layer.kernel) for layer in network.layers}

    def others(key: PRNGKeyArray) -> dict[Any, Array]:
        flat: Any = traverse_util.flatten_dict(network.initialize(key))
        return {path: leaf for path, leaf in flat.items() if path not in kernels}

    # Traced out here: where all is evaluated at once, so is each draw of a kernel.
    drawn = jax.jit(others).lower(jax.eval_shape(lambda: fixed_key(0))).compile()
    shapes = {path: network.shapes[path[1:]] for path in kernels}
    with jax.ensure_compile_time_eval():
        zeros = {path: jnp.zeros(one.shape, one.dtype) for path, one in shapes.items()}
        leaves = {**drawn(fixed_key(0)), **zeros}
    tree = traverse_util.unflatten_dict(leaves)
    state = {name: leaves for name, leaves in tree.items() if name != "params"}
    return tree["params"], state
