"""A scheme with noise added: how little tells filters apart that start alike."""

from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from init_study.errors import check_number
from init_study.network import Network, Params, Path
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.refined import refined
from init_study.schemes.scheme import (
    Cost,
    Refinement,
    Scheme,
    leaf_key,
    leaf_of,
    replace_leaf,
)
from init_study.schemes.zeros_in_series import moves


def noisy(stddev: float = 1e-4, rest: Scheme = HE_NORMAL) -> Scheme:
    """Noise N(0, stddev²) on every kernel that another scheme draws.

    Filters that were copies of one another are so no longer, unless the noise is below
    what their type resolves.
    Use: with a start that is symmetric, as `noisy(1e-4, rest="constant(0.01)")`.
    When not: to hide that a scheme is symmetric: it then trains by the noise alone;
    over a rest that promises zeros, as `zero_head`, which a draw refuses.

    Args:
        stddev: of the noise.
        rest: the scheme that the noise is added to, `he_normal` by default.

    Raises: UserError for a standard deviation that is not positive; on a draw, if the
        rest promises what the noise breaks.
    Reference: Blumenfeld, Gilboa & Soudry 2020, arXiv:2007.01038.

    Example:
        >>> from init_study.schemes import parse_scheme
        >>> scheme = parse_scheme("noisy(0.5, rest='ones')")
        >>> network = trace(nn.Dense(100), (100,))
        >>> kernel = scheme(jax.random.key(0), network)["kernel"]
        >>> round(float(kernel.mean()), 1), round(float(kernel.std()), 1)
        (1.0, 0.5)
    """
    check_number("stddev", stddev, above=0)

    def add(key: PRNGKeyArray, network: Network, params: Params, batch: Any) -> Params:
        for layer in network.layers:
            kernel = leaf_of(params, layer.kernel)
            draws = jax.random.normal(leaf_key(key, layer.kernel), kernel.shape)
            params = replace_leaf(params, layer.kernel, kernel + stddev * draws)
        return params

    def kernels(network: Network) -> list[Path]:
        return [layer.kernel for layer in network.layers]

    step = Refinement(
        name=f"noise of std {stddev:g}",
        stream="noise",
        function=add,
        changes=kernels,
        cost=lambda network: Cost(),
        needs="nothing",
        rescales=False,
    )
    return refined("noisy", rest, step, moves("noisy"))
