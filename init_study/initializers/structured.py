"""Laws with structure: identities, mirrored and sparse kernels, filter banks."""

from math import ceil, log2, prod, sqrt
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
from init_study.initializers.orthogonal import at_centre, orthogonal
from init_study.initializers.scaling import fans, he_normal


def identity(gain: float = 1.0, groups: int = 1) -> Initializer:
    """Dirac: output i of a group is its input i times gain, as far as both go.

    Preserves: the image itself, with in = out and gain 1; further outputs are zero,
    further inputs are dropped. The same for every key. In even kernels the tap is
    (k − 1) // 2, which SAME padding leaves in place.
    Use: in residual-free nets that should begin as the identity.
    When not: where the layer widens: further outputs are dead behind ReLU.
    Reference: Le, Jaitly & Hinton 2015, arXiv:1504.00941 (dense); Zagoruyko & Komodakis
    2017, arXiv:1706.00388 (convolutions).
    """
    check_number("gain", gain)
    return at_centre(_fixed(lambda i, o: gain * np.eye(i, o), groups))


def repeated_identity(gain: float = 1.0, groups: int = 1) -> Initializer:
    """Output j of a group is its input j mod in; inputs beyond out are added likewise.

    W[i, j] = gain where i ≡ j modulo the smaller number, at the centre tap. Unlike
    `identity` no output is zero and no input is lost. The same for every key.
    The padded identity that IDInit starts from (Pan et al. 2025, arXiv:2503.04626);
    its rules for convolutions and residual branches are not claimed here.
    Use: as `identity`, where layers widen.
    When not: alone: equal outputs stay equal until something else differs.
    """
    check_number("gain", gain)

    def matrix(inputs: int, outputs: int) -> np.ndarray:
        smaller = min(inputs, outputs)
        rows, columns = np.indices((inputs, outputs))
        return gain * (rows % smaller == columns % smaller)

    return at_centre(_fixed(matrix, groups))


def zero_hadamard(groups: int = 1) -> Initializer:
    """ZerO: zeros and ones; Hadamard's matrix, ±1/√p, where the layer widens.

    in ≥ out: the identity, cut off. in < out: I H I / √p with Hadamard's matrix H of
    size p, the least power of two ≥ out; at the centre tap.
    Preserves: ‖W*x‖ = ‖x‖ where in ≤ out and out is a power of two; for other widths
    less, by √(out / p) for white inputs. The same for every key.
    Use: where no random number is wanted at all.
    When not: to measure spread over seeds: there is none but that of the data's
    order.
    Reference: Zhao, Schäfer & Anandkumar 2022, arXiv:2110.12661; the factor is that of
    the authors' code.
    """

    def matrix(inputs: int, outputs: int) -> np.ndarray:
        if inputs >= outputs:
            return np.eye(inputs, outputs)
        power = ceil(log2(outputs))
        hadamard = np.ones((1, 1))
        for _ in range(power):
            hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
        return hadamard[:inputs, :outputs] / sqrt(2**power)

    return at_centre(_fixed(matrix, groups))


