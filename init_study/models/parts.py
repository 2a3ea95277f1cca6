"""What several models are made of: norms, poolings, and checks of what is asked."""

from collections.abc import Iterable
from math import ceil, gcd
from typing import Any, TypeAlias

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from init_study.errors import SmallImages, unknown

NORMS = ("none", "batch", "layer", "group")
# A type that models compute in; None for that of the images and parameters.
ComputeType: TypeAlias = DTypeLike | None


def check_names(module: nn.Module, **tables: Iterable[str]) -> None:
    """Check that each named field of a model is a name of its table.

    Raises: UserError with the nearest valid name for the first that is not.
    """
    for field, table in tables.items():
        valid, given = tuple(table), getattr(module, field)
        if given not in valid:
            raise unknown(field, given, valid, ", ".join(valid))


def check_image(model: str, images: Array, least: int, instead: str) -> None:
    """Check that images are no smaller than a model can halve.

    Args:
        model: its name, for the message.
        images: `[n, height, width, channels]`.
        least: pixels of the smaller side.
        instead: the name of a model for small images.

    Raises: SmallImages with both sizes and the other model.
    """
    if min(images.shape[1:3]) < least:
        raise SmallImages(
            f"{model} needs images of at least {least}×{least} pixels, not "
            f"{images.shape[1]}×{images.shape[2]}; use model={instead}",
            least,
        )


def normalize(
    x: Float[Array, "n h w c"],
    norm: str,
    train: bool,
    dtype: ComputeType = None,
    epsilon: float = 1e-5,
) -> Array:
    """Normalize by `none`, `batch`, `layer` or `group`.

    Batch norm has momentum 0.9 and `epsilon` beside the variance; layer norm is over
    channels; group norm has the 32 groups of Wu & He 2018, or as many of them as divide
    the channels evenly.
    """
    if norm == "batch":
        return nn.BatchNorm(
            use_running_average=not train, momentum=0.9, epsilon=epsilon, dtype=dtype
        )(x)
    if norm == "group":
        return nn.GroupNorm(num_groups=gcd(32, x.shape[-1]), dtype=dtype)(x)
    return nn.LayerNorm(dtype=dtype)(x) if norm == "layer" else x


def conv_norm(
    module: Any,
    x: Float[Array, "n h w c"],
    channels: int,
    size: int,
    train: bool,
    strides: int = 1,
    groups: int = 1,
) -> Float[Array, "n h2 w2 channels"]:
    """Convolve by a square kernel with a pixel of padding for each two of it, and norm.

    Args:
        module: the net, whose `norm` and `dtype` hold; a bias comes with `none` alone.
        x: maps.
        channels: of the output.
        size: rows and columns of the kernel.
        train: whether batch norm takes the batch's statistics.
        strides: of the window.
        groups: of channels.
    """
    x = nn.Conv(
        channels,
        (size, size),
        strides=strides,
        padding=size // 2,
        feature_group_count=groups,
        use_bias=module.norm == "none",
        dtype=module.dtype,
    )(x)
    return normalize(x, module.norm, train, module.dtype)


def halve_map(x: Float[Array, "n h w c"], pooling: str) -> Array:
    """Pool 2×2, by `max` or `average`; an odd last row or column is dropped."""
    pool = nn.max_pool if pooling == "max" else nn.avg_pool
    return pool(x, (2, 2), (2, 2))


def overlapping_pool(x: Float[Array, "n h w c"], padding: int = 0) -> Array:
    """Take the maximum of 3×3 pixels at every second one."""
    pads: Any = ((padding, padding), (padding, padding))
    return nn.max_pool(x, (3, 3), strides=(2, 2), padding=pads)


def pool_to_size(x: Float[Array, "n h w c"], size: int) -> Float[Array, "n s s c"]:
    """Average to a map of `size` rows and columns, whatever the map's own size.

    Part i of s along a side of h pixels reaches from ⌊i h / s⌋ to ⌈(i + 1) h / s⌉, as
    in PyTorch's `AdaptiveAvgPool2d`; parts overlap where s does not divide h.
    """
    for axis in (1, 2):
        pixels = x.shape[axis]
        if pixels != size:
            ends = [
                (i * pixels // size, ceil((i + 1) * pixels / size)) for i in range(size)
            ]
            parts = [jnp.take(x, jnp.arange(*e), axis).mean(axis) for e in ends]
            x = jnp.stack(parts, axis)
    return x
