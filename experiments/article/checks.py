"""What needs no training: definitions, laws of draws, and the article's own code.

Each check gives a number for every case that it looks at.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import stats

from init_study.initializers import (
    INITIALIZERS,
    normal,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from init_study.models import CNN, ResNet, VGGStages
from init_study.network import Network, trace
from init_study.schemes import parse_scheme
from init_study.schemes.scheme import leaf_of

from .code_checks import (
    snippet_glorot,
    snippet_random,
    snippet_zeros,
)

_FRAMEWORKS = ("flax", "torch", "keras", "haiku")


def biases_are_zero() -> list[float]:
    """Measure the share of biases that are zero, by recipe.

    Recipes are the defaults of Flax, PyTorch, Keras and Haiku, and AlexNet's.
    """
    return [
        float(np.mean(np.concatenate(_biases(_plain_net(4), scheme)) == 0))
        for scheme in (*_FRAMEWORKS, "alexnet")
    ]


def default_stds() -> list[float]:
    """Measure the deviation of a 3×3 kernel of 16 by 16 channels, by framework."""
    network = _plain_net(4)
    layer = network.layers[1]
    return [
        float(jnp.std(leaf_of(_draw(network, scheme), layer.kernel)))
        for scheme in _FRAMEWORKS
    ]


def distance_to_law() -> list[float]:
    """Measure the Kolmogorov-Smirnov distance of a million draws to their law.

    Laws are Gaussian and uniform.
    """
    keys = jax.random.split(jax.random.key(0))
    shape = (1000, 1000)
    drawn = [normal(0.02)(keys[0], shape), uniform(0.05)(keys[1], shape)]
    laws = [stats.norm(0, 0.02), stats.uniform(-0.05, 0.1)]
    return [
        float(stats.kstest(np.ravel(x), law.cdf).statistic)
        for x, law in zip(drawn, laws, strict=True)
    ]


def xavier_std() -> list[float]:
    """Measure the standard deviation over √(2 / (n_in + n_out)).

    Of the normal and the uniform form, for a dense layer and for a 3×3 convolution, n
    counted in inputs that feed an output and outputs that an input feeds.
    """
    return [
        float(jnp.std(law()(jax.random.key(i), shape)) / np.sqrt(2 / sum(n)))
        for i, (law, shape, n) in enumerate(
            (law, shape, n)
            for law in (xavier_normal, xavier_uniform)
            for shape, n in (((512, 256), (512, 256)), ((3, 3, 64, 32), (576, 288)))
        )
    ]


def xavier_by_channels() -> list[float]:
    """Measure the variance of a 3×3 kernel times half the channels around it.

    Of ours, and JAX's own `glorot_normal` and `glorot_uniform`. It is 1 if the channels
    are what n_in and n_out count.
    """
    shape = (3, 3, 64, 64)
    laws = (
        xavier_normal(),
        jax.nn.initializers.glorot_normal(),
        jax.nn.initializers.glorot_uniform(),
    )
    return [float(jnp.var(law(jax.random.key(0), shape)) * 64) for law in laws]


def kernels_that_depend_on_depth() -> list[float]:
    """Measure the share of the first four kernels that depends on the depth.

    Between a net of four and one of eight convolutions, Xavier's law, same key.
    """
    short, long = _plain_net(4), _plain_net(8)
    return [
        float(
            jnp.mean(
                leaf_of(_draw(short, "xavier_normal"), layer.kernel)
                != leaf_of(_draw(long, "xavier_normal"), layer.kernel)
            )
        )
        for layer in short.layers[:4]
    ]


def numbers_to_choose() -> list[float]:
    """Count the numbers to choose of the uniform and of the Gaussian law."""
    return [float(_choices(name)) for name in ("uniform", "normal")]


def more_to_choose_than_uniform() -> list[float]:
    """Count the numbers to choose of the Gaussian law, less those of the uniform."""
    return [float(_choices("normal") - _choices("uniform"))]


def more_to_choose_than_gaussian() -> list[float]:
    """Count the numbers to choose of Xavier's laws, less those of the Gaussian."""
    names = ("xavier_normal", "xavier_uniform")
    return [float(_choices(name) - _choices("normal")) for name in names]


