"""Laws with structure: sparse kernels, and filters that are smooth or oriented."""

from math import prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.errors import UserError, check_number
from init_study.initializers.draws import (
    Initializer,
    drawn,
    floating,
    wide_type,
)
from init_study.initializers.fans import Fans, check_fans, known_fans
from init_study.initializers.fans import fans as count
from init_study.keys import threefry


def sparse(
    nonzero: int = 15, stddev: float = 1.0, groups: int = 1, fans: Fans = None
) -> Initializer:
    """Sparse normal law: `nonzero` weights N(0, stddev²) per output, the others zero.

    Preserves: the mean square of the inputs times nonzero · stddev², whatever the
    width. All fan_in weights where there are fewer. Where the operation has fewer
    inputs to an output than the kernel, as in transposed convolutions, an output meets
    fewer of its weights, and they are larger by the root of the ratio.
    Use: in very wide dense layers.
    When not: for depthwise kernels, which have fewer weights than that.

    Raises: UserError if `nonzero` is no positive whole number.
    Reference: Martens 2010, Deep learning via Hessian-free optimization, section 5.

    Example:
        >>> kernel = sparse(nonzero=2)(jax.random.key(0), (10, 3))
        >>> (kernel != 0).sum(0).tolist()
        [2, 2, 2]
    """
    check_number("stddev", stddev, least=0)
    if not isinstance(nonzero, int) or nonzero < 1:
        raise UserError(f"nonzero={nonzero!r} is not a positive whole number")
    check_fans(fans)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        counted = count(shape, groups)[0]
        size = stddev * sqrt(counted / known_fans(fans, shape, groups)[0])
        rows = prod(shape[:-1])
        value_key, place_key = jax.random.split(threefry(key))
        values = drawn("normal", lambda shape: size)(value_key, shape, dtype)
        order = jax.random.uniform(place_key, (rows, shape[-1])).argsort(0).argsort(0)
        return jnp.where((order < nonzero).reshape(shape), values, 0)

    return init


def gabor(scale: float = 2.0, groups: int = 1, fans: Fans = None) -> Initializer:
    """Gabor filters: oriented waves under a Gaussian window, each of norm √scale.

    cos(2π u / λ + ψ) exp(−(x² + y²) / 2σ²) along u = x cos θ + y sin θ, with θ and ψ
    uniform, λ uniform from 2 pixels to the kernel's size and σ a quarter to a half of
    it, times one random direction among the channels. There is no canonical recipe;
    this one has He's mean square by default.
    Norms are larger where the operation has fewer inputs to an output than the kernel.
    Use: in the first layer, on natural images.
    When not: in any later layer.
    Kernel layout: [height, width, in / groups, out], height and width above 1.

    Raises: UserError, when called, for another shape.

    Example:
        >>> kernel = gabor(scale=4.0)(jax.random.key(0), (7, 7, 3, 2))
        >>> norms = jnp.sqrt((kernel**2).sum((0, 1, 2)))
        >>> [round(float(norm), 3) for norm in norms]
        [2.0, 2.0]
    """
    check_number("scale", scale, least=0)
    check_fans(fans)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        kind, wide = floating(dtype), wide_type(dtype)
        counted = count(shape, groups)[0]
        thinning = counted / known_fans(fans, shape, groups)[0]
        if len(shape) != 4 or min(shape[:2]) < 2:
            raise UserError(
                "gabor needs a kernel [height, width, in, out] of more than one pixel, "
                f"not {tuple(shape)}; use he_normal for other layers"
            )
        height, width, channels, outputs = shape
        uniform_key, colour_key = jax.random.split(threefry(key))
        uniforms = jax.random.uniform(uniform_key, (4, outputs), wide)
        theta, psi, length, window = uniforms[:, None, None]
        size = min(height, width)
        y, x = np.mgrid[:height, :width].astype(float)
        y, x = y[..., None] - (height - 1) / 2, x[..., None] - (width - 1) / 2
        along = x * jnp.cos(np.pi * theta) + y * jnp.sin(np.pi * theta)
        phase = 2 * np.pi * (along / (2 + (size - 2) * length) + psi)
        sigma = size * (1 + window) / 4
        wave = jnp.cos(phase) * jnp.exp(-(x**2 + y**2) / (2 * sigma**2))
        colour = jax.random.normal(colour_key, (channels, outputs), wide)
        return _of_norm(
            wave[:, :, None] * colour[None, None], sqrt(scale * thinning)
        ).astype(kind)

    return init


def gaussian_field(
    length: float = 1.0,
    width: float = 0.5,
    scale: float = 2.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """Smooth random filters, strongest in the middle, of mean square scale / fan_in.

    Normal, independent between channels; over pixels p and q the covariance is
    w(p) w(q) exp(−|p − q|² / 2 length²), w a Gaussian window of width · size pixels.
    A plain form of structured covariance: that of trained filters of large depthwise
    convolutions depends on depth as well (Trockman, Willmott & Kolter 2023,
    arXiv:2210.03651); their closed form is not claimed here.
    Preserves: the mean square of white inputs times `scale`, on average over draws.
    Use: in large depthwise kernels, 7×7 and up.
    When not: at 3×3, where there is no shape to speak of.
    Kernel layout: [height, width, in / groups, out].

    Raises: UserError for sizes that are not positive; when called, for another shape.

    Example:
        >>> kernel = gaussian_field()(jax.random.key(0), (7, 7, 1, 400))
        >>> energy = (kernel**2).mean((2, 3))
        >>> bool(energy[3, 3] > 2 * energy[0, 0])  # the middle, and a corner
        True
    """
    check_number("scale", scale, least=0)
    check_fans(fans)
    for name, value in (("length", length), ("width", width)):
        if not value > 0:
            raise UserError(f"{name}={value!r} is not positive")

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        kind, wide = floating(dtype), wide_type(dtype)
        fan_in, _ = known_fans(fans, shape, groups)
        if len(shape) != 4:
            raise UserError(
                f"gaussian_field needs a kernel [height, width, in, out], not "
                f"{tuple(shape)}; use he_normal for other layers"
            )
        root = _field_root(shape[0], shape[1], length, width) * sqrt(scale / fan_in)
        pixels, rest = prod(shape[:2]), prod(shape[2:])
        white = jax.random.normal(threefry(key), (pixels, rest), wide)
        field = jnp.matmul(root, white, precision=jax.lax.Precision.HIGHEST)
        return field.reshape(shape).astype(kind)

    return init


def _field_root(
    height: int, width: int, length: float, window: float
) -> Float[np.ndarray, "p p"]:
    """Find a matrix R with R Rᵀ the covariance over pixels, of mean diagonal 1."""
    points = np.argwhere(np.ones((height, width))).astype(float)
    centre = (np.array([height, width]) - 1) / 2
    sizes = window * np.array([height, width])
    weight = np.exp(-(((points - centre) / sizes) ** 2).sum(1) / 2)
    distance = ((points[:, None] - points[None]) ** 2).sum(-1)
    covariance = np.outer(weight, weight) * np.exp(-distance / (2 * length**2))
    covariance /= np.trace(covariance) / len(points)
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))


def _of_norm(kernel: Array, norm: float) -> Array:
    """Scale every output's weights to one norm."""
    kernel = jax.lax.optimization_barrier(kernel)
    axes = tuple(range(kernel.ndim - 1))
    norms = jnp.sqrt(jnp.sum(kernel**2, axes, keepdims=True))
    return kernel * (norm / norms)
