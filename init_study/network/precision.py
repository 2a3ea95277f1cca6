"""`in_arithmetic`: a function whose convolutions and matrix products are less precise.

A precision is that of the factors: of every product, and of both that are its
gradients. They are rounded, and what they give is summed and kept in float32:

    y = conv(rounded(x), rounded(k))
    dx, dk = conv's gradients at rounded(x) and rounded(k), for rounded(dy)

A product of two numbers of 11 or of 8 significant bits is exact in float32, so this
means the same on every device but for the order of sums. The roundings are written into
the function: matrix units may truncate, and XLA takes away casts to and fro. What an
accelerator gains is that its fastest products that keep so many bits are exact.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, primitives
from jaxtyping import Array

from init_study import jaxprs
from init_study.conv.lowering import default_precision
from init_study.errors import UserError

_PRODUCTS = (primitives.dot_general_p, primitives.conv_general_dilated_p)
# Of these it is not known what their factors are.
_OTHER_PRODUCTS = ("ragged_dot", "scaled_dot", "dot_product")
# Bits of exponent and of mantissa; float32 has 8 and 23.
_BITS = {"tf32": (8, 10), "bfloat16": (8, 7)}


class Arithmetic(NamedTuple):
    """The precision of a network's products, and which of a device's have it.

    Attributes:
        precision: in `study.PRECISIONS`; factors are rounded to it.
        setting: `jax_default_matmul_precision` around them, which keeps all its bits.

    Example:
        >>> Arithmetic("bfloat16").setting
        'float32'
    """

    precision: str
    setting: str = "float32"


def set_for(arithmetic: Arithmetic | None) -> AbstractContextManager[Any]:
    """Have JAX's products, and those of their gradients, in an arithmetic's setting.

    Trace a function and its gradient inside; without an arithmetic nothing is set.

    Example:
        >>> with set_for(Arithmetic("float32")):
        ...     product = jax.make_jaxpr(jnp.matmul)(jnp.eye(2), jnp.eye(2))
        >>> product.eqns[0].params["precision"][0].name
        'HIGHEST'
    """
    if arithmetic is None:
        return nullcontext()
    return jax.default_matmul_precision(arithmetic.setting)


def in_arithmetic(
    function: Callable[..., Any], arithmetic: Arithmetic | None
) -> Callable[..., Any]:
    """Have all convolutions and matrix products of a function in an arithmetic.

    Everything else stays in the function's own types: norms, activations, sums, what it
    returns. Call and differentiate the result inside `set_for(arithmetic)`. Products
    that are only in a function's own rule for its gradients (`custom_vjp`,
    `custom_jvp`) are not seen, and stay as they are.

    Args:
        function: of pytrees of arrays to a pytree of arrays.
        arithmetic: None gives the function back.

    Raises: UserError, as it is called, for a product whose precision is the function's
        own: of another type than float32, with a precision that it asks for, of a kind
        that is not known, or inside a loop, a branch or a function with a rule of its
        own, where it is not reached.

    Example:
        Of 1 + 2⁻⁹, eight significant bits leave 1.

        >>> half = Arithmetic("bfloat16")
        >>> product = in_arithmetic(jnp.matmul, half)
        >>> with set_for(half):
        ...     float(product(jnp.full(1, 1 + 2.0**-9), jnp.ones(1)))
        1.0
    """
    if arithmetic is None:
        return function

    def computed(*args: Any, **kwargs: Any) -> Any:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*args, **kwargs)
        leaves = jax.tree.leaves((args, kwargs))
        out = _evaluate(traced.jaxpr, traced.consts, arithmetic, *leaves)
        return jax.tree.unflatten(jax.tree.structure(shapes), out)

    return computed


def _evaluate(
    jaxpr: Jaxpr, consts: Any, arithmetic: Arithmetic, *args: Any
) -> list[Any]:
    apply = partial(_apply, arithmetic)
    return jaxprs.interpret(jaxpr, consts, args, apply, calls=jaxprs.PLAIN_CALLS)


def _apply(arithmetic: Arithmetic, equation: JaxprEqn, inputs: list[Any]) -> list[Any]:
    primitive, params = equation.primitive, equation.params
    if primitive is primitives.remat_p:
        body = partial(_evaluate, params["jaxpr"], (), arithmetic)
        again = jax.checkpoint(
            body, prevent_cse=params["prevent_cse"], policy=params["policy"]
        )
        return again(*inputs)
    if primitive in _PRODUCTS:
        return [_product(arithmetic, equation, inputs)]
    if primitive.name.startswith(_OTHER_PRODUCTS) and arithmetic.precision != "float32":
        raise _refusal(arithmetic, equation, f"are of {primitive}")
    for inner in jaxprs.inner_equations(equation):
        if inner.primitive in _PRODUCTS and _is_known(arithmetic, inner):
            # A setting reaches a product anywhere, but a rounding has to be written.
            if arithmetic.precision != "float32":
                raise _refusal(arithmetic, inner, f"are inside {primitive}")
    return jaxprs.bind(equation, inputs)


def _product(arithmetic: Arithmetic, equation: JaxprEqn, factors: list[Array]) -> Array:
    """Compute a product of rounded factors; leave one of whole numbers as it is."""
    bits = _BITS.get(arithmetic.precision)
    is_known = _is_known(arithmetic, equation)
    if bits is None or not is_known:
        return jaxprs.bind(equation, factors)[0]
    product = jaxprs.bind(equation, [_rounded(factor, bits) for factor in factors])[0]
    return _rounded_backwards(product, bits)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _rounded(factor: Array, bits: tuple[int, int]) -> Array:
    """Round a factor, and leave its gradient as it is: a sum, of float32."""
    return lax.reduce_precision(factor, *bits)


_rounded.defvjp(
    lambda factor, bits: (lax.reduce_precision(factor, *bits), None),
    lambda bits, _, gradient: (gradient,),
)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _rounded_backwards(product: Array, bits: tuple[int, int]) -> Array:
    """Leave a product as it is, and round its gradient: a factor of two more."""
    return product


_rounded_backwards.defvjp(
    lambda product, bits: (product, None),
    lambda bits, _, gradient: (lax.reduce_precision(gradient, *bits),),
)


def _is_known(arithmetic: Arithmetic, equation: JaxprEqn) -> bool:
    """Tell whether a product is one of float32, not of whole numbers.

    Raises: UserError for one that has a precision of its own.
    """
    operands: list[Any] = [*equation.invars, *equation.outvars]
    types = [operand.aval.dtype for operand in operands]
    if not any(jnp.issubdtype(dtype, jnp.inexact) for dtype in types):
        return False
    others = [dtype for dtype in types if dtype != jnp.float32]
    if others:
        raise _refusal(arithmetic, equation, f"are of {others[0]}")
    own = equation.params["precision"]
    # Exact products of rounded factors are as good.
    if own not in (default_precision(), (lax.Precision.HIGHEST,) * 2):
        raise _refusal(arithmetic, equation, f"ask for {_in_words(own)} themselves")
    return True


def _in_words(own: Any) -> str:
    both = own if isinstance(own, tuple) else (own,)
    names = dict.fromkeys(getattr(one, "name", str(one)) for one in both)
    return f"precision={' and '.join(names)}"


def _refusal(arithmetic: Arithmetic, equation: JaxprEqn, what: str) -> UserError:
    operands: list[Any] = equation.invars[:2]
    shapes = " by ".join(str(operand.aval.shape) for operand in operands)
    return UserError(
        f"the model does not take precision={arithmetic.precision}: its products (one "
        f"of {shapes}) {what}; leave precision at default, which is what the device "
        "does, or build the model of plain products of float32"
    )