def parameters_of_zeros() -> list[float]:
    """Compare the number of parameters of a net from zeros with the same from He's law.

    Of a plain net, a VGG-like one and a residual one.
    """
    models = (CNN, VGGStages, ResNet)
    nets = [trace(model(num_classes=10), (16, 16, 3)) for model in models]
    return [_count(net, "zeros") / _count(net, "he_normal") for net in nets]


def distance_of_means() -> list[float]:
    """Measure |mean| of a million draws in standard errors.

    Uniform and Gaussian, two keys each.
    """
    found = []
    for seed in range(2):
        for law in (uniform(0.05), normal(0.02)):
            x = law(jax.random.key(seed), (1000, 1000))
            found.append(float(jnp.abs(x.mean()) / x.std() * 1000))
    return found


def student_of_uniform_inputs() -> list[float]:
    """Measure what a ReLU net from zeros leaves unexplained of a teacher of its kind.

    As a share of the teacher's variance, after 500 steps of Adam on uniform inputs.
    """
    return [float(_unexplained(seed)) for seed in range(5)]


def xavier_on_input_laws() -> list[float]:
    """Measure how far the signal behind Xavier's law is from what is predicted.

    The mean square behind a dense layer, as a share of it: centred inputs of unit
    variance that are uniform, two-valued, of Laplace's law, exponential, of Student's t
    law (5).
    """
    keys = jax.random.split(jax.random.key(0), 6)
    weights = xavier_normal()(keys[0], (512, 512))
    shape = (4000, 512)
    laws = (
        jax.random.uniform(keys[1], shape, minval=-(3**0.5), maxval=3**0.5),
        jax.random.rademacher(keys[2], shape, jnp.float32),
        jax.random.laplace(keys[3], shape) / 2**0.5,
        jax.random.exponential(keys[4], shape) - 1,
        jax.random.t(keys[5], 5.0, shape) * 0.6**0.5,
    )
    return [float(jnp.abs(jnp.mean((x @ weights) ** 2) - 1)) for x in laws]


def _plain_net(depth: int) -> Network:
    return trace(CNN(num_classes=10, depth=depth), (8, 8, 1))


def _draw(network: Network, scheme: str) -> dict:
    return parse_scheme(scheme)(jax.random.key(1), network)


def _biases(network: Network, scheme: str) -> list[np.ndarray]:
    params = _draw(network, scheme)
    return [
        np.ravel(leaf_of(params, layer.bias))
        for layer in network.layers
        if layer.bias is not None
    ]


def _choices(initializer: str) -> int:
    """Count the arguments of a law besides groups, which the convolution has anyway."""
    parameters = inspect.signature(INITIALIZERS[initializer]).parameters
    return len([name for name in parameters if name != "groups"])


def _count(network: Network, scheme: str) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(_draw(network, scheme)))


def _unexplained(seed: int) -> jax.Array:
    keys = jax.random.split(jax.random.key(seed), 3)
    inputs = jax.random.uniform(keys[0], (512, 8), minval=-1.0)

    def net(params: dict, x: jax.Array) -> jax.Array:
        hidden = jax.nn.relu(x @ params["in"] + params["bias"][None])
        return hidden @ params["out"] + params["shift"]

    teacher = {
        "in": jax.random.normal(keys[1], (8, 16)) / 2,
        "bias": jnp.zeros(16),
        "out": jax.random.normal(keys[2], (16,)) / 4,
        "shift": jnp.zeros(()),
    }
    wanted = net(teacher, inputs)
    optimizer = optax.adam(0.01)

    def loss(params: dict) -> jax.Array:
        return jnp.mean((net(params, inputs) - wanted) ** 2)

    def step(_: int, carry: tuple) -> tuple:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    start = jax.tree.map(jnp.zeros_like, teacher)
    student, _ = jax.lax.fori_loop(0, 500, step, (start, optimizer.init(start)))
    return loss(student) / jnp.var(wanted)


CHECKS = {
    check.__name__: check
    for check in (
        biases_are_zero,
        default_stds,
        distance_to_law,
        xavier_std,
        xavier_by_channels,
        kernels_that_depend_on_depth,
        numbers_to_choose,
        more_to_choose_than_uniform,
        more_to_choose_than_gaussian,
        parameters_of_zeros,
        distance_of_means,
        student_of_uniform_inputs,
        xavier_on_input_laws,
        snippet_zeros,
        snippet_random,
        snippet_glorot,
    )
}
