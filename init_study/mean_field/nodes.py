"""What befalls the numbers of an ensemble in the nodes of a graph that are no layers.

See `init_study.mean_field.ensemble` for what they stand for.
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

from init_study.errors import UserError
from init_study.mean_field.ensemble import (
    BATCH,
    CHANNEL,
    CHANNELS,
    FLAT,
    PLACES,
    SHAPE,
    SPACE,
    Roles,
)
from init_study.network import graph

_PASSED = (
    "reshape transpose squeeze expand_dims rev dynamic_slice pad copy "
    "stop_gradient broadcast_in_dim reduce_precision"
).split()
_CALLS = ("custom_jvp_call", "custom_vjp_call", "jit", "pjit", "remat", "checkpoint")


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _slowed(values: Array, factor: float) -> Array:
    """The same numbers; gradients are multiplied by the factor on their way back."""
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
    """What a node that is no layer makes of its inputs.

    Args:
        key: of what is shuffled.
        node: of the graph.
        inputs: stand-ins, or fixed numbers.
        shapes, roles: of the values that they stand for.
        shape: of the result.

    Raises: UserError for an operation that is not known.
    """
    name, params = node.name, node.equation.params
    left = prod(shape) / max(1, prod(shapes[0]))
    if name == "reduce_sum":
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
    if name in _PASSED or name == "slice":
        return [inputs[0]]
    if name == "convert_element_type":
        kind = equation.params["new_dtype"]
        wide = jnp.float32 if jnp.issubdtype(kind, jnp.floating) else kind
        return [inputs[0].astype(wide)]
    if name.startswith(_CALLS):
        jaxprs = list(jaxprs_in_params(equation.params))
        return _evaluate(jaxprs[0], inputs)
    if name not in graph.ELEMENTWISE:
        raise UserError(
            f"nothing is known of what {name} does to moments; convolutions, products, "
            "elementwise functions, norms, sums, pools and concatenations are known"
        )
    inputs = list(jnp.broadcast_arrays(*inputs)) if len(inputs) > 1 else inputs
    kinds = {jnp.result_type(value) for value in inputs}
    if len(kinds) > 1 and name != "select_n":
        inputs = [value.astype(jnp.result_type(*inputs)) for value in inputs]
    primitive = equation.primitive
    out = primitive.bind(*inputs, **primitive.get_bind_params(equation.params))
    return list(out) if primitive.multiple_results else [out]


def _evaluate(jaxpr: Any, inputs: list[Array]) -> list[Array]:
    """A function of numbers, whatever the shape that it was traced for."""
    body = getattr(jaxpr, "jaxpr", jaxpr)
    known = dict(zip(body.invars, inputs, strict=True))
    consts = getattr(jaxpr, "consts", ())
    known |= {
        var: jnp.reshape(value, (1, 1, 1))
        for var, value in zip(body.constvars, consts, strict=True)
    }

    def read(atom: Any) -> Array:
        if hasattr(atom, "val"):
            return jnp.reshape(jnp.asarray(atom.val, atom.aval.dtype), (1, 1, 1))
        return known[atom]

    for equation in body.eqns:
        results = _elementwise(
            equation, str(equation.primitive), [read(a) for a in equation.invars]
        )
        known.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in body.outvars]


def _summed(
    values: Array, shape: tuple[int, ...], roles: Any, axes: tuple[int, ...]
) -> Array:
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
    """Of one place, for all; so are the gradients there."""
    return _pooled(
        lambda values: jnp.broadcast_to(values[:, :1], SHAPE),
        lambda values, cotangent: cotangent,
        values,
    )


def _averaged(values: Array, count: int, left: float) -> Array:
    """The mean over so many places of an image; `left` is the share of places after."""

    def back(values: Array, cotangent: Array) -> Array:
        starts, factor = _windows(count, left)
        total = sum((cotangent[:, start] for start in starts), jnp.zeros(SHAPE))
        return total * factor / count

    return _pooled(lambda values: _rolled(values, count).mean(0), back, values)


def _greatest(values: Array, count: int, left: float) -> Array:
    """Over so many places of an image; one of them gets the gradient."""
    members = min(count, PLACES)

    def back(values: Array, cotangent: Array) -> Array:
        starts, factor = _windows(count, left)
        total = jnp.zeros(SHAPE)
        for start in starts:
            window = (start[:, None] + np.arange(members)) % PLACES
            wins = values == values[:, window].max(2)
            total += jnp.where(wins, cotangent[:, start], 0.0)
        return total * factor * (members / count) ** 0.5

    return _pooled(lambda values: _rolled(values, count).max(0), back, values)


def _windows(count: int, left: float) -> tuple[list[Any], float]:
    """Where the count · left windows begin that a place is in, for all places, and a
    factor for what is no whole number.

    One window each: they lie side by side; more than one: they overlap evenly.
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
    pooled = jax.custom_vjp(function)
    pooled.defvjp(
        lambda values: (function(values), values),
        lambda values, cotangent: (back(values, cotangent),),
    )
    return pooled(jnp.broadcast_to(values, SHAPE))


def _rolled(values: Array, count: int) -> Array:
    """Each place and others of its image, as many as there are at most."""
    return jnp.stack([jnp.roll(values, by, 1) for by in range(min(count, PLACES))])


def _concatenated(key: PRNGKeyArray, parts: list[Array], sizes: list[int]) -> Array:
    """Channels of the parts, as many as their share."""
    full = [jnp.broadcast_to(part, SHAPE) for part in parts]
    bounds = np.round(np.cumsum([0, *sizes]) / sum(sizes) * CHANNELS).astype(int)
    pairs = zip(full, bounds[:-1], bounds[1:], strict=True)
    joined: Any = [_some(part, int(low), int(high)) for part, low, high in pairs]
    return jax.random.permutation(key, jnp.concatenate(joined, 2), axis=2)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _some(part: Array, low: int, high: int) -> Array:
    """Channels that stand for all of a part; the others get gradients as theirs."""
    return part[..., low:high]


_some.defvjp(
    lambda part, low, high: (_some(part, low, high), None),
    lambda low, high, _, cotangent: (
        cotangent[..., (np.arange(CHANNELS) - low) % (high - low)],
    ),
)
