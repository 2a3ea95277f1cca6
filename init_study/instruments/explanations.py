"""Explanations: which pixels an answer hangs on, and which images look alike."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

# Points on the way from the baseline, by the midpoint rule.
_POINTS = 16


def gradient_maps(
    function: Callable[[Float[Array, "n h w c"]], Float[Array, "n classes"]],
    images: Float[Array, "n h w c"],
    labels: Int[Array, " n"],
) -> Float[Array, "n h w"]:
    """Compute |∂f_y/∂x|, summed over channels: the saliency map.

    Args:
        function: from images to logits.
        images: a batch.
        labels: of each image, the logit that is explained.

    Source: Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034. Cost: 1 F + 1 B.

    Example:
        >>> weights = jnp.array([[1.0, 0.0], [0.0, -2.0]])
        >>> images = jnp.ones((1, 1, 2, 1))
        >>> flat = lambda x: x.reshape(len(x), -1) @ weights
        >>> gradient_maps(flat, images, jnp.array([1])).tolist()
        [[[0.0, 2.0]]]
    """
    return jnp.abs(_slopes(function, images, labels)).sum(-1)


def integrated_maps(
    function: Callable[[Float[Array, "n h w c"]], Float[Array, "n classes"]],
    images: Float[Array, "n h w c"],
    labels: Int[Array, " n"],
) -> Float[Array, "n h w"]:
    """Compute integrated gradients from the image of zeros, summed over channels.

    They add up to f_y(x) − f_y(0), up to the midpoint rule's error at 16 points. An
    image of zeros is the mean image where images are standardized.

    Args:
        function: from images to logits.
        images: a batch.
        labels: of each image, the logit that is explained.

    Source: Sundararajan, Taly & Yan 2017, arXiv:1703.01365. Cost: 16 F + 16 B.

    Example:
        >>> images = jnp.full((1, 1, 1, 1), 3.0)
        >>> square = lambda x: x.reshape(len(x), -1) ** 2
        >>> round(float(integrated_maps(square, images, jnp.array([0]))[0, 0, 0]), 4)
        9.0
    """
    shares = (jnp.arange(_POINTS, dtype=jnp.float32) + 0.5) / _POINTS

    def add(total: Array, share: Array) -> tuple[Array, None]:
        return total + _slopes(function, share * images, labels) / _POINTS, None

    mean, _ = lax.scan(add, jnp.zeros_like(images), shares)
    return (images * mean).sum(-1)


def cam_maps(
    features: Float[Array, "n h w c"], slopes: Float[Array, "n h w c"]
) -> Float[Array, "n h w"]:
    """Weigh feature maps by the mean of their gradients: Grad-CAM, where positive.

    Args:
        features: what a convolution gives.
        slopes: gradient there of the logit that is explained.

    Source: Selvaraju et al. 2017, arXiv:1610.02391.

    Example:
        >>> features = jnp.array([[[[1.0, 2.0]], [[3.0, -4.0]]]])
        >>> cam_maps(features, jnp.ones_like(features))[0].tolist()
        [[3.0], [0.0]]
    """
    weights = slopes.mean((1, 2), keepdims=True)
    return jax.nn.relu((weights * features).sum(-1))


def map_agreement(
    first: Float[Array, "n h w"], second: Float[Array, "n h w"]
) -> Float[Array, ""]:
    """Correlate two explanations of the same images: Spearman's rho, mean over images.

    Equal pixels share their rank. NaN if no image has a map that varies in both.

    Args:
        first: maps of a batch.
        second: of the same.

    Source: as Adebayo et al. 2018, arXiv:1810.03292, compare maps.

    Example:
        >>> maps = jnp.arange(4.0).reshape(1, 2, 2)
        >>> round(float(map_agreement(maps, -maps)), 6)
        -1.0
    """
    a, b = (_ranks(maps.reshape(len(maps), -1)) for maps in (first, second))
    covariance = (a * b).sum(1)
    norms = jnp.sqrt((a * a).sum(1) * (b * b).sum(1))
    told = norms > 0
    rho = jnp.where(told, covariance / jnp.where(told, norms, 1.0), 0.0)
    count = told.sum().astype(rho.dtype)
    return jnp.where(count > 0, rho.sum() / jnp.maximum(count, 1.0), jnp.nan)


def concentration(maps: Float[Array, "n h w"]) -> Float[Array, ""]:
    """Compute Gini's index of the sizes in a map, mean over images.

    0 where all pixels count alike, 1 − 1/pixels where a single one does; NaN for maps
    of zeros.

    Args:
        maps: of a batch; their signs do not count.

    Example:
        >>> round(float(concentration(jnp.array([[[0.0, 0.0], [0.0, 5.0]]]))), 6)
        0.75
    """
    sizes = jnp.sort(jnp.abs(maps.reshape(len(maps), -1)), axis=1)
    count = sizes.shape[1]
    total = sizes.sum(1)
    places = 2 * jnp.arange(1, count + 1, dtype=sizes.dtype) - (count + 1)
    index = sizes @ places / (count * total)
    return jnp.nanmean(jnp.where(total > 0, index, jnp.nan))


def gram_pairs(features: Float[Array, "n ..."]) -> Float[Array, " pairs"]:
    """Compute the inner products of every two images' features.

    Args:
        features: of a batch of n.

    Returns: of the pairs i < j, row by row, over the mean square length of the images:
        what CKA needs of a layer. NaN for features of zeros.

    Example:
        >>> gram_pairs(jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).tolist()
        [1.0, 0.0, 0.0]
    """
    flat = features.reshape(len(features), -1).astype(jnp.float32)
    gram = flat @ flat.T
    rows, columns = np.triu_indices(len(features), 1)
    return gram[rows, columns] / jnp.trace(gram) * len(features)


def _slopes(
    function: Callable[[Array], Array], images: Array, labels: Array
) -> Float[Array, "n h w c"]:
    def told(images: Array) -> Array:
        logits = function(images)
        return jnp.take_along_axis(logits, labels[:, None], 1).sum()

    return jax.grad(told)(images)


def _ranks(rows: Float[Array, "n pixels"]) -> Float[Array, "n pixels"]:
    """Rank each row around its mean rank; equal numbers share theirs."""

    def ranks(row: Array) -> Array:
        ordered = jnp.sort(row)
        low = jnp.searchsorted(ordered, row, side="left")
        high = jnp.searchsorted(ordered, row, side="right")
        return (low + high).astype(jnp.float32) / 2

    found = lax.map(ranks, rows)
    return found - found.mean(1, keepdims=True)
