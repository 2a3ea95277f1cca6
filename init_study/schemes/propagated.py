"""Schemes whose scales come from theory: of the network as a whole, or of a layer."""

from math import sqrt

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.initializers import normal, variance_scaling, zeros
from init_study.mean_field.predict import unit_variance_scales
from init_study.network import Network, Path
from init_study.schemes.achieved import scale_counts
from init_study.schemes.per_layer import per_layer
from init_study.schemes.scheme import Rule, Scheme
from init_study.theory import critical_at_bias, critical_variances


def autoinit() -> Scheme:
    """AutoInit: N(0, 1 / (n E[x²])), from moments carried through the whole network.

    E[x²] is what a layer of a very wide net of this make would read, behind all the
    activations, norms, pools and sums on the way, for standard normal images; n counts
    the inputs of an output, but for the taps that fall on zero padding.
    Preserves: the mean square 1 of every layer's output, whatever comes before.
    Use: in nets of any make without norms, where no data shall be looked at.
    When not: with operations whose moments are not known, such as attention.
    Cost: no pass.

    Raises: UserError, on a network, for an operation that is not known; on a draw, for
        weights that are normalized, whose scale has no effect.
    Reference: Bingham & Miikkulainen 2021, arXiv:2109.08958, whose draws are truncated
    and whose pixels are independent.

    Example:
        >>> network = trace(nn.Conv(500, (1, 1)), (16, 16, 4))
        >>> kernel = autoinit()(jax.random.key(0), network)["kernel"]
        >>> round(float(kernel.std()), 1)  # √(1 / 4), E[x²] being 1
        0.5
    """

    def rules(network: Network) -> dict[Path, Rule]:
        found: dict[Path, Rule] = {}
        scales = unit_variance_scales(network)
        for layer, scale in zip(network.layers, scales, strict=True):
            stddev = sqrt(scale)
            found[layer.kernel] = Rule(f"autoinit: std {stddev:.4g}", normal(stddev))
            if layer.bias is not None:
                found[layer.bias] = Rule("zeros", zeros())
        return found

    return Scheme(rules=rules, checks=(scale_counts("autoinit"),))


def edge_of_chaos(
    activation: Activation | str = "tanh",
    q: float | None = None,
    sigma_b2: float | None = None,
) -> Scheme:
    """Edge of chaos: kernels N(0, σ_w² / fan_in) and biases N(0, σ_b²) that sit on it.

    Preserves: the mean square q of pre-activations and that of gradients, through
    layers of this activation.
    Use: in very deep plain nets of tanh and its kin.
    When not: with other activations than the one that is named; with norms.

    Args:
        activation: a name in `ACTIVATIONS`, `module:function`, or a JAX function.
        q: the mean square that is kept, 1 by default.
        sigma_b2: σ_b² instead, and q is what follows from it.

    Raises: UserError for an activation without such a pair at this q or σ_b², or if
        both are given.
    References: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017,
    arXiv:1611.01232.

    Example:
        >>> explain(nn.Dense(3), jnp.ones((2, 5)), edge_of_chaos("relu"))["kernel"]
        'edge of chaos: σ_w² 2, σ_b² 0; 5 in, 3 out; linear'
    """
    if sigma_b2 is None:
        sigma_w2, sigma_b2 = critical_variances(activation, 1.0 if q is None else q)
    elif q is None:
        sigma_w2, _ = critical_at_bias(activation, sigma_b2)
    else:
        raise UserError(
            f"edge_of_chaos(q={q:g}, sigma_b2={sigma_b2:g}): one follows from the "
            "other; give one of them, or both variances to gaussian"
        )
    return _with_variances("edge of chaos", sigma_w2, sigma_b2)


def gaussian(sigma_w2: float = 1.0, sigma_b2: float = 0.0) -> Scheme:
    """Gaussian net of theory: kernels N(0, σ_w² / fan_in), biases N(0, σ_b²).

    Of these two numbers speak `theory` and the papers on order and chaos: how far a
    signal gets, `theory.depth_scales` tells of an activation.
    Use: to go through the phases of a net, on either side of `edge_of_chaos`.
    When not: to train well: take the scheme that computes its numbers.

    Args:
        sigma_w2: σ_w², the variance of weights times fan_in.
        sigma_b2: σ_b², the variance of biases.

    Raises: UserError for a negative variance.
    Reference: Schoenholz et al. 2017, arXiv:1611.01232, section 2.

    Example:
        >>> explain(nn.Dense(3), jnp.ones((2, 5)), gaussian(1.76, 0.05))["kernel"]
        'gaussian: σ_w² 1.76, σ_b² 0.05; 5 in, 3 out; linear'
    """
    check_number("sigma_w2", sigma_w2, least=0)
    check_number("sigma_b2", sigma_b2, least=0)
    return _with_variances("gaussian", sigma_w2, sigma_b2)


def _with_variances(name: str, sigma_w2: float, sigma_b2: float) -> Scheme:
    return per_layer(
        lambda layer: variance_scaling(
            sigma_w2, "fan_in", "normal", fans=layer.mean_fans
        ),
        normal(sqrt(sigma_b2)) if sigma_b2 else zeros(),
        name=f"{name}: σ_w² {sigma_w2:.4g}, σ_b² {sigma_b2:.4g}",
    )
