"""Rules for the last layer: what the net says before it has learnt anything."""

from math import sqrt

import jax.numpy as jnp

from init_study.errors import UserError, check_count
from init_study.initializers import constant, zeros
from init_study.network import Network, Params, Path
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.promises import equal_outputs
from init_study.schemes.refined import refined
from init_study.schemes.scaled_rule import refuse_rescaled, scaled
from init_study.schemes.scheme import (
    Batch,
    Cost,
    Refinement,
    Rule,
    Scheme,
    end_layer,
    override,
    replace_leaf,
)
from init_study.schemes.zeros_in_series import moves


def zero_head(rest: Scheme = HE_NORMAL) -> Scheme:
    """Zero head: zeros in the last layer, the rest by another scheme.

    Every class has probability 1 / classes at first, so the loss begins at log(classes)
    whatever the rest does. The first step moves the last layer alone: no gradient
    passes a kernel of zeros.
    Use: with any scheme, to begin with an honest loss.
    When not: where the first step must reach all layers.

    Args:
        rest: the scheme of all other layers, `he_normal` by default.

    Example:
        >>> net = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)])
        >>> explain(net, jnp.ones((2, 5)), zero_head())["layers_2/kernel"]
        'zeros: head; 4 in, 2 out; linear'
    """

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        return {
            path: Rule("zeros: head", zeros()) for path in end_layer(network, -1).leaves
        }

    name = "zero_head"
    return override(rest, change, equal_outputs(name, -1), moves(name))


def small_head(factor: float = 0.1, rest: Scheme = HE_NORMAL) -> Scheme:
    """Small head: the last layer's kernel by the rest's law, times a factor.

    Logits begin near zero, and gradients still pass.
    Use: as `zero_head`, with gradients from the first step on.
    When not: behind weight-normalized heads, which take the factor away.

    Args:
        factor: positive.
        rest: the scheme of all layers, `he_normal` by default.

    Example:
        >>> net = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)])
        >>> explain(net, jnp.ones((2, 5)), small_head(0.1))["layers_2/kernel"]
        'he_normal × 0.1; 4 in, 2 out; linear'
    """
    if not factor > 0:
        raise UserError(f"factor={factor!r} is not positive; for zero use zero_head")

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        kernel = end_layer(network, -1).kernel
        refuse_rescaled("small_head", rest, network, [kernel])
        return {kernel: scaled(before[kernel], factor, f"{factor:g}")}

    return override(rest, change, moves("small_head"))


def mup(base: int = 64, rest: Scheme = HE_NORMAL) -> Scheme:
    """Maximal update parametrization, its initial half: a head that shrinks.

    The last kernel is the rest's times √(base / fan_in), so that its variance falls as
    1 / fan_in². Half of the method alone: that one learning rate suits all widths needs
    rates by layer as well, with Adam those of hidden and last layers over the width.
    Use: in studies over widths.
    When not: for one width: there it is `small_head`.

    Args:
        base: fan_in of the head at which nothing changes.
        rest: the scheme of all layers, `he_normal` by default, whose variances must
            fall as 1 / fan_in.

    Reference: Yang et al. 2022, arXiv:2203.03466, table 3.

    Example:
        >>> net = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)])
        >>> explain(net, jnp.ones((2, 5)), mup())["layers_2/kernel"]
        'he_normal × √(base / fan_in); 4 in, 2 out; linear'
    """
    check_count("base", base)

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        head = end_layer(network, -1)
        factor = sqrt(base / head.forward_fan)
        refuse_rescaled("mup", rest, network, [head.kernel])
        return {head.kernel: scaled(before[head.kernel], factor, "√(base / fan_in)")}

    return override(rest, change, moves("mup"))


def prior_bias(smoothing: float = 1.0, rest: Scheme = HE_NORMAL) -> Scheme:
    """Prior bias: the log of the class frequencies in the last layer, its kernel zero.

    Preserves: the loss begins at the entropy of the classes in the batch, the least
    that a net can have that does not look at the image.
    Looks at the labels of the batch; it makes no pass through the network.
    Use: where classes are uneven.
    When not: with batches that are too small to count classes.

    Args:
        smoothing: counted to every class, so that one that the batch lacks has a
            finite log.
        rest: the scheme of all other layers, `he_normal` by default.

    Raises: UserError for a last layer without a bias, or without labels.
    Reference: the idea of Lin et al. 2017, arXiv:1708.02002, section 4.1, for more than
    two classes.

    Example:
        >>> images, labels = jnp.ones((4, 5)), jnp.array([0, 0, 0, 1])
        >>> variables = initialize(
        ...     nn.Dense(2), images, prior_bias(), jax.random.key(0), labels
        ... )
        >>> odds = jnp.exp(variables["params"]["bias"])  # (3 + 1) / 6, (1 + 1) / 6
        >>> [round(float(share), 2) for share in odds]
        [0.67, 0.33]
    """
    if not smoothing > 0:
        raise UserError(f"smoothing={smoothing!r} is not positive")

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        head = end_layer(network, -1)
        if head.bias is None:
            raise UserError(
                f"prior_bias sets the last layer's bias, and {head.name} has none; use "
                "zero_head"
            )
        return {
            head.kernel: Rule("zeros: head", zeros()),
            head.bias: Rule("zeros", constant(0.0)),
        }

    step = Refinement(
        name="log of the class frequencies",
        stream="prior",
        function=lambda key, network, params, batch: _with_prior(
            network, params, batch, smoothing
        ),
        changes=lambda network: [end_layer(network, -1).leaves[-1]],
        cost=lambda network: Cost(),
        needs="labels",
    )
    name = "prior_bias"
    own = (equal_outputs(name, 0), moves(name))
    return refined(name, override(rest, change), step, *own)


def _with_prior(
    network: Network, params: Params, batch: Batch, smoothing: float
) -> Params:
    head = end_layer(network, -1)
    classes = network.shapes[head.leaves[-1]].shape[-1]
    seen = batch.labels[:, None] == jnp.arange(classes)[None]
    counts = jnp.sum(seen.astype(jnp.float32), 0) + smoothing
    bias = jnp.log(counts / counts.sum())
    return replace_leaf(params, head.leaves[-1], bias)
