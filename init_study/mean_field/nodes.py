"""What the nodes of a graph that are no layers do to an ensemble.

Elementwise functions are applied to the numbers themselves. An ensemble has fewer
places than a map, so sums, pools and slices are done as they would be to the places
that it stands for, and their gradients are scaled to keep the mean square that they
have on the map.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params
from jaxtyping import Array, PRNGKeyArray

from init_study import jaxprs
from init_study.errors import UserError
from init_study.mean_field.ensemble import CHANNELS, PLACES, SHAPE, averaged
from init_study.mean_field.roles import BATCH, CHANNEL, FLAT, SPACE, Roles
from init_study.network import graph

# What moves numbers from place to place, which an ensemble does not tell apart.
_PASSED = (
    "reshape transpose squeeze expand_dims rev dynamic_slice pad copy "
    "stop_gradient broadcast_in_dim reduce_precision"
).split()
_CALLS = ("custom_jvp_call", "custom_vjp_call", "jit", "pjit", "remat", "checkpoint")


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _slowed(values: Array, factor: float) -> Array:
    """Pass numbers on; multiply their gradients by the factor on the way back."""
    return values


_slowed.defvjp(
    lambda values, factor: (values, None),
    lambda factor, _, cotangent: (cotangent * factor,),
)


def through_node(
    key: PRNGKeyArray,
    node: Any,
    inputs: list[Array],
    shapes: Sequence[tuple[int, ...]],
    roles: Sequence[Roles | None],
    shape: tuple[int, ...],
) -> list[Array]:
    """Compute what a node that is no layer makes of its inputs.

    Args:
        key: of what is shuffled.
        node: of the graph.
        inputs: ensembles, or numbers that do not depend on the images.
        shapes: of the network's values that they stand for.
        roles: of the axes of those values.
        shape: of the network's result.

    Raises: UserError for an operation that is not known.
    """
    name, params = node.name, node.equation.params
    # The share of numbers that are left: gradients of the others are zero.
    left = prod(shape) / max(1, prod(shapes[0]))
    if name == "psum" and not params["axes"]:
        return inputs
    # With places of axes, not names, that is what vmap leaves of it.
    if name == "reduce_sum" or (
        name == "psum" and set(map(type, params["axes"])) == {int}
    ):
        return [_summed(inputs[0], shapes[0], roles[0], params["axes"])]
    if name == "slice":
        return [_slowed(inputs[0], left**0.5)]
    if name in ("reduce_window_sum", "reduce_window_max", "reduce_max"):
        axes = params.get("axes", ())
        sizes = params.get("window_dimensions") or [
            shapes[0][a] if a in axes else 1 for a in range(len(shapes[0]))
        ]
        count = prod(sizes)
        if name == "reduce_window_sum":
            return [count * _averaged(inputs[0], count, left)]
        return [_greatest(inputs[0], count, left)]
    if name == "concatenate":
        axis = params["dimension"]
        if roles[0] is not None and roles[0][axis] in (CHANNEL, FLAT):
            return [_concatenated(key, inputs, [size[axis] for size in shapes])]
        # Of an image's places: those that are most stand for all.
        most = max(range(len(inputs)), key=lambda part: shapes[part][axis])
        return [_slowed(inputs[most], (shape[axis] / shapes[most][axis]) ** 0.5)]
    return _elementwise(node.equation, name, inputs)


def _elementwise(equation: Any, name: str, inputs: list[Array]) -> list[Array]:
    """Apply a function of one number each to the numbers of ensembles."""
    if name in _PASSED or name == "slice":
        return [inputs[0]]
    if name == "convert_element_type":
        kind = equation.params["new_dtype"]
        wide = jnp.float32 if jnp.issubdtype(kind, jnp.floating) else kind
        return [inputs[0].astype(wide)]
    if name.startswith(_CALLS):
        return _evaluate(next(jaxprs_in_params(equation.params)), inputs)
    if name not in graph.ELEMENTWISE:
        raise UserError(
            f"nothing is known of what {name} does to moments; kernels, resizing, "
            "elementwise functions, norms, sums, pools and concatenations are known"
        )
    inputs = list(jnp.broadcast_arrays(*inputs)) if len(inputs) > 1 else inputs
    kinds = {jnp.result_type(value) for value in inputs}
    if len(kinds) > 1 and name != "select_n":
        inputs = [value.astype(jnp.result_type(*inputs)) for value in inputs]
    return jaxprs.bind(equation, inputs)


def _evaluate(jaxpr: Any, inputs: list[Array]) -> list[Array]:
    """Apply a function of numbers, whatever the shape that it was traced for."""

    def apply(equation: Any, values: list[Any]) -> list[Array]:
        return _elementwise(equation, str(equation.primitive), values)

    def constant(value: Any, aval: Any) -> Array:
        return jnp.reshape(jnp.asarray(value, aval.dtype), (1, 1, 1))

    return jaxprs.interpret(jaxpr, (), inputs, apply, constant)


def _summed(
    values: Array, shape: tuple[int, ...], roles: Any, axes: tuple[int, ...]
) -> Array:
    """Sum over axes of a value: their size times the ensemble's mean over their roles.

    Without roles the value holds numbers of channels, such as parameters.
    """
    which = {roles[axis] for axis in axes} if roles else {CHANNEL}
    mean = values
    if BATCH in which:
        mean = mean.mean((0, 1), keepdims=True)
    elif SPACE in which:
        places = prod(shape[a] for a in axes if roles[a] == SPACE)
        mean = _averaged(mean, places, 1 / places)
        if places == prod(n for n, r in zip(shape, roles, strict=True) if r == SPACE):
            mean = _alike(mean)
    if which & {CHANNEL, FLAT}:
        mean = mean.mean(2, keepdims=True)
    return prod(shape[axis] for axis in axes) * mean


def _alike(values: Array) -> Array:
    """Give all places the values of one, as a mean over the whole map has them.

    Gradients are left as they come: those of one place are those of all.
    """
    return _pooled(
        lambda values: jnp.broadcast_to(values[:, :1], SHAPE),
        lambda values, cotangent: cotangent,
        values,
    )


def _averaged(values: Array, count: int, left: float) -> Array:
    """Take the mean over so many places of an image.

    `left` is the share of places that are there afterwards.
    """
    return _pooled(
        lambda values: _mean_of_places(values, count),
        lambda values, cotangent: _back_from_mean(cotangent, count, left),
        values,
    )


@partial(jax.jit, static_argnums=1)
def _mean_of_places(values: Array, count: int) -> Array:
    return averaged(values, _rolled(values, count).mean(0), count)


@partial(jax.jit, static_argnums=(1, 2))
def _back_from_mean(cotangent: Array, count: int, left: float) -> Array:
    starts, factor = _windows(count, left)
    total = sum((cotangent[:, start] for start in starts), jnp.zeros(SHAPE))
    return total * factor / count


def _greatest(values: Array, count: int, left: float) -> Array:
    """Take the maximum over so many places of an image; one of them gets the gradient.

    `left` is the share of places that are there afterwards. Where an ensemble has fewer
    places than a window, gradients are scaled for the others.
    """
    return _pooled(
        lambda values: _maximum_of_places(values, count),
        lambda values, cotangent: _back_from_maximum(values, cotangent, count, left),
        values,
    )


@partial(jax.jit, static_argnums=1)
def _maximum_of_places(values: Array, count: int) -> Array:
    return _rolled(values, count).max(0)


@partial(jax.jit, static_argnums=(2, 3))
def _back_from_maximum(
    values: Array, cotangent: Array, count: int, left: float
) -> Array:
    members = min(count, PLACES)
    starts, factor = _windows(count, left)
    total = jnp.zeros(SHAPE)
    for start in starts:
        window = (start[:, None] + np.arange(members)) % PLACES
        wins = values == values[:, window].max(2)
        total += jnp.where(wins, cotangent[:, start], 0.0)
    return total * factor * (members / count) ** 0.5


def _windows(count: int, left: float) -> tuple[list[Any], float]:
    """Find where the count · left windows begin that a place is in, for all places.

    Where it is in one they lie side by side; where in more they overlap evenly. Beside
    them stands a factor for a number of windows that is no whole one.
    """
    members, number = min(count, PLACES), count * left
    whole = min(members, max(1, round(number)))
    places = np.arange(PLACES)
    starts = [
        (places - (places + index * members // whole) % members) % PLACES
        for index in range(whole)
    ]
    return starts, (number / whole) ** 0.5


def _pooled(
    function: Callable[[Array], Array],
    back: Callable[[Array, Array], Array],
    values: Array,
) -> Array:
    """Apply a function of an ensemble whose gradient is `back(values, cotangent)`."""
    pooled = jax.custom_vjp(function)
    pooled.defvjp(
        lambda values: (function(values), values),
        lambda values, cotangent: (back(values, cotangent),),
    )
    return pooled(jnp.broadcast_to(values, SHAPE))


def _rolled(values: Array, count: int) -> Array:
    """Stack each place with the next ones of its image, at most all of them."""
    return jnp.stack([jnp.roll(values, by, 1) for by in range(min(count, PLACES))])


def _concatenated(key: PRNGKeyArray, parts: list[Array], sizes: list[int]) -> Array:
    """Take channels of each part by its share of them all, in a random order."""
    bounds = np.round(np.cumsum([0, *sizes]) / sum(sizes) * CHANNELS).astype(int)
    joined = jnp.zeros(SHAPE)
    for part, low, high in zip(parts, bounds[:-1], bounds[1:], strict=True):
        joined = _put(joined, jnp.broadcast_to(part, SHAPE), int(low), int(high))
    return jax.random.permutation(key, joined, axis=2)


@jax.custom_vjp
def _put(joined: Array, part: Array, low: Any, high: Any) -> Array:
    """Put channels that stand for all of a part; give the others such gradients."""
    return _chosen(low, high, part, joined)


@jax.jit
def _chosen(low: Any, high: Any, inside: Array, outside: Array) -> Array:
    channels = np.arange(CHANNELS)
    return jnp.where((low <= channels) & (channels < high), inside, outside)


@jax.jit
def _of_part(low: Any, high: Any, cotangent: Array) -> Array:
    places = low + (np.arange(CHANNELS) - low) % jnp.maximum(1, high - low)
    return cotangent[..., places]


_put.defvjp(
    lambda joined, part, low, high: (_put(joined, part, low, high), (low, high)),
    lambda bounds, cotangent: (
        _chosen(*bounds, jnp.zeros_like(cotangent), cotangent),
        _of_part(*bounds, cotangent),
        None,
        None,
    ),
)
