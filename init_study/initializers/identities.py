"""Identities: fixed and mirrored kernels through which a net begins as a linear map."""

from collections.abc import Callable
from math import ceil, log2, sqrt
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError, check_number
from init_study.initializers.activated import he_normal
from init_study.initializers.draws import Initializer, floating
from init_study.initializers.fans import Fans, check_fans, fans, known_fans
from init_study.initializers.isometries import at_centre
from init_study.initializers.orthogonal import orthogonal

# The place of a matrix along each spatial axis; None is the centre.
Tap = tuple[int, ...] | None


def identity(gain: float = 1.0, groups: int = 1, tap: Tap = None) -> Initializer:
    """Dirac kernel: output i of a group is its input i times gain, where both exist.

    Preserves: the image itself, with in = out and gain 1; further outputs are zero,
    further inputs are dropped. The same for every key. A scheme takes the tap that
    leaves the image in place, for any padding; in a bare kernel it is (k − 1) // 2,
    as for SAME.
    Use: in residual-free nets that should begin as the identity.
    When not: where the layer widens: further outputs are dead behind ReLU.
    Reference: Le, Jaitly & Hinton 2015, arXiv:1504.00941 (dense); Zagoruyko & Komodakis
    2017, arXiv:1706.00388 (convolutions).

    Example:
        >>> identity()(jax.random.key(0), (2, 3)).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    check_number("gain", gain)
    return at_centre(_fixed(lambda i, o: gain * np.eye(i, o), groups), tap)


def repeated_identity(
    gain: float = 1.0, groups: int = 1, tap: Tap = None
) -> Initializer:
    """Identity repeated: output j of a group is its input j mod in.

    Where inputs are more than outputs, those beyond are added likewise.
    W[i, j] = gain where i ≡ j modulo the smaller number, at the centre tap. Unlike
    `identity` no output is zero and no input is lost. The same for every key.
    The padded identity that IDInit starts from (Pan et al. 2025, arXiv:2503.04626);
    its rules for convolutions and residual branches are not claimed here.
    Use: as `identity`, where layers widen.
    When not: alone: equal outputs stay equal until something else differs.

    Example:
        >>> repeated_identity()(jax.random.key(0), (2, 3)).tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    check_number("gain", gain)

    def matrix(inputs: int, outputs: int) -> np.ndarray:
        smaller = min(inputs, outputs)
        rows, columns = np.indices((inputs, outputs))
        return gain * (rows % smaller == columns % smaller)

    return at_centre(_fixed(matrix, groups), tap)


def zero_hadamard(groups: int = 1, tap: Tap = None) -> Initializer:
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

    Example:
        >>> zero_hadamard()(jax.random.key(0), (2, 4)).tolist()
        [[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]]
    """

    def matrix(inputs: int, outputs: int) -> np.ndarray:
        if inputs >= outputs:
            return np.eye(inputs, outputs)
        power = ceil(log2(outputs))
        hadamard = np.ones((1, 1))
        for _ in range(power):
            hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
        return hadamard[:inputs, :outputs] / sqrt(2**power)

    return at_centre(_fixed(matrix, groups), tap)


def partial_dirac(
    negative_slope: float = 0.0,
    groups: int = 1,
    tap: Tap = None,
    fans: Fans = None,
) -> Initializer:
    """Identity in the first filters, He's normal law in the others.

    As many filters are `identity` as a group has inputs; a layer that does not widen is
    so altogether.
    Use: in widening convolutions, as in fast CIFAR-10 recipes.
    When not: in layers that do not widen: no randomness is left.
    Source: `airbench`, K. Jordan, whose other filters have PyTorch's default.

    Example:
        >>> kernel = partial_dirac()(jax.random.key(0), (3, 3, 2, 8))
        >>> kernel[1, 1, :, :2].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    rest = he_normal(negative_slope, groups=groups, fans=fans)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        dirac = identity(1.0, groups, tap)(key, shape, dtype)
        if shape[-2] >= shape[-1] // groups:
            return dirac
        first = np.arange(shape[-1]) % (shape[-1] // groups) < shape[-2]
        return jnp.where(first, dirac, rest(key, shape, dtype))

    return init


def looks_linear(gain: float = 1.0, fans: Fans = None) -> Initializer:
    """Mirrored kernel [[W, −W], [−W, W]], W orthogonal: a ReLU net that begins linear.

    relu(h) − relu(−h) = h: if the inputs are activations of h and −h, the outputs are
    Wh and −Wh, and so on from layer to layer.
    Preserves: ‖Wh‖ = gain ‖h‖ for dense layers that do not narrow, through any number
    of ReLUs. An odd number of inputs, as an image's channels, is taken as h: [W, −W].
    Where the operation has fewer inputs to an output than the kernel, W is larger, as
    that of `orthogonal`.
    Use: in deep ReLU nets of even widths, dense above all.
    When not: before a plain head, which adds h and −h up: give it the same law.
    Kernel layout: [..., in, out], out even; without groups.

    Raises: UserError, when called, for an odd number of outputs.
    Reference: Balduzzi et al. 2017, arXiv:1702.08591, section 4.

    Example:
        >>> kernel = looks_linear()(jax.random.key(0), (4, 6))
        >>> bool((kernel[:2, :3] == -kernel[:2, 3:]).all())
        True
    """
    check_number("gain", gain)
    check_fans(fans)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        floating(dtype)
        forward, backward = known_fans(fans, shape, 1)
        inputs, outputs = shape[-2:]
        if outputs % 2:
            raise UserError(
                f"looks_linear makes pairs of outputs, and shape {tuple(shape)} has "
                f"{outputs}, an odd number; give the last layer another law"
            )
        mirrored = inputs % 2 == 0
        half = (*shape[:-2], inputs // 2 if mirrored else inputs, outputs // 2)
        of_half = (forward / 2 if mirrored else forward, backward / 2)
        w = orthogonal(gain, fans=of_half)(key, half, dtype)
        top = jnp.concatenate([w, -w], -1)
        return jnp.concatenate([top, -top], -2) if mirrored else top

    return init


def _fixed(matrix: Callable[[int, int], np.ndarray], groups: int) -> Initializer:
    """Make an initializer of `matrix(in, out)` in each group, the same for all keys."""

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        del key
        fans(shape, groups)
        one = np.asarray(matrix(shape[-2], shape[-1] // groups), float)
        return jnp.asarray(np.tile(one, (1, groups)), floating(dtype))

    return init
