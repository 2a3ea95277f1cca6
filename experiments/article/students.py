"""Students that learn what a teacher of their own kind computes: claim 16.

The true parameters are the teacher's; the estimates are a student's after 500 steps of
Adam at rate 0.01 on 512 inputs of eight numbers.
"""

from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from .studies import FIRST_SEED

_TEACHERS, _SAMPLES = 5, 8
_HIDDEN = {"in": (8, 16), "bias": (16,), "out": (16,), "shift": ()}
_LINEAR = {"out": (8,), "shift": ()}

Params = dict[str, Array]


def distance_in_a_linear_net() -> list[float]:
    """Measure how far a linear student's parameters are from the true ones.

    As a share of their size, on uniform inputs, from zeros, of five teachers.
    """
    return [_distance(_LINEAR, seed, "uniform") for seed in range(_TEACHERS)]


def unexplained_in_a_relu_net() -> list[float]:
    """Measure the share of the teacher's variance that a ReLU student leaves.

    On uniform inputs, from zeros, of five teachers. A student that has the teacher's
    parameters, in whatever order, leaves nothing.
    """
    return [_unexplained(_HIDDEN, seed, "uniform") for seed in range(_TEACHERS)]


def gain_of_uniform_inputs() -> list[float]:
    """Measure what the two shares are on uniform inputs, less those on Gaussian ones.

    Of the same variance; the linear students' and the others', of five teachers.
    """
    return [
        measure(sizes, seed, "uniform") - measure(sizes, seed, "gaussian")
        for measure, sizes in ((_distance, _LINEAR), (_unexplained, _HIDDEN))
        for seed in range(_TEACHERS)
    ]


def spread_of_estimates() -> list[float]:
    """Measure the spread of estimates from zeros over that from random weights.

    Of ReLU students on eight fresh samples of uniform inputs, and as many draws of the
    start: root mean square over parameters, of five teachers.
    """
    return [
        float(_spread(seed, random=False) / _spread(seed, random=True))
        for seed in range(_TEACHERS)
    ]


def _distance(sizes: dict[str, Any], seed: int, law: str) -> float:
    teacher, student, _ = _taught(sizes, seed, law)
    true, found = (jax.flatten_util.ravel_pytree(p)[0] for p in (teacher, student))
    return float(jnp.linalg.norm(found - true) / jnp.linalg.norm(true))


def _unexplained(sizes: dict[str, Any], seed: int, law: str) -> float:
    teacher, student, inputs = _taught(sizes, seed, law)
    wanted = _compute(teacher, inputs)
    wrong = jnp.mean((_compute(student, inputs) - wanted) ** 2)
    return float(wrong / jnp.var(wanted))


def _spread(seed: int, random: bool) -> Array:
    keys = jax.random.split(_key(seed, 2), _SAMPLES)
    teacher = _drawn(_HIDDEN, _key(seed, 0))

    def estimate(key: Array) -> Array:
        of_inputs, of_start = jax.random.split(key)
        start = _drawn(_HIDDEN, of_start)
        if not random:
            start = jax.tree.map(jnp.zeros_like, start)
        student = _learn(teacher, start, _inputs(of_inputs, "uniform"))
        return jax.flatten_util.ravel_pytree(student)[0]

    return jnp.sqrt(jnp.mean(jnp.var(jax.vmap(estimate)(keys), axis=0)))


def _taught(
    sizes: dict[str, Any], seed: int, law: str
) -> tuple[Params, Params, Float[Array, "n 8"]]:
    teacher = _drawn(sizes, _key(seed, 0))
    inputs = _inputs(_key(seed, 1), law)
    start = jax.tree.map(jnp.zeros_like, teacher)
    return teacher, _learn(teacher, start, inputs), inputs


@jax.jit
def _learn(teacher: Params, start: Params, inputs: Float[Array, "n 8"]) -> Params:
    optimizer = optax.adam(0.01)
    wanted = _compute(teacher, inputs)

    def loss(params: Params) -> Array:
        return jnp.mean((_compute(params, inputs) - wanted) ** 2)

    def step(_: int, carry: tuple) -> tuple:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    return jax.lax.fori_loop(0, 500, step, (start, optimizer.init(start)))[0]


def _compute(params: Params, inputs: Float[Array, "n 8"]) -> Float[Array, " n"]:
    if "in" in params:
        inputs = jax.nn.relu(inputs @ params["in"] + params["bias"][None])
    return inputs @ params["out"] + params["shift"]


def _drawn(sizes: dict[str, Any], key: Array) -> Params:
    """Draw weights of variance 1 / fan_in, and biases of zero."""
    keys = jax.random.split(key, len(sizes))
    return {
        name: jax.random.normal(k, size) / size[0] ** 0.5
        if name in ("in", "out")
        else jnp.zeros(size)
        for k, (name, size) in zip(keys, sizes.items(), strict=True)
    }


def _inputs(key: Array, law: str) -> Float[Array, "512 8"]:
    if law == "uniform":
        return jax.random.uniform(key, (512, 8), minval=-1.0)
    return jax.random.normal(key, (512, 8)) / 3**0.5


def _key(seed: int, stream: int) -> Array:
    return jax.random.fold_in(jax.random.key(FIRST_SEED + seed), stream)
