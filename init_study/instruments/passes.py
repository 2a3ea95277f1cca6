"""One pass through a network and back, before anything is trained.

One compiled program serves a whole audit: it is called again at other parameters, so
that whatever asks "and after a small step?" costs a pass and no compilation.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from init_study.instruments.cosines import pair_cosines
from init_study.instruments.signals import Signals, layer_signals
from init_study.instruments.units import map_squares, measure_units
from init_study.jaxprs import SOON
from init_study.network import Layer, ModelState, Network, Params
from init_study.train import cross_entropy


class OfLayers(NamedTuple):
    """Numbers of every layer, `[layers]` each, in the order of `network.layers`.

    Attributes:
        inputs: mean square of what it reads.
        signal: mean square of its output, before norm and activation.
        spread: the output's variance over images, mean over units and places.
        cosine: mean cosine between the outputs of two images; NaN of one image.
        border, centre: mean squares there; NaN where there are no such places.
        gradient: mean square of the gradient of one image's loss at the output.
        dead, always_on, saturated: shares of units, as of
            `instruments.units.measure_units`; NaN where a norm or no known
            activation follows.
    """

    inputs: Float[Array, " layers"]
    signal: Float[Array, " layers"]
    spread: Float[Array, " layers"]
    cosine: Float[Array, " layers"]
    border: Float[Array, " layers"]
    centre: Float[Array, " layers"]
    gradient: Float[Array, " layers"]
    dead: Float[Array, " layers"]
    always_on: Float[Array, " layers"]
    saturated: Float[Array, " layers"]


class Through(NamedTuple):
    """What one pass through a network and back shows.

    Attributes:
        loss: mean over the batch.
        result: of the network.
        layers: numbers of every layer.
        slopes: gradient of the loss by every parameter, as the parameters are.
    """

    loss: Float[Array, ""]
    result: Float[Array, "n ..."]
    layers: OfLayers
    slopes: Params


def make_pass(
    network: Network,
) -> Callable[[Params, ModelState, Array, Array | None, PRNGKeyArray], Through]:
    """Make the compiled pass of a network, forwards and back.

    Args:
        network: a traced network.

    Returns: a function of parameters, state, images, labels and a key. Norms take the
        batch's statistics. Without labels the loss is the mean over images of the sum
        of result · noise, with standard normal noise. The key is of that noise, and of
        dropout.

    Example:
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> through = make_pass(trace(Linear(4), (1, 1, 3)))
        >>> images, labels = jnp.ones((2, 1, 1, 3)), jnp.array([0, 1])
        >>> weights = {"kernel": jnp.zeros((3, 4)), "bias": jnp.zeros(4)}
        >>> params = {"Dense_0": weights}
        >>> passed = through(params, {}, images, labels, jax.random.key(0))
        >>> round(float(jnp.exp(passed.loss)), 3), float(passed.layers.signal[0])
        (4.0, 0.0)
    """
    return jax.jit(partial(pass_through, network), compiler_options=SOON)


def pass_through(
    network: Network,
    params: Params,
    state: ModelState,
    images: Float[Array, "n ..."],
    labels: Int[Array, " n"] | None,
    key: PRNGKeyArray,
) -> Through:
    """Pass a batch through a network, and gradients of its loss back.

    Args:
        network: a traced network.
        params: of it.
        state: of it.
        images: a batch.
        labels: of the images, or None, as `make_pass` says.
        key: of dropout, and of the noise in the place of labels.

    Cost: 1 F + 1 B.

    Example:
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(2), (1, 1, 3))
        >>> params = network.own_init(jax.random.key(0))
        >>> given = jnp.ones((4, 1, 1, 3)), jnp.zeros(4, int), jax.random.key(1)
        >>> pass_through(network, params, {}, *given).result.shape
        (4, 2)
    """
    own_key, noise_key = jax.random.split(key)

    def run(params: Params, shifts: dict[int, Array]) -> tuple[Array, Signals]:
        signals = layer_signals(
            network, params, state, images, shifts=shifts, key=own_key
        )
        return _loss(signals.result, labels, noise_key), signals

    outputs = jax.eval_shape(lambda: run(params, {})[1]).outputs
    shifts = {i: jnp.zeros(one.shape, one.dtype) for i, one in enumerate(outputs)}
    slope = jax.value_and_grad(run, argnums=(0, 1), has_aux=True)
    (loss, signals), (slopes, gradients) = slope(params, shifts)
    rows = [
        _numbers(*of_layer, len(images))
        for of_layer in zip(
            network.layers,
            signals.inputs,
            signals.outputs,
            (gradients[index] for index in range(len(outputs))),
            strict=True,
        )
    ]
    columns = (jnp.stack(one) for one in zip(*rows, strict=True))
    none = [jnp.zeros(0)] * len(OfLayers._fields)
    layers = OfLayers(*(columns if rows else none))
    return Through(loss, signals.result, layers, slopes)


def _loss(result: Array, labels: Array | None, key: PRNGKeyArray) -> Float[Array, ""]:
    if labels is None:
        return jnp.sum(result * jax.random.normal(key, result.shape)) / len(result)
    return cross_entropy(result, labels).mean()


def _numbers(
    layer: Layer, inputs: Array, output: Array, gradient: Array, images: int
) -> OfLayers:
    """Compute the numbers of one layer."""
    nothing = jnp.float32(jnp.nan)
    follows = None if layer.normalized else layer.activation
    units = (nothing,) * 3 if follows is None else measure_units(output, follows)
    squares = map_squares(output)
    flat = output.reshape(len(output), -1)
    enough = len(output) > 1 and len(output) == images
    return OfLayers(
        inputs=_square(inputs),
        signal=_square(output),
        spread=jnp.mean(jnp.var(output.astype(jnp.float32), axis=0)),
        cosine=pair_cosines(flat).mean if enough else nothing,
        border=squares.border,
        centre=squares.centre,
        # The loss is the mean over the batch: its gradient is one image's over n.
        gradient=_square(gradient * images),
        dead=units[0],
        always_on=units[1],
        saturated=units[2],
    )


def _square(values: Array) -> Float[Array, ""]:
    return jnp.mean(values.astype(jnp.float32) ** 2)
