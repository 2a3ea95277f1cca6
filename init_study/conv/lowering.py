"""`fast_in_loops`: any function, with this package's convolutions and pooling.

It evaluates the function's jaxpr and puts `convolve`, `max_pool` and `sum_pool` in the
place of these equations; `_is_known_convolution` and `_is_known_pool` say of which:

    conv_general_dilated[dimension_numbers=NHWC,HWIO,NHWC] images kernel
    reduce_window_max[window_dimensions=(1, h, w, 1)] images
    reduce_window_sum[window_dimensions=(1, h, w, 1) window_strides=the same] images
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
from absl import logging
from jax.extend.core import Jaxpr, JaxprEqn, primitives

from init_study import jaxprs
from init_study.conv.forms import check_form, convolve
from init_study.conv.pooling import max_pool, sum_pool

# Batch first, then channels, then space: what the numbers of a ConvDimensionNumbers
# say for NHWC images and HWIO kernels.
_NHWC, _HWIO = (0, 3, 1, 2), (3, 2, 0, 1)


def fast_in_loops(
    function: Callable[..., Any], form: str | None = None
) -> Callable[..., Any]:
    """Make a function fast to differentiate inside `scan`, `map` or `while` on CPU.

    What it computes stays the same. Every 2-D convolution of NHWC images, grouped,
    dilated and transposed ones included, and every max and average pooling becomes this
    package's; whatever else the function does stays as it is. This works on what the
    function traces to, so on Flax, Haiku and Equinox modules and on plain JAX alike.
    Differentiate the result, not the argument.

    A convolution that is left to XLA is named in a logged line, once for each shape:
    other layouts, 1-D and 3-D ones, given precisions, integers, and those inside loops
    or branches of the function's own.

    Args:
        function: of pytrees of arrays, positional or by name, to a pytree of arrays.
            What is no array (a flag, a function) belongs into a closure.
        form: in `FORMS`, by default the fastest known for the platform; `xla` gives
            the function back.

    Raises: UserError for a form that is not there.

    Example:
        The gradient by the bias of a sum over 4 × 4 pixels is their number.

        >>> import flax.linen as nn, jax.numpy as jnp
        >>> module, images = nn.Conv(1, (3, 3)), jnp.zeros((1, 4, 4, 1))
        >>> params = {"kernel": jnp.zeros((3, 3, 1, 1)), "bias": jnp.zeros(1)}
        >>> loss = fast_in_loops(lambda p: module.apply({"params": p}, images).sum())
        >>> jax.jit(jax.grad(loss))(params)["bias"].tolist()
        [16.0]
    """
    form = check_form(form)
    if form == "xla":
        return function

    def lowered(*args: Any, **kwargs: Any) -> Any:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*args, **kwargs)
        leaves = jax.tree.leaves((args, kwargs))
        out = _evaluate(traced.jaxpr, traced.consts, leaves, form)
        return jax.tree.unflatten(jax.tree.structure(shapes), out)

    return lowered


def _evaluate(jaxpr: Jaxpr, consts: Any, args: Any, form: str) -> list[Any]:
    def apply(equation: JaxprEqn, inputs: list[Any]) -> Any:
        return _apply(equation, inputs, form)

    return jaxprs.interpret(jaxpr, consts, args, apply, calls=jaxprs.PLAIN_CALLS)


def _apply(equation: JaxprEqn, inputs: list[Any], form: str) -> Any:
    """Compute an equation, in this package's way if it is one of the known."""
    primitive, params = equation.primitive, equation.params
    if primitive is primitives.remat_p:
        body = partial(_evaluate_body, params["jaxpr"], form)
        again = jax.checkpoint(
            body, prevent_cse=params["prevent_cse"], policy=params["policy"]
        )
        return again(*inputs)
    if primitive is primitives.conv_general_dilated_p:
        if _is_known_convolution(inputs, params):
            return [_convolution(inputs, params, form)]
        _log_left(equation)
    elif primitive is primitives.reduce_window_max_p and _is_known_pool(inputs, params):
        return [_maximum(inputs, params)]
    elif primitive is primitives.reduce_window_sum_p and _is_tiled(inputs, params):
        return [sum_pool(inputs[0], params["window_dimensions"][1:3])]
    for inner in jaxprs.inner_equations(equation):
        if inner.primitive is primitives.conv_general_dilated_p:
            _log_left(inner, f" inside {primitive}")
    return jaxprs.bind(equation, inputs)


