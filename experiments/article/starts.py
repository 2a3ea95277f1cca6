"""What nets start from: biases, sizes of weights, and what a layer's draws hang on.

Each check gives a number for every case that it looks at.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from init_study.models import CNN, ResNet, VGGStages
from init_study.network import Network, trace
from init_study.schemes import parse_scheme
from init_study.schemes.scheme import leaf_of

from .studies import FIRST_SEED

_FRAMEWORKS = ("flax", "torch", "keras", "haiku")
_REDRAWN = 20


def threshold_of_a_bias() -> list[float]:
    """Measure how far the input at which a ReLU unit begins is from minus its bias."""
    inputs = jnp.linspace(-4.0, 4.0, 8001)
    return [
        float(jnp.abs(inputs[jnp.argmax(jax.nn.relu(inputs + bias) > 0)] + bias))
        for bias in (-1.0, 0.0, 0.5, 2.0)
    ]


def biases_of_keras() -> list[float]:
    """Measure the share of biases that are zero in Keras's default."""
    return [_zero_biases("keras")]


def biases_of_others() -> list[float]:
    """Measure that share in the defaults of Flax, Haiku, PyTorch, and of AlexNet."""
    return [_zero_biases(scheme) for scheme in ("flax", "haiku", "torch", "alexnet")]


def weights_that_differ() -> list[float]:
    """Measure the share of weights that another key changes, in the layer of least.

    By framework's default, of a plain net, a VGG-like one and a residual one.
    """
    return [
        min(float(jnp.mean(a != b)) for a, b in zip(*drawn, strict=True))
        for net in _three_nets()
        for scheme in _FRAMEWORKS
        for drawn in ([_kernels(net, scheme, key) for key in range(2)],)
    ]


def weights_beyond_one() -> list[float]:
    """Measure the share of weights of size above one, in the layer of most.

    By framework's default, of a plain net, a VGG-like one and a residual one.
    """
    return [
        max(float(jnp.mean(jnp.abs(kernel) > 1)) for kernel in _kernels(net, scheme, 0))
        for net in _three_nets()
        for scheme in _FRAMEWORKS
    ]


def kernels_that_depend_on_depth() -> list[float]:
    """Measure the share of the first four kernels that depends on the depth.

    Between a net of four and one of eight convolutions, Xavier's law, same key.
    """
    short, long = (_kernels(_plain_net(depth), "xavier_normal", 0) for depth in (4, 8))
    return [float(jnp.mean(a != b)) for a, b in zip(short[:4], long[:4], strict=True)]


def kernels_that_depend_on_width() -> list[float]:
    """Measure by what share variances change if layers get twice the neurons.

    Of the kernels behind the first, with Xavier's law.
    """
    narrow, wide = (_variances(_plain_net(4, w), "xavier_normal") for w in (16, 32))
    return [float(abs(b / a - 1)) for a, b in zip(narrow[1:4], wide[1:4], strict=True)]


def xavier_variances() -> list[float]:
    """Measure the variance of each kernel over 2 / (n_in + n_out), Xavier's two forms.

    Mean over twenty draws, in every layer of a plain net, a VGG-like and a residual
    one.
    """
    return [
        float(variance * (layer.fan_in + layer.fan_out) / 2)
        for net in _three_nets()
        for scheme in ("xavier_normal", "xavier_uniform")
        for layer, variance in zip(net.layers, _variances(net, scheme), strict=True)
    ]


def parameters_of_zeros() -> list[float]:
    """Compare the number of parameters of a net from zeros with the same from He's law.

    Of a plain net, a VGG-like one and a residual one.
    """
    return [_count(net, "zeros") / _count(net, "he_normal") for net in _three_nets()]


def operations_of_zeros() -> list[float]:
    """Compare the operations of a training step from zeros with one from He's law.

    As the compiler counts them, of a plain net; and the bytes that it takes.
    """
    zeros, he = (_cost(_plain_net(4), scheme) for scheme in ("zeros", "he_normal"))
    return [a / b for a, b in zip(zeros, he, strict=True)]


def _plain_net(depth: int, width: int = 16) -> Network:
    return trace(CNN(num_classes=10, depth=depth, width=width), (8, 8, 1))


@functools.cache
def _three_nets() -> tuple[Network, ...]:
    models = (CNN, VGGStages, ResNet)
    return tuple(trace(model(num_classes=10), (16, 16, 3)) for model in models)


def _draw(network: Network, scheme: str, key: int = 0) -> dict:
    return parse_scheme(scheme)(jax.random.key(FIRST_SEED + key), network)


def _kernels(network: Network, scheme: str, key: int) -> list[jax.Array]:
    params = _draw(network, scheme, key)
    return [leaf_of(params, layer.kernel) for layer in network.layers]


def _variances(network: Network, scheme: str) -> np.ndarray:
    """Find the variance of every kernel, mean over draws."""
    drawn = [_kernels(network, scheme, key) for key in range(_REDRAWN)]
    return np.mean([[float(jnp.mean(k**2)) for k in kernels] for kernels in drawn], 0)


def _zero_biases(scheme: str) -> float:
    network = _plain_net(4)
    params = _draw(network, scheme)
    biases = [leaf_of(params, layer.bias) for layer in network.layers if layer.bias]
    return float(jnp.mean(jnp.concatenate([jnp.ravel(b) for b in biases]) == 0))


def _count(network: Network, scheme: str) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(_draw(network, scheme)))


def _cost(network: Network, scheme: str) -> tuple[float, float]:
    params = _draw(network, scheme)
    images, labels = jnp.ones((32, 8, 8, 1)), jnp.zeros(32, jnp.int32)
    model = CNN(num_classes=10, depth=4)

    def step(params: dict) -> dict:
        def loss(params: dict) -> jax.Array:
            logits: Any = model.apply({"params": params}, images)
            return optax.losses.softmax_cross_entropy_with_integer_labels(
                logits, labels
            ).mean()

        return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params))

    cost: Any = jax.jit(step).lower(params).compile().cost_analysis()
    return cost["flops"], cost["bytes accessed"]
