"""Spectra of Hessians: the ends, and how the eigenvalues between them lie.

Where the parameters are few the Hessian is made whole, and all is exact; otherwise
Lanczos sees it from several random starts. Small matrices come from the device, and
are finished on the host.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.errors import UserError, check_count, check_number
from init_study.instruments.curvature import flat_hessian
from init_study.instruments.host_matrices import symmetric_eigenvalues
from init_study.instruments.lanczos import (
    Quadrature,
    Tridiagonal,
    quadrature,
    ritz_values,
    tridiagonalize,
)


class HessianSketch(NamedTuple):
    """A Hessian, or what Lanczos leaves of it; two functions here read either.

    Attributes:
        matrix: the whole one; `[0, 0]` where the parameters are many.
        tridiagonal: from each start, `[probes, k]`; `[0, 0]` where the matrix is whole.
    """

    matrix: Float[Array | np.ndarray, "*stack n n"]
    tridiagonal: Tridiagonal


class HessianEnds(NamedTuple):
    """The two ends of Hessians' spectra.

    Attributes:
        greatest: eigenvalues, the greatest first; the first one is the sharpness.
        least: eigenvalues, the least first.
        exact: whether the Hessians were whole. If not, each of the greatest is at most
            the true one and each of the least at least, but for rounding.
    """

    greatest: Float[np.ndarray, "*stack count"]
    least: Float[np.ndarray, "*stack count"]
    exact: bool


def sketch_hessian(
    loss: Callable[[Any], Array],
    params: Any,
    key: PRNGKeyArray,
    *,
    steps: int = 32,
    probes: int = 8,
) -> HessianSketch:
    """Make the Hessian of a loss, or small matrices that stand for it.

    It is made whole where that costs no more products than the sketch: for at most
    `steps` · `probes` parameters.

    Args:
        loss: from parameters to a number.
        params: a tree, where the loss is differentiated.
        key: of the vectors that Lanczos starts from.
        steps: of Lanczos; the sharpness is there to about a per cent after 30.
        probes: how many starts; one is enough for the sharpness, and the error of a
            mean over the spectrum shrinks with their root.

    Raises: UserError if the loss is no number, there are no parameters, or a count is
        none.
    Reference: Lin, Saad & Yang 2016; Ghorbani, Krishnan & Xiao 2019, "An investigation
    into neural net optimization via Hessian eigenvalue density".
    Cost: `steps` · `probes` products, each a forward and a backward pass, or one per
        parameter if that is less. Starts follow one another, so that only `steps`
        vectors are kept at a time.

    Example:
        >>> square = lambda params: 3 * params["w"] ** 2 / 2
        >>> sketch = sketch_hessian(square, {"w": jnp.ones(())}, jax.random.key(0))
        >>> hessian_ends(sketch, count=1)
        HessianEnds(greatest=array([3.]), least=array([3.]), exact=True)
    """
    check_count("steps", steps)
    check_count("probes", probes)
    product, size = flat_hessian(loss, params)
    if size <= steps * probes:
        matrix = lax.map(product, jnp.eye(size))
        none = jnp.zeros((0, 0))
        return HessianSketch((matrix + matrix.T) / 2, Tridiagonal(none, none))

    def from_start(own_key: PRNGKeyArray) -> Tridiagonal:
        return tridiagonalize(product, jax.random.normal(own_key, (size,)), steps)

    # Not of signs: such a start can have no part in an eigenvector of few parameters.
    found = lax.map(from_start, jax.random.split(key, probes))
    return HessianSketch(jnp.zeros((0, 0)), found)


def hessian_ends(sketch: HessianSketch, count: int = 1) -> HessianEnds:
    """Compute the greatest and the least eigenvalues of sketched Hessians, on the host.

    Of several starts each place takes the outermost value: all of them lie within.

    Args:
        sketch: of one Hessian, or of many with leading axes.
        count: how many at each end.

    Returns: `[..., count]`; NaN where the Hessian is not finite, or Lanczos found fewer
        distinct ones.

    Raises: UserError if the sketch holds fewer numbers than that.

    Example:
        >>> none = Tridiagonal(np.zeros((0, 0)), np.zeros((0, 0)))
        >>> sketch = HessianSketch(np.diag([1.0, -2.0, 5.0]), none)
        >>> hessian_ends(sketch, count=2)
        HessianEnds(greatest=array([5., 1.]), least=array([-2.,  1.]), exact=True)
    """
    check_count("count", count)
    exact = bool(sketch.matrix.shape[-1])
    held = (sketch.matrix if exact else sketch.tridiagonal.diagonal).shape[-1]
    if count > held:
        raise UserError(
            f"count={count} is more than the {held} eigenvalues that the sketch holds; "
            "ask for fewer, or sketch with more steps"
        )
    if exact:
        values = symmetric_eigenvalues(sketch.matrix)
        return HessianEnds(values[..., :count], values[..., ::-1][..., :count], True)
    upward, downward = (
        sketch.tridiagonal,
        sketch.tridiagonal._replace(diagonal=-np.asarray(sketch.tridiagonal.diagonal)),
    )
    # It takes no notice of NaN, which is what one start did not find.
    outermost = np.fmax.reduce
    greatest = outermost(ritz_values(upward)[..., :count], axis=-2)
    least = -outermost(ritz_values(downward)[..., :count], axis=-2)
    return HessianEnds(greatest, least, False)


def spectral_density(sketch: HessianSketch) -> Quadrature:
    """Compute the density of Hessians' eigenvalues as point masses, on the host.

    Σ weight · f(node) estimates the mean of f over all eigenvalues: with f(x) = x the
    mean curvature, with f(x) = x² the mean square; exact for a whole Hessian.

    Args:
        sketch: of one Hessian, or of many with leading axes.

    Returns: `[..., eigenvalues]` of whole Hessians, else `[..., probes · k]`, of
        which each start has its share; NaN where the Hessian is not finite.

    Reference: stochastic Lanczos quadrature, Ubaru, Chen & Saad 2017.

    Example:
        >>> none = Tridiagonal(np.zeros((0, 0)), np.zeros((0, 0)))
        >>> density = spectral_density(HessianSketch(np.diag([1.0, 3.0]), none))
        >>> float((density.weights * density.nodes).sum())
        2.0
    """
    if size := sketch.matrix.shape[-1]:
        nodes = symmetric_eigenvalues(sketch.matrix)[..., ::-1]
        return Quadrature(nodes, np.where(np.isnan(nodes), np.nan, 1 / size))
    nodes, weights = quadrature(sketch.tridiagonal)
    flat = (*nodes.shape[:-2], -1)
    return Quadrature(nodes.reshape(flat), weights.reshape(flat) / nodes.shape[-2])


def smoothed_density(
    density: Quadrature, places: Float[np.ndarray, " places"], width: float
) -> Float[np.ndarray, "*stack places"]:
    """Draw point masses as a curve: each is a Gaussian bell of its weight.

    Args:
        density: as of `spectral_density`.
        places: where the curve is wanted.
        width: the standard deviation of a bell, in units of curvature.

    Returns: per unit of curvature, `[..., places]`; its integral is 1.

    Raises: UserError for a width that is not above 0.

    Example:
        >>> mass = Quadrature(np.array([2.0]), np.array([1.0]))
        >>> smoothed_density(mass, np.array([2.0]), width=1.0).round(3).tolist()
        [0.399]
    """
    check_number("width", width, above=0)
    apart = (places - density.nodes[..., None]) / width
    bells = np.exp(-(apart**2) / 2) / (width * np.sqrt(2 * np.pi))
    return (density.weights[..., None] * bells).sum(-2)
