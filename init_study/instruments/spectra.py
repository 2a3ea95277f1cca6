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
from scipy.linalg import eigh_tridiagonal

from init_study.data import standardize
from init_study.data.batches import center_crop
from init_study.data.feeds import Examples
from init_study.network import Network, Params
from init_study.train import Hyper, TrainState, cross_entropy, step_keys

# Steps of Lanczos: the greatest eigenvalue of a net's Hessian is there to a few per
# cent.
_ITERATIONS = 12
# Rounding of singular values, relative to the greatest, by way of their squares in
# float32.
_ROUNDING = 1e-3
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
    diagonal: Float[Array, " k"]
    beside: Float[Array, " k"]


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

    diagonal, beside = _lanczos(curvature, len(flat))
    gram = _gram(lambda images: logits(state.params, images), images)
    return Spectra(gram, diagonal, beside)


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
    squares = np.linalg.eigvalsh(np.asarray(spectra.gram, np.float64))[..., ::-1]
    values = [
        eigh_tridiagonal(d, b[:-1], eigvals_only=True)[::-1]
        for d, b in zip(
            np.asarray(spectra.diagonal, np.float64),
            np.asarray(spectra.beside, np.float64),
            strict=True,
        )
    ]
    found = {"hessian": np.array(values)}
    if squares.shape[1]:
        values = np.sqrt(np.clip(squares.mean(1), 0.0, None))
        found["jacobian"] = np.where(values < _ROUNDING * values[:, :1], 0.0, values)
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


def _lanczos(product: Any, size: int) -> tuple[Array, Array]:
    """Compute the diagonal and off-diagonal after `_ITERATIONS` steps of Lanczos.

    Each vector is made orthogonal to all before it: in float32 they would not stay so
    by themselves.
    """
    steps = min(_ITERATIONS, size)
    start = jax.random.normal(jax.random.key(0), (size,))

    def step(carry: Any, index: Array) -> Any:
        basis, vector = carry
        basis = basis.at[index].set(vector)
        new = product(vector)
        diagonal = vector @ new
        # Twice is enough.
        for _ in range(2):
            new = new - basis.T @ (basis @ new)
        beside = jnp.linalg.norm(new)
        # Of an invariant space the rest is zero, and stays it.
        vector = jnp.where(beside > 1e-10, new / jnp.maximum(beside, 1e-30), 0.0)
        return (basis, vector), (diagonal, beside)

    first = (jnp.zeros((steps, size)), start / jnp.linalg.norm(start))
    _, (diagonal, beside) = lax.scan(step, first, jnp.arange(steps))
    return diagonal, beside
