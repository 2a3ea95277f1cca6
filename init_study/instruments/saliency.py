"""Scores of a start by its gradients: SNIP, GraSP, SynFlow, and jacob_cov.

The first three were made to prune single weights; a tensor's score is the sum over its
weights, and that over all tensors rates the start.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.instruments.host_matrices import symmetric_eigenvalues
from init_study.instruments.tensors import named_tensors

# Added to the eigenvalues by the source of `jacobian_score`.
_OFFSET = 1e-5


class Saliency(NamedTuple):
    """Scores of weights, summed.

    Attributes:
        tensors: over each tensor, by its path.
        whole: over all of them.
    """

    tensors: dict[str, Float[Array, ""]]
    whole: Float[Array, ""]


def snip(loss: Callable[[Any], Float[Array, ""]], params: Any) -> Saliency:
    """Compute SNIP's score Σ |g ⊙ w|: how much the loss hangs on each weight.

    Args:
        loss: of a batch, as a function of the parameters.
        params: where it is taken.

    Returns: in the units of the loss; 0 for a gradient of zero, NaN where the gradient
        is.

    Raises: UserError for a tree without a tensor.

    Source: Lee et al. 2019, arXiv:1810.02340; without their division by the sum.

    Cost: a pass forwards and back.

    Example:
        >>> score = snip(lambda w: 3.0 * w["a"] - w["b"], {"a": 2.0, "b": 5.0})
        >>> float(score.tensors["a"]), float(score.whole)
        (6.0, 11.0)
    """
    gradient = jax.grad(loss)(params)
    return _summed(jax.tree.map(lambda g, w: jnp.abs(g * w), gradient, params))


def grasp(loss: Callable[[Any], Float[Array, ""]], params: Any) -> Saliency:
    """Compute GraSP's score Σ −w ⊙ Hg: what each weight adds to the gradient's length.

    H is the Hessian of the loss. To take a weight away changes ‖g‖² / 2 by its score,
    to first order; so weights below zero hold gradient up. Unlike SNIP's, scores of
    one tensor may cancel.

    Args:
        loss: of a batch, as a function of the parameters; twice differentiable.
        params: where it is taken.

    Returns: in squared units of the loss over squared ones of the weights.

    Raises: UserError for a tree without a tensor.

    Source: Wang et al. 2020, arXiv:2002.07376, on one batch and at temperature 1.

    Cost: two passes forwards and back, and a product with the Hessian.

    Example:
        Of w² the gradient is 2w and the Hessian 2: −w · 2 · 2w.

        >>> float(grasp(lambda w: w["a"] ** 2, {"a": 3.0}).whole)
        -36.0
    """
    slope = jax.grad(loss)
    _, curved = jax.jvp(slope, (params,), (slope(params),))
    return _summed(jax.tree.map(lambda h, w: -w * h, curved, params))


def synflow(
    function: Callable[[Any, Float[Array, "1 ..."]], Float[Array, "1 ..."]],
    params: Any,
    image_shape: tuple[int, ...],
) -> Saliency:
    """Compute SynFlow's score Σ |w| ⊙ ∂R/∂|w|, R = Σ f(|w|, 1): the flow of all paths.

    It is defined where f is linear in images without a negative number once weights
    have none: nets of dense and convolution layers, rectifiers, leaky or not, sums and
    poolings; biases of zero; norms in evaluation mode at their start. There each layer
    of a chain scores R. Kernels that a norm rescales score nothing.

    Args:
        function: of parameters and a batch of one image, without dropout.
        params: of the network.
        image_shape: of that image, whose every number is 1.

    Returns: in units of the outputs; NaN where f(|w|, 2) is not 2 f(|w|, 1), as after
        tanh, with biases or under a norm over the batch. Where float32 overflows it is
        infinite or NaN.

    Raises: UserError for a tree without a tensor.

    Source: Tanaka et al. 2020, arXiv:2006.05467, in a single round.

    Cost: two passes forwards and one back.

    Example:
        >>> def function(w, x):
        ...     return x @ w["first"] @ w["last"]
        >>> w = {"first": jnp.array([[1.0, -2.0]]), "last": jnp.array([[3.0], [4.0]])}
        >>> float(synflow(function, w, (1,)).tensors["first"])
        11.0
    """
    sizes = jax.tree.map(jnp.abs, params)
    ones = jnp.ones((1, *image_shape))

    def flow(sizes: Any) -> tuple[Array, Array]:
        outputs = function(sizes, ones)
        return jnp.sum(outputs), outputs

    gradient, outputs = jax.grad(flow, has_aux=True)(sizes)
    # To double is exact: a linear net does it to the last bit.
    linear = jnp.allclose(function(sizes, 2 * ones), 2 * outputs, rtol=1e-5, atol=0.0)
    summed = _summed(jax.tree.map(jnp.multiply, gradient, sizes))
    return jax.tree.map(lambda score: jnp.where(linear, score, jnp.nan), summed)


def _summed(scores: Any) -> Saliency:
    tensors = {
        name: jnp.sum(jnp.asarray(score, jnp.float32))
        for name, score in named_tensors(scores).items()
    }
    return Saliency(tensors, jnp.sum(jnp.stack([*tensors.values()])))


def input_gradients(
    function: Callable[[Float[Array, "n ..."]], Float[Array, "n ..."]],
    images: Float[Array, "n ..."],
) -> Float[Array, "n pixels"]:
    """Compute the gradient of the sum of all outputs by each image.

    Args:
        function: of a batch of images. With a norm over the batch an image's gradient
            holds what it does to the other images' outputs.
        images: of the batch.

    Cost: a pass forwards and back.

    Example:
        >>> input_gradients(lambda x: 2.0 * x, jnp.ones((1, 3))).tolist()
        [[2.0, 2.0, 2.0]]
    """
    gradients = jax.grad(lambda images: jnp.sum(function(images)))(images)
    return gradients.reshape(len(images), -1)


def jacobian_score(
    gradients: Float[Array | np.ndarray, "members n pixels"],
) -> Float[np.ndarray, " members"]:
    """Compute jacob_cov: how unlike a net's gradients are by different images.

    With v the eigenvalues of the correlation matrix of the n images' gradients, it is
    −Σ (ln(v + k) + 1 / (v + k)), k = 10⁻⁵: about −n, its greatest value, where no two
    are correlated, and some 10⁵ lower for each direction that is missing.

    Args:
        gradients: of members, as of `input_gradients`.

    Returns: a number for each member, in float64 and on the host; NaN where a gradient
        is the same for all pixels, or not finite.

    Raises: UserError for gradients that are no members' or hold no number.

    Source: zero-cost-nas, `measures/jacob_cov.py`.

    Cost: n² · pixels, and the eigenvalues of an n × n matrix, for each member.

    Example:
        >>> gradients = np.array([[[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]]])
        >>> jacobian_score(gradients).round(3).tolist()
        [-2.0]
    """
    given = np.asarray(gradients, np.float64)
    if given.ndim != 3 or not given.size:
        raise UserError(
            f"gradients of shape {given.shape} are no members': give "
            "[members, n, pixels] with at least one number each"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        # Without the first pixel's, one that is the same for all leaves no rounding.
        given = given - given[..., :1]
        centred = given - given.mean(2, keepdims=True)
        length = np.linalg.norm(centred, axis=2, keepdims=True)
    usable = (np.isfinite(length) & (length > 0)).all((1, 2), keepdims=True)
    rows = np.where(usable, centred, 0.0) / np.where(usable, length, 1.0)
    values = symmetric_eigenvalues(rows @ rows.swapaxes(1, 2)).clip(0.0) + _OFFSET
    return np.where(usable[:, 0, 0], -(np.log(values) + 1 / values).sum(1), np.nan)
