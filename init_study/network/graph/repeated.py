"""Equations that compute what another one has computed: one value for both.

b = logistic a; c = mul a b; d = logistic a; e = mul a d      silu, twice
one value:  b = logistic a; c = mul a b                       and c wherever e is read
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn, jaxprs_in_params

from init_study import jaxprs
from init_study.network.graph.dataflow import CONTRACTIONS

# Functions with derivatives of their own: the names of what is called, and computes.
_OWN_DERIVATIVES = {
    "custom_jvp_call": ("call_jaxpr", "jvp_jaxpr_fun"),
    "custom_vjp_call": ("call_jaxpr", "fwd_jaxpr_thunk", "bwd", "out_trees"),
}
# Larger constants are the same only where they are the same array.
_MOST_NUMBERS = 64


def said_of(
    equation: JaxprEqn, inputs: list[int], constants: Mapping[int, Any]
) -> Hashable | None:
    """Name what an equation computes; None where nothing else counts as the same.

    Products with kernels count one by one, as uses of theirs; so do loops.

    Args:
        equation: of a jaxpr.
        inputs: the values that it reads, as numbers in a graph.
        constants: those of them that are known, by number.

    Example:
        >>> import jax.numpy as jnp
        >>> traced = jax.make_jaxpr(lambda x: (jnp.sin(x), jnp.cos(x), jnp.sin(x)))(1.0)
        >>> one, two, three = (said_of(equation, [0], {}) for equation in traced.eqns)
        >>> one == two, one == three
        (False, True)
    """
    name = str(equation.primitive)
    own = _OWN_DERIVATIVES.get(name, ())
    if equation.effects or name in CONTRACTIONS:
        return None
    if not own and any(True for _ in jaxprs_in_params(equation.params)):
        return None
    params = [(key, v) for key, v in equation.params.items() if key not in own]
    inner = [_said_of_function(one) for one in jaxprs_in_params(equation.params)]
    read = [_said_of_constant(constants[v]) if v in constants else v for v in inputs]
    said = (name, tuple(sorted(params, key=lambda pair: pair[0])), *inner, *read)
    try:
        hash(said)
    except TypeError:
        return None
    return None if None in inner else said


def has_same_derivative(one: JaxprEqn, other: JaxprEqn) -> bool:
    """Tell whether two equations that compute the same have the same gradients.

    Args:
        one: an equation.
        other: of the same function, of which gradients may be defined otherwise.

    Example:
        >>> from init_study.jaxprs import equations
        >>> traced = jax.make_jaxpr(lambda x: jax.nn.relu(x) + jax.nn.relu(x))(1.0)
        >>> inner = [e for e in equations(traced) if "custom" in str(e.primitive)]
        >>> has_same_derivative(*inner)
        True
    """
    if str(one.primitive) not in _OWN_DERIVATIVES:
        return True
    first, second = (_said_of_function(_gradient(e)) for e in (one, other))
    return first == second is not None


def _gradient(equation: JaxprEqn) -> Any:
    """Trace the gradients of an equation."""
    avals: list[Any] = [v.aval for v in equation.invars]
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    function: Callable[..., Any] = lambda *xs: jaxprs.bind(equation, xs)  # noqa: E731

    def back(*xs: Any) -> Any:
        made, pull = jax.vjp(function, *xs)
        return pull(made)

    return jax.make_jaxpr(back)(*shapes)


def _said_of_function(function: Any) -> str | None:
    """Print a function; None where it holds arrays, which print says nothing of."""
    held = [*getattr(function, "consts", ())]
    for equation in jaxprs.equations(function):
        for inner in jaxprs_in_params(equation.params):
            held += getattr(inner, "consts", ())
    return None if held else str(function)


def _said_of_constant(constant: Any) -> Hashable:
    """Name a constant by its numbers, if they are few."""
    dtype = getattr(constant, "dtype", None)
    is_key = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if is_key or np.size(constant) > _MOST_NUMBERS:
        return "constant", id(constant)
    numbers = np.asarray(constant)
    return "constant", numbers.dtype.name, numbers.shape, numbers.tobytes()