def _evaluate_body(jaxpr: Jaxpr, form: str, *args: Any) -> list[Any]:
    return _evaluate(jaxpr, (), args, form)


def _is_known_convolution(inputs: list[Any], params: dict[str, Any]) -> bool:
    """Tell whether `convolve` can compute an equation: 2-D, NHWC, default precision.

    The default is what is set around the call: `convolve` has the same.
    """
    images, kernel = inputs
    numbers, precision = params["dimension_numbers"], params["precision"]
    return (
        images.ndim == 4
        and images.dtype == kernel.dtype
        and jax.numpy.issubdtype(images.dtype, jax.numpy.floating)
        and (numbers.lhs_spec, numbers.rhs_spec) == (_NHWC, _HWIO)
        and numbers.out_spec == _NHWC
        and params["batch_group_count"] == 1
        and (precision is None or precision == default_precision())
        and params["preferred_element_type"] in (None, images.dtype)
    )


def default_precision() -> Any:
    """Read what a product asks for where nothing is said, as JAX writes it down.

    Example:
        >>> with jax.default_matmul_precision("float32"):
        ...     [one.name for one in default_precision()]
        ['HIGHEST', 'HIGHEST']
    """
    product = jax.make_jaxpr(jax.numpy.matmul)(
        *[jax.ShapeDtypeStruct((1, 1), "f4")] * 2
    )
    (equation,) = (e for e in product.eqns if e.primitive is primitives.dot_general_p)
    return equation.params["precision"]


def _convolution(inputs: list[Any], params: dict[str, Any], form: str) -> Any:
    images, kernel = inputs
    return convolve(
        images,
        kernel,
        strides=params["window_strides"],
        padding=params["padding"],
        input_dilation=params["lhs_dilation"],
        kernel_dilation=params["rhs_dilation"],
        groups=params["feature_group_count"],
        form=form,
    )


def _is_known_pool(inputs: list[Any], params: dict[str, Any]) -> bool:
    """Tell whether a window runs over height and width alone, undilated."""
    (images,) = inputs
    ends = (0, -1)
    return (
        images.ndim == 4
        and jax.numpy.issubdtype(images.dtype, jax.numpy.floating)
        and all(params["window_dimensions"][end] == 1 for end in ends)
        and all(params["window_strides"][end] == 1 for end in ends)
        and all(params["padding"][end] == (0, 0) for end in ends)
        and all(low >= 0 and high >= 0 for low, high in params["padding"])
        and set(params["base_dilation"]) == set(params["window_dilation"]) == {1}
    )


def _maximum(inputs: list[Any], params: dict[str, Any]) -> Any:
    return max_pool(
        inputs[0],
        params["window_dimensions"][1:3],
        params["window_strides"][1:3],
        params["padding"][1:3],
    )


def _is_tiled(inputs: list[Any], params: dict[str, Any]) -> bool:
    """Tell whether windows lie side by side from the first pixel on."""
    return (
        _is_known_pool(inputs, params)
        and params["window_dimensions"] == params["window_strides"]
        and set(params["padding"]) == {(0, 0)}
    )


def _log_left(convolution: JaxprEqn, inside: str = "") -> None:
    """Log that a convolution is left to XLA, once for each shape."""
    operands: list[Any] = convolution.invars[:2]
    shapes = " by ".join(str(operand.aval.shape) for operand in operands)
    _log_once(f"a convolution of {shapes}{inside}")


@cache
def _log_once(what: str) -> None:
    logging.warning(
        "%s is left to XLA, whose gradients are slow inside loops on CPU", what
    )
