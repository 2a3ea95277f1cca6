"""Convolution whose gradients stay fast inside loops on CPU.

XLA's CPU backend has a fast convolution kernel for one layout only (input NHWC,
kernel HWIO, output NHWC). Its pass that rewrites other layouts into that one visits
a module's entry computation and not the bodies of its loops
(xla/service/cpu/conv_canonicalization.cc), so the convolutions that autodiff makes
for the backward pass fall to a naive loop nest inside `scan`, `map` or `while`:
about a hundred times slower for the kernel's gradient. Here the backward pass is
written in the fast layout from the start, so that training loops can be compiled as
loops. The numbers are those of XLA's own convolution.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from absl import logging
from jax import lax
from jaxtyping import Array, Float

_LAYOUT = ("NHWC", "HWIO", "NHWC")

Pads = tuple[tuple[int, int], ...]
Strides = tuple[int, ...]


def convolve(
    images: Float[Array, "n h w in"],
    kernel: Float[Array, "kh kw in out"],
    strides: Strides = (1, 1),
    padding: Pads = ((0, 0), (0, 0)),
) -> Float[Array, "n oh ow out"]:
    """2-D convolution with explicit padding.

    Equal to `jax.lax.conv_general_dilated` in this layout; reverse mode, `vmap` and
    reverse over reverse work, plain forward mode (`jax.jvp`) is refused.
    """
    return _convolve(images, kernel, strides, padding)


def _plain(images: Array, kernel: Array, strides: Strides, padding: Pads) -> Array:
    return lax.conv_general_dilated(
        images, kernel, strides, padding, dimension_numbers=_LAYOUT
    )


_convolve = jax.custom_vjp(_plain, nondiff_argnums=(2, 3))


def _forward(
    images: Array, kernel: Array, strides: Strides, padding: Pads
) -> tuple[Array, tuple[Array, Array]]:
    return convolve(images, kernel, strides, padding), (images, kernel)


def _backward(
    strides: Strides, padding: Pads, saved: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    """Both gradients as stride-1 convolutions in the fast layout.

    A strided convolution is the stride-1 one, subsampled; its gradients are those of
    the stride-1 one for a cotangent with zeros in the places left out. The barriers
    keep XLA from folding the transposes back into the convolutions' layouts.
    """
    images, kernel = saved
    cotangent = _spread(cotangent, images.shape, kernel.shape, strides, padding)
    turned = lax.optimization_barrier(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))
    outer = tuple(
        (size - 1 - low, size - 1 - high)
        for size, (low, high) in zip(kernel.shape, padding, strict=False)
    )
    images_gradient = convolve(cotangent, turned, (1, 1), outer)
    channels_first = lax.optimization_barrier(images.transpose(3, 1, 2, 0))
    as_kernel = lax.optimization_barrier(cotangent.transpose(1, 2, 0, 3))
    kernel_gradient = convolve(channels_first, as_kernel, (1, 1), padding)
    return images_gradient, kernel_gradient.transpose(1, 2, 0, 3)


_convolve.defvjp(_forward, _backward)


def _spread(
    cotangent: Array,
    images_shape: Sequence[int],
    kernel_shape: Sequence[int],
    strides: Strides,
    padding: Pads,
) -> Array:
    """The cotangent at the size of the stride-1 output, zero where strides skipped."""
    if strides == (1, 1):
        return cotangent
    config = [(0, 0, 0)]
    for axis in (0, 1):
        full = images_shape[1 + axis] + sum(padding[axis]) - kernel_shape[axis] + 1
        reached = (cotangent.shape[1 + axis] - 1) * strides[axis] + 1
        config.append((0, full - reached, strides[axis] - 1))
    zero = jnp.zeros((), cotangent.dtype)
    return lax.optimization_barrier(lax.pad(cotangent, zero, [*config, (0, 0, 0)]))


def conv_general_dilated(
    lhs: Array, rhs: Array, window_strides: Sequence[int], padding: Any, **options: Any
) -> Array:
    """`jax.lax.conv_general_dilated` as `flax.linen.Conv` calls it, by `convolve`
    where that knows the case (2-D, ungrouped, undilated) and by XLA where not."""
    if not _is_plain(lhs, rhs, options):
        logging.log_first_n(
            logging.INFO,
            "convolution %s by %s with %s: XLA's own form, slow inside loops on CPU",
            1,
            lhs.shape,
            rhs.shape,
            options,
        )
        return lax.conv_general_dilated(lhs, rhs, window_strides, padding, **options)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(
            lhs.shape[1:3], rhs.shape[:2], window_strides, padding
        )
    pads = tuple((int(low), int(high)) for low, high in padding)
    strides = tuple(int(stride) for stride in window_strides)
    return convolve(lhs, rhs, strides, pads)


def _is_plain(lhs: Array, rhs: Array, options: dict[str, Any]) -> bool:
    ones = (1, 1)
    return (
        lhs.ndim == 4
        and lhs.dtype == rhs.dtype
        and options.get("feature_group_count", 1) == 1
        and tuple(options.get("lhs_dilation") or ones) == ones
        and tuple(options.get("rhs_dilation") or ones) == ones
        and options.get("precision") is None
    )


def intercept_convolutions(
    next_function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    context: nn.module.InterceptorContext,
) -> Any:
    """For `flax.linen.intercept_methods`: every `nn.Conv` uses this module's form.

    Models stay plain Flax, users' own included. A module that brings a convolution
    of its own keeps it.
    """
    module = context.module
    ours = (
        isinstance(module, nn.Conv)
        and context.method_name == "__call__"
        and module.conv_general_dilated is None
        and module.conv_general_dilated_cls is None
    )
    if not ours:
        return next_function(*args, **kwargs)
    # Flax modules are frozen dataclasses: their own setter refuses.
    object.__setattr__(module, "conv_general_dilated", conv_general_dilated)
    try:
        return next_function(*args, **kwargs)
    finally:
        object.__setattr__(module, "conv_general_dilated", None)
