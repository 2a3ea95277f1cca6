"""Gradients of single examples: whether they agree, and how small they are."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from init_study.errors import UserError, check_number
from init_study.instruments.cosines import PairCosines, pair_cosines
from init_study.instruments.tensors import named_tensors

# Of Adam's epsilon: a gradient of as many keeps 10 / 11 of a first step's length.
_TIMES = 10


def example_gradients(
    loss: Callable[[Any, Any], Float[Array, ""]], params: Any, examples: Any
) -> Float[Array, "n p"]:
    """Compute the gradient of each example's loss, all parameters as one vector.

    Args:
        loss: of parameters and one example; it can hold no norm over the batch.
        params: of the network.
        examples: a tree of arrays `[n, ...]`, as images and labels.

    Returns: in the order of `jax.flatten_util.ravel_pytree`.

    Raises: UserError for a tree without a tensor.

    Cost: a pass forwards and back for each example; n gradients are held at once.

    Example:
        The gradient of (w − x)² / 2 is w − x.

        >>> def loss(w, x):
        ...     return (w - x) ** 2 / 2
        >>> example_gradients(loss, jnp.float32(3.0), jnp.array([1.0, 5.0])).tolist()
        [[2.0], [-2.0]]
    """
    named_tensors(params)

    def gradient(example: Any) -> Array:
        return ravel_pytree(jax.grad(loss)(params, example))[0]

    return jax.vmap(gradient)(examples)


def gradient_confusion(gradients: Float[Array, "n p"]) -> PairCosines:
    """Compute the least, mean and greatest cosine between two examples' gradients.

    The least one below zero means that two examples pull against each other: a step
    for one undoes the other's.

    Args:
        gradients: of examples, as of `example_gradients`.

    Returns: as `pair_cosines`; examples with a gradient of zero are left out.

    Raises: UserError for fewer than two examples.

    Source: Sankararaman et al. 2020, arXiv:1904.06963, who bound inner products; the
        cosines are those divided by the lengths.

    Cost: n² · p multiplications.

    Example:
        >>> confusion = gradient_confusion(jnp.array([[1.0, 0.0], [-2.0, 0.0]]))
        >>> float(confusion.least), float(confusion.mean)
        (-1.0, -1.0)
    """
    return pair_cosines(gradients)


class SignalToNoise(NamedTuple):
    """Squared means of gradients over their variances, in two aggregates.

    Attributes:
        whole: Σ_j E[g_j]² / Σ_j Var[g_j], all parameters at once: ‖E g‖² over the trace
            of the covariance.
        mean: the mean over parameters of E[g_j]² / Var[g_j], without those with
            Var[g_j] = 0. Few examples leave it to the few parameters that happen to
            vary least.
    """

    whole: Float[Array, ""]
    mean: Float[Array, ""]


def signal_to_noise(gradients: Float[Array, "n p"]) -> SignalToNoise:
    """Compute the gradient's signal-to-noise ratio E[g]² / Var[g] over examples.

    Variances have n − 1 below. Gradients that are noise alone give `whole` about 1 / n,
    as the mean of n of them is not zero.

    Args:
        gradients: of examples, as of `example_gradients`.

    Returns: `whole` is infinite where all gradients are equal and NaN where all are
        zero; `mean` is NaN where none varies.

    Raises: UserError for fewer than two examples.

    Source: Liu et al. 2020, arXiv:2001.07384, define the ratio of one parameter.

    Cost: n · p.

    Example:
        Mean 2 and variance 2.

        >>> ratios = signal_to_noise(jnp.array([[1.0], [3.0]]))
        >>> [round(float(ratio), 3) for ratio in ratios]
        [2.0, 2.0]
    """
    if len(gradients) < 2:
        raise UserError(
            f"{len(gradients)} gradient has no variance: give at least 2 examples"
        )
    scaled = gradients.astype(jnp.float32)
    # The ratio has no unit: squares of small gradients need not vanish.
    largest = jnp.max(jnp.abs(scaled), initial=0.0)
    scaled = scaled / jnp.where(largest == 0, 1.0, largest)
    # What is the same in all examples has then a variance of zero without rounding.
    differences = scaled - scaled[:1]
    signal = (scaled[0] + jnp.mean(differences, axis=0)) ** 2
    noise = jnp.var(differences, axis=0, ddof=1)
    # NaN is not zero, and stays.
    varies = noise != 0
    ratios = signal / jnp.where(varies, noise, 1.0)
    return SignalToNoise(
        whole=jnp.sum(signal) / jnp.sum(noise),
        mean=jnp.mean(ratios, where=varies),
    )


class SmallGradients(NamedTuple):
    """Shares of numbers of a gradient that are small beside Adam's epsilon.

    Attributes:
        tensors: of each tensor, by its path.
        largest: the greatest of them.
    """

    tensors: dict[str, Float[Array, ""]]
    largest: Float[Array, ""]


def below_epsilon(gradient: Any, epsilon: float = 1e-8) -> SmallGradients:
    """Compute the share of each tensor's gradient below ten times Adam's epsilon.

    Adam's first step is lr · g / (|g| + ε): from |g| = 10 ε downwards it falls short of
    lr, by a tenth and soon by all. Gradients of zero count as small.

    Args:
        gradient: of the batch's loss, a tree.
        epsilon: of the optimizer.

    Returns: shares from 0 to 1, NaN for a tensor with a NaN, and then the largest too.

    Raises: UserError for a tree without a tensor, an empty tensor, or an epsilon that
        is not above 0.

    Source: Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1.

    Cost: no pass.

    Example:
        >>> small = below_epsilon({"w": jnp.array([1e-9, 1e-3])})
        >>> float(small.tensors["w"]), float(small.largest)
        (0.5, 0.5)
    """
    check_number("epsilon", epsilon, above=0)
    named = named_tensors(gradient)
    for name, tensor in named.items():
        if not tensor.size:
            raise UserError(f"the gradient of {name!r} is empty: leave that tensor out")

    def share(tensor: Array) -> Array:
        sizes = jnp.abs(tensor.astype(jnp.float32))
        small = jnp.mean(sizes < _TIMES * epsilon)
        return jnp.where(jnp.isnan(sizes).any(), jnp.nan, small)

    shares = {name: share(tensor) for name, tensor in named.items()}
    return SmallGradients(shares, jnp.max(jnp.stack([*shares.values()])))
