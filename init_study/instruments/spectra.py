"""Spectra before the first step: how a net stretches its input, how curved its loss is.

All is pure but the eigenvalues of small matrices, which are taken on the host.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from init_study.data import standardize
from init_study.data.batches import center_crop
from init_study.data.feeds import Examples
from init_study.instruments.host_matrices import symmetric_eigenvalues
from init_study.instruments.jacobians import rounded_roots
from init_study.instruments.lanczos import Tridiagonal, ritz_values, tridiagonalize
from init_study.keys import fixed_key
from init_study.network import Network, Params
from init_study.train import Hyper, TrainState, cross_entropy, step_keys

# Steps of Lanczos: the greatest eigenvalue of a net's Hessian is there to a few per
# cent.
_ITERATIONS = 12
# Each class costs a pass backwards.
MOST_CLASSES = 100


class Spectra(NamedTuple):
    """Small matrices of one member, whose eigenvalues `eigenvalues` takes.

    Attributes:
        gram: of the Jacobian of the logits by the image, J Jᵀ, for each image of the
            batch; no images where there are more than `MOST_CLASSES` classes.
        diagonal, beside: of Lanczos's tridiagonal matrix for the Hessian of the batch's
            loss by all parameters.
    """

    gram: Float[Array, "n classes classes"]
    diagonal: Float[Array | np.ndarray, " k"]
    beside: Float[Array | np.ndarray, " k"]


def measure_spectra(
    network: Network,
    convolution: str,
    member: tuple[TrainState, Hyper],
    data: Examples,
    first_steps: Int[Array, "seeds batch"],
) -> Spectra:
    """Measure a member's spectra on its first training batch.

    BatchNorm takes that batch's statistics. With a norm over the batch an image's
    Jacobian holds what the other images do through it.

    Args:
        network: what the member trains.
        convolution: the form of `init_study.conv` that its convolutions take.
        member: its state and hyper-parameters.
        data: the training examples.
        first_steps: places of the examples of each seed's first batch.
    """
    state, hyper = member
    places = first_steps[hyper.seed_slot]
    seen = center_crop(data.images[places], network.image_shape[:2])
    images = standardize(seen, data.mean, data.std)
    labels = data.labels[places]
    _, dropout_key = step_keys(hyper.seed, 0)

    def logits(params: Params, images: Array) -> Array:
        return network.apply(
            params,
            state.model_state,
            images,
            train=True,
            key=dropout_key,
            convolution=convolution,
        )[0]

    flat, unravel = ravel_pytree(state.params)

    def slope(flat: Array) -> Array:
        def loss(flat: Array) -> Array:
            return cross_entropy(logits(unravel(flat), images), labels).mean()

        return jax.grad(loss)(flat)

    def curvature(direction: Array) -> Array:
        return jax.jvp(slope, (flat,), (direction,))[1]

    start = jax.random.normal(fixed_key(0), (len(flat),))
    hessian = tridiagonalize(curvature, start, _ITERATIONS, negligible=1e-10)
    gram = _gram(lambda images: logits(state.params, images), images)
    return Spectra(gram, *hessian)


def eigenvalues(spectra: Spectra) -> dict[str, np.ndarray]:
    """Compute the eigenvalues of members' spectra, on the host.

    Args:
        spectra: of members, `[members, ...]`.

    Returns:
        `jacobian`: singular values, the greatest first, root mean squares over images,
            `[members, classes]`; what is below a thousandth of the greatest is
            float32's rounding, and zero here.
        `hessian`: Ritz values, the greatest first, `[members, k]`: the outermost are
            eigenvalues, the inner ones say how the others lie.

    Example:
        One image with J Jᵀ = diag(4, 9), and a Hessian of which Lanczos saw diag(1, 5).

        >>> gram = np.diag([4.0, 9.0])[None, None]
        >>> spectra = Spectra(gram, np.array([[1.0, 5.0]]), np.zeros((1, 2)))
        >>> found = eigenvalues(spectra)
        >>> found["jacobian"].round(6).tolist(), found["hessian"].round(6).tolist()
        ([[3.0, 2.0]], [[5.0, 1.0]])
    """
    squares = symmetric_eigenvalues(spectra.gram)
    hessian = Tridiagonal(spectra.diagonal, spectra.beside)
    found = {"hessian": ritz_values(hessian, beyond=0.0)}
    if squares.shape[1]:
        found["jacobian"] = rounded_roots(squares.mean(1))
    return found


def _gram(logits: Any, images: Float[Array, "n ..."]) -> Float[Array, "n k k"]:
    """Compute J Jᵀ for each image, a row of J at a time."""
    values, pull = jax.vjp(logits, images)
    classes = values.shape[-1]
    if classes > MOST_CLASSES:
        return jnp.zeros((0, 1, 1))

    def row(k: Int[Array, ""]) -> Float[Array, "n pixels"]:
        one = jnp.zeros_like(values).at[:, k].set(1.0)
        return pull(one)[0].reshape(len(images), -1)

    rows = lax.map(row, jnp.arange(classes))
    return jnp.einsum("anp,bnp->nab", rows, rows)