def partial_dirac(negative_slope: float = 0.0, groups: int = 1) -> Initializer:
    """The first filters are `identity`, the others He's normal law.

    As many as a group has inputs; a layer that does not widen is `identity` altogether.
    Use: in widening convolutions, as in fast CIFAR-10 recipes.
    When not: in layers that do not widen: no randomness is left.
    Source: `airbench`, K. Jordan, whose other filters have PyTorch's default.
    """
    rest = he_normal(negative_slope, groups)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        dirac = identity(1.0, groups)(key, shape, dtype)
        if shape[-2] >= shape[-1] // groups:
            return dirac
        first = np.arange(shape[-1]) % (shape[-1] // groups) < shape[-2]
        return jnp.where(first, dirac, rest(key, shape, dtype))

    return init


def looks_linear(gain: float = 1.0) -> Initializer:
    """[[W, −W], [−W, W]] with an orthogonal W: behind ReLU, a linear net at first.

    relu(h) − relu(−h) = h: if the inputs are activations of h and −h, the outputs are
    Wh and −Wh, and so on from layer to layer.
    Preserves: ‖Wh‖ = gain ‖h‖ for dense layers that do not narrow, through any number
    of ReLUs. An odd number of inputs, as an image's channels, is taken as h: [W, −W].
    Use: in deep ReLU nets of even widths, dense above all.
    When not: before a plain head, which adds h and −h up: give it the same law.
    Kernel layout: [..., in, out], out even; without groups.

    Raises: UserError, when called, for an odd number of outputs.
    Reference: Balduzzi et al. 2017, arXiv:1702.08591, section 4.
    """
    check_number("gain", gain)
    inner = orthogonal(gain)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        floating(dtype)
        fans(shape)
        inputs, outputs = shape[-2:]
        if outputs % 2:
            raise UserError(
                f"looks_linear makes pairs of outputs, and shape {tuple(shape)} has "
                f"{outputs}, an odd number; give the last layer another law"
            )
        mirrored = inputs % 2 == 0
        half = (*shape[:-2], inputs // 2 if mirrored else inputs, outputs // 2)
        w = inner(key, half, dtype)
        top = jnp.concatenate([w, -w], -1)
        return jnp.concatenate([top, -top], -2) if mirrored else top

    return init


def sparse(nonzero: int = 15, stddev: float = 1.0, groups: int = 1) -> Initializer:
    """Every output has `nonzero` incoming weights, N(0, stddev²); the others are zero.

    Preserves: the mean square of the inputs times nonzero · stddev², whatever the
    width. All fan_in weights where there are fewer.
    Use: in very wide dense layers.
    When not: for depthwise kernels, which have fewer weights than that.

    Raises: UserError if `nonzero` is no positive whole number.
    Reference: Martens 2010, Deep learning via Hessian-free optimization, section 5.
    """
    check_number("stddev", stddev, least=0)
    if not isinstance(nonzero, int) or nonzero < 1:
        raise UserError(f"nonzero={nonzero!r} is not a positive whole number")

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        rows, _ = fans(shape, groups)
        value_key, place_key = jax.random.split(key)
        values = drawn("normal", lambda shape: stddev)(value_key, shape, dtype)
        order = jax.random.uniform(place_key, (rows, shape[-1])).argsort(0).argsort(0)
        return jnp.where((order < nonzero).reshape(shape), values, 0)

    return init


def gabor(scale: float = 2.0, groups: int = 1) -> Initializer:
    """Oriented waves under a Gaussian window, for first layers; each of norm √scale.

    cos(2π u / λ + ψ) exp(−(x² + y²) / 2σ²) along u = x cos θ + y sin θ, with θ and ψ
    uniform, λ uniform from 2 pixels to the kernel's size and σ a quarter to a half of
    it, times one random direction among the channels. There is no canonical recipe;
    this one has He's mean square by default.
    Use: in the first layer, on natural images.
    When not: in any later layer.
    Kernel layout: [height, width, in / groups, out], height and width above 1.

    Raises: UserError, when called, for another shape.
    """
    check_number("scale", scale, least=0)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        kind, wide = floating(dtype), wide_type(dtype)
        fans(shape, groups)
        if len(shape) != 4 or min(shape[:2]) < 2:
            raise UserError(
                "gabor needs a kernel [height, width, in, out] of more than one pixel, "
                f"not {tuple(shape)}; use he_normal for other layers"
            )
        height, width, channels, outputs = shape
        uniform_key, colour_key = jax.random.split(key)
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
        return _of_norm(wave[:, :, None] * colour[None, None], sqrt(scale)).astype(kind)

    return init


def gaussian_field(
    length: float = 1.0, width: float = 0.5, scale: float = 2.0, groups: int = 1
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
    """
    check_number("scale", scale, least=0)
    for name, value in (("length", length), ("width", width)):
        if not value > 0:
            raise UserError(f"{name}={value!r} is not positive")

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        kind, wide = floating(dtype), wide_type(dtype)
        fan_in, _ = fans(shape, groups)
        if len(shape) != 4:
            raise UserError(
                f"gaussian_field needs a kernel [height, width, in, out], not "
                f"{tuple(shape)}; use he_normal for other layers"
            )
        root = _field_root(shape[0], shape[1], length, width) * sqrt(scale / fan_in)
        pixels, rest = prod(shape[:2]), prod(shape[2:])
        white = jax.random.normal(key, (pixels, rest), wide)
        field = jnp.matmul(root, white, precision=jax.lax.Precision.HIGHEST)
        return field.reshape(shape).astype(kind)

    return init


def _field_root(
    height: int, width: int, length: float, window: float
) -> Float[np.ndarray, "p p"]:
    """A matrix R with R Rᵀ the covariance over pixels, of mean diagonal 1."""
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
    """Every output's weights scaled to one norm."""
    kernel = jax.lax.optimization_barrier(kernel)
    axes = tuple(range(kernel.ndim - 1))
    norms = jnp.sqrt(jnp.sum(kernel**2, axes))
    return kernel * (norm / norms)


def _fixed(matrix: Any, groups: int) -> Initializer:
    """The same for every key: (in / groups, out / groups) -> numbers of one group."""

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        del key
        fans(shape, groups)
        one = np.asarray(matrix(shape[-2], shape[-1] // groups), float)
        return jnp.asarray(np.tile(one, (1, groups)), floating(dtype))

    return init
