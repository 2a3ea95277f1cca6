"""A first layer whose filters whiten the patches of the images."""

import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Float

from init_study.errors import UserError, check_number
from init_study.network import Layer, Network, Params
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.refined import refined
from init_study.schemes.scheme import (
    Batch,
    Cost,
    Refinement,
    Scheme,
    end_layer,
    leaf_of,
    replace_leaf,
)
from init_study.schemes.zeros_in_series import moves


def whitened(epsilon: float = 0.01, rest: Scheme = HE_NORMAL) -> Scheme:
    """Whitening filters in the first layer: principal components of the patches.

    ± each eigenvector of the covariance of the batch's patches over the root of its
    eigenvalue plus `epsilon` times the largest, the largest eigenvalues first. Filters
    beyond twice the size of a patch are the rest's.
    Preserves: outputs of the first layer that are uncorrelated, with variances at most
    1 and near it where the eigenvalue is far above `epsilon` of the largest.
    Use: in short trainings on natural images.
    When not: where the first layer is no plain convolution.
    Cost: no pass; patches of the training images of the batch alone.

    Args:
        epsilon: positive.
        rest: the scheme of all other layers, `he_normal` by default.

    Raises: UserError for a first layer that is no convolution of one group, or without
        a batch.
    References: Coates & Ng 2011, for whitened patches; the ± pairs are those of
    `airbench`, K. Jordan, which does not subtract the mean.

    Example:
        >>> images = jax.random.normal(jax.random.key(0), (4, 6, 6, 1))
        >>> net = nn.Conv(6, (2, 2))
        >>> variables = initialize(net, images, whitened(), jax.random.key(1))
        >>> kernel = variables["params"]["kernel"]  # ± three components
        >>> bool((kernel[..., ::2] == -kernel[..., 1::2]).all())
        True
    """
    check_number("epsilon", epsilon, above=0)
    step = Refinement(
        name="whitening filters",
        stream="whitening",
        function=lambda key, network, params, batch: _whiten(
            network, params, batch, epsilon
        ),
        changes=lambda network: [_first_convolution(network).kernel],
        cost=lambda network: Cost(),
    )
    return refined("whitened", rest, step, moves("whitened"))


def _first_convolution(network: Network) -> Layer:
    first = end_layer(network, 0)
    is_plain = first.kind == "conv" and first.groups == first.parts == 1
    if not is_plain or len(first.kernel_shape) != 4:
        stack = f"{first.parts} of " if first.parts > 1 else ""
        raise UserError(
            f"whitened makes filters for a first convolution, and {first.name} is a "
            f"{first.kind} of kernel {stack}{first.kernel_shape} with {first.groups} "
            "groups; use another scheme for this network"
        )
    return first


def _whiten(network: Network, params: Params, batch: Batch, epsilon: float) -> Params:
    layer = _first_convolution(network)
    height, width, channels, outputs = layer.kernel_shape
    patches = lax.conv_general_dilated_patches(
        batch.images,
        (height, width),
        (1, 1),
        "VALID",
        rhs_dilation=layer.kernel_dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    size = height * width * channels
    # Patches come with the channels before the taps.
    flat = patches.reshape(-1, channels, height * width).swapaxes(1, 2)
    flat = flat.reshape(-1, size)
    flat = flat - flat.mean(0, keepdims=True)
    values, vectors = _eigh(flat.T @ flat / len(flat))
    # The largest first; none is negative but for rounding.
    values, vectors = jnp.maximum(values[::-1], 0.0), vectors[:, ::-1]
    floor = jnp.maximum(epsilon * values[0], jnp.finfo(values.dtype).tiny)
    filters = vectors * lax.rsqrt(values + floor)[None]
    pairs = jnp.stack([filters, -filters], -1).reshape(size, 2 * size)
    count = min(outputs, 2 * size)
    stored = leaf_of(params, layer.kernel)
    kernel = layer.plain(stored).reshape(size, outputs)
    kernel = kernel.at[:, :count].set(pairs[:, :count]).reshape(layer.kernel_shape)
    kernel = layer.stored(kernel).reshape(stored.shape)
    return replace_leaf(params, layer.kernel, kernel)


@sequential_vmap
def _eigh(matrix: Float[Array, "n n"]) -> tuple[Array, Array]:
    """Decompose one member at a time: batched decompositions can hang on CPU."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors
