"""Neural tangent kernels: how a step for one output moves every other.

The kernel Θ = J Jᵀ, J the Jacobian of a batch's outputs by all parameters, is made on
the device, without J where that is large; its eigenvalues and all else are taken on the
host.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from init_study.errors import UserError, check_count
from init_study.instruments.curvature import check_parameters
from init_study.instruments.host_matrices import symmetric_eigenvalues

# 64 MB.
_MOST_NUMBERS = 2**24


class KernelSpectrum(NamedTuple):
    """What the eigenvalues of kernels say.

    Attributes:
        eigenvalues: the greatest first.
        condition: the greatest by the least; infinite where the least is within
            float32's rounding of zero, NaN of a kernel of zeros.
        trace: their sum.
    """

    eigenvalues: Float[np.ndarray, "*stack m"]
    condition: Float[np.ndarray, "*stack"]
    trace: Float[np.ndarray, "*stack"]


def tangent_kernel(
    outputs: Callable[[Any], Float[Array, "n k"]],
    params: Any,
    *,
    rows: int = 1,
    most_numbers: int = _MOST_NUMBERS,
) -> Float[Array, "nk nk"]:
    """Compute the empirical neural tangent kernel of all outputs, n·k by n·k.

    Θ[i·k + a, j·k + b] = Σ_θ ∂f_a(x_i)/∂θ · ∂f_b(x_j)/∂θ, of example i and output a,
    not divided by anything.

    Args:
        outputs: from parameters to the outputs of a batch.
        params: a tree, where they are differentiated.
        rows: how many rows are computed at once; more take as many times the memory of
            a pass, and help where a pass alone leaves a device idle.
        most_numbers: entries, n·k times parameters, up to which J is kept; beyond it a
            row goes back to the parameters and forwards again, so that `rows` rows of J
            are there at a time.

    Raises: UserError for outputs that are no `[n, k]`, or parameters of no numbers.
    Reference: Jacot, Gabriel & Hongler 2018; Novak, Sohl-Dickstein & Schoenholz 2022
    compare the ways.
    Cost: n·k backward passes of the whole batch and (n·k)² · parameters products where
        J is kept, else n·k backward and n·k forward passes. Inside loops on CPU a
        forward pass in the form `canonical` of `init_study.conv` took as long as some
        ten backward ones, and one in the form `patches` as long as one.

    Example:
        Two examples of a linear model with two outputs: Θ = X Xᵀ ⊗ I.

        >>> images = jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> kernel = tangent_kernel(lambda w: images @ w, jnp.zeros((2, 2)))
        >>> kernel[::2, ::2].tolist(), float(kernel[0, 1])
        ([[5.0, 2.0], [2.0, 1.0]], 0.0)
    """
    check_count("rows", rows)
    _check_outputs(outputs, params)
    # Where nothing else is asked for, a GPU rounds the factors of products to TF32,
    # which was up to 1.4 % of a kernel.
    with jax.default_matmul_precision("float32"):
        return _tangent_kernel(outputs, params, rows, most_numbers)


def _tangent_kernel(
    outputs: Callable[[Any], Array], params: Any, rows: int, most_numbers: int
) -> Array:
    """Compute the kernel at the precision that is set around it."""
    values, backwards = jax.vjp(lambda p: outputs(p).ravel(), params)
    _, forwards = jax.vjp(backwards, jnp.zeros_like(values))

    def of_each(row: Callable[[Any], Any]) -> Array:
        return lax.map(
            lambda place: row(backwards(jnp.zeros_like(values).at[place].set(1.0))),
            jnp.arange(values.size),
            batch_size=min(rows, values.size),
        ).astype(jnp.float32)

    size = sum(jnp.size(leaf) for leaf in jax.tree.leaves(params))
    if values.size * size <= most_numbers:
        jacobian = of_each(lambda row: ravel_pytree(row)[0])
        return jnp.matmul(jacobian, jacobian.T, precision=lax.Precision.HIGHEST)
    # Forwards is the derivative of backwards, wherever that is taken: functions that
    # have a backward pass of their own, as fast convolutions do, know no other.
    kernel = of_each(lambda row: forwards(row)[0])
    return (kernel + kernel.T) / 2


def _check_outputs(outputs: Callable[[Any], Array], params: Any) -> None:
    shape = jax.eval_shape(outputs, params).shape
    if len(shape) != 2 or 0 in shape:
        raise UserError(
            f"the outputs have shape {shape}, and not [examples, outputs]; reshape them"
        )
    check_parameters(params)


def sum_of_logits_kernel(
    outputs: Callable[[Any], Float[Array, "n k"]], params: Any, **options: int
) -> Float[Array, "n n"]:
    """Compute the tangent kernel of each example's sum of outputs, n by n.

    It is Σ_ab Θ[i·k + a, j·k + b] of the whole kernel, and what TE-NAS ranks networks
    by. It does not see what moves outputs against each other: where outputs always sum
    to the same it is zero. TE-NAS takes weights alone, without biases: give those as
    `params` for its number.

    Args:
        outputs: from parameters to the outputs of a batch.
        params: a tree, where they are differentiated.
        options: those of `tangent_kernel`.

    Raises: UserError as `tangent_kernel` does.
    Reference: Chen, Gong & Wang 2021, "Neural architecture search on ImageNet in four
    GPU hours", and its code, `lib/procedures/ntk.py`.
    Cost: that of `tangent_kernel` with one output an example.

    Example:
        >>> images = jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> sum_of_logits_kernel(lambda w: images @ w, jnp.zeros((2, 2))).tolist()
        [[10.0, 4.0], [4.0, 2.0]]
    """
    return tangent_kernel(
        lambda p: outputs(p).sum(-1, keepdims=True), params, **options
    )


def kernel_spectrum(
    kernels: Float[Array | np.ndarray, "*stack m m"],
) -> KernelSpectrum:
    """Compute eigenvalues, condition number and trace of kernels, on the host.

    Args:
        kernels: symmetric; one, or many with leading axes.

    Returns: NaN of a kernel that is not finite.

    Example:
        >>> found = kernel_spectrum(np.diag([1.0, 4.0]))
        >>> found.eigenvalues.tolist(), float(found.condition), float(found.trace)
        ([4.0, 1.0], 4.0, 5.0)
    """
    values = symmetric_eigenvalues(kernels)
    greatest, least = values[..., 0], values[..., -1]
    rounding = values.shape[-1] * np.finfo(np.float32).eps * greatest
    with np.errstate(divide="ignore", invalid="ignore"):
        condition = np.where(least > rounding, greatest / least, np.inf)
    condition = np.where(greatest > 0, condition, np.nan)
    return KernelSpectrum(values, condition, np.asarray(values.sum(-1)))


def kernel_alignment(
    kernels: Float[Array | np.ndarray, "*stack m m"],
    labels: Int[Array | np.ndarray, " n"],
    classes: int,
) -> Float[np.ndarray, "*stack"]:
    """Compute how much of kernels lies along the labels: yᵀ Θ y / (‖y‖² ‖Θ‖).

    y holds one-hot labels less each class's mean over the batch, so that a kernel that
    cannot tell examples apart scores 0. ‖Θ‖ is Frobenius's norm. All is done on the
    host.

    Args:
        kernels: n·classes by n·classes as `tangent_kernel` gives them, or n by n; one,
            or many with leading axes.
        labels: of the n examples.
        classes: how many there are.

    Returns: in [0, 1] for kernels without negative eigenvalues; 1 for y yᵀ alone. For
        n by n kernels y is a matrix Y, and y yᵀ is Y Yᵀ throughout: tr(Yᵀ Θ Y) by
        (‖Y Yᵀ‖ ‖Θ‖). NaN where all labels are one class, or a kernel is zero or not
        finite.

    Raises: UserError if sizes do not fit, or a label is no class.
    Reference: Cristianini et al. 2001, "On kernel-target alignment".

    Example:
        >>> labels = np.array([0, 1])
        >>> y = np.array([0.5, -0.5, -0.5, 0.5])
        >>> float(kernel_alignment(np.outer(y, y), labels, classes=2))
        1.0
    """
    size, given = kernels.shape[-1], np.asarray(labels)
    check_count("classes", classes)
    if given.size and not (0 <= given.min() and given.max() < classes):
        raise UserError(
            f"labels go from {given.min()} to {given.max()}, beyond classes={classes}; "
            "labels are counted from 0"
        )
    if size not in (len(given), len(given) * classes) or not size:
        raise UserError(
            f"a kernel of {size} rows fits neither {len(given)} labels nor their "
            f"{len(given) * classes} outputs in classes={classes}; give the labels of "
            "its own batch"
        )
    hot = np.eye(classes)[given]
    targets = hot - hot.mean(0)
    # The whole kernel's targets are one long vector.
    columns = targets.reshape(size, -1)
    whole = np.asarray(kernels, np.float64)
    along = np.einsum("ic,...ij,jc->...", columns, whole, columns)
    norms = np.linalg.norm(columns @ columns.T) * np.linalg.norm(whole, axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(along / norms)


def kernel_change(
    before: Float[Array | np.ndarray, "*stack m m"],
    after: Float[Array | np.ndarray, "*stack m m"],
) -> Float[np.ndarray, "*stack"]:
    """Compute how far kernels moved: ‖Θ_t − Θ_0‖ / ‖Θ_0‖, on the host.

    Near 0 a network trains as its linearization does ("lazily"); Frobenius's norms.

    Args:
        before: Θ_0; one, or many with leading axes.
        after: Θ_t, of the same batch.

    Returns: NaN where one is not finite or both are zero, infinity where the first
        alone is zero.

    Raises: UserError if the sizes differ.
    Reference: Chizat, Oyallon & Bach 2019; Fort et al. 2020.

    Example:
        >>> float(kernel_change(np.eye(2), 1.5 * np.eye(2)))
        0.5
    """
    first, last = _of_one_batch(before, after)
    moved, size = (np.linalg.norm(m, axis=(-2, -1)) for m in (last - first, first))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(moved / size)


def kernel_turn(
    before: Float[Array | np.ndarray, "*stack m m"],
    after: Float[Array | np.ndarray, "*stack m m"],
) -> Float[np.ndarray, "*stack"]:
    """Compute by how much kernels have turned: 1 − ⟨Θ_0, Θ_t⟩ / (‖Θ_0‖ ‖Θ_t‖).

    A kernel that is only scaled, as by a larger last layer, has not turned, though
    `kernel_change` sees it. Frobenius's product and norms; on the host.

    Args:
        before: Θ_0; one, or many with leading axes.
        after: Θ_t, of the same batch.

    Returns: from 0, exactly so for equal kernels, to 1 for kernels without negative
        eigenvalues; NaN where one is zero or not finite.

    Raises: UserError if the sizes differ.
    Reference: Fort et al. 2020, arXiv:2010.15110, their kernel distance.

    Example:
        >>> float(kernel_turn(np.diag([1.0, 0.0]), np.diag([0.0, 3.0])))
        1.0
    """
    units = []
    for kernels in _of_one_batch(before, after):
        size = np.linalg.norm(kernels, axis=(-2, -1), keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            units.append(kernels / size)
    # 1 − cos, without its rounding next to 1.
    return np.asarray(np.sum((units[1] - units[0]) ** 2, axis=(-2, -1)) / 2)


def _of_one_batch(before: Any, after: Any) -> tuple[np.ndarray, np.ndarray]:
    if before.shape != after.shape:
        raise UserError(
            f"kernels of shapes {before.shape} and {after.shape} are not of one batch; "
            "measure both on the same examples"
        )
    return np.asarray(before, np.float64), np.asarray(after, np.float64)
