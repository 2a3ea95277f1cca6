"""Schemes for residual nets with trained numbers on their branches.

The numbers change the forward pass, unlike what the schemes of `residual` do: the study
has to ask for them, and every scheme of that study has them.
"""

from math import sqrt

from init_study.errors import UserError, check_number
from init_study.initializers import constant
from init_study.network import Network, Path
from init_study.network.branch_scalars import factor_path
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.promises import zero_branches
from init_study.schemes.residual import branch_ends
from init_study.schemes.scheme import Rule, Scheme, override
from init_study.schemes.zeros_in_series import moves


def skipinit(value: float = 0.0, rest: Scheme = HE_NORMAL) -> Scheme:
    """SkipInit: a trained number on every residual branch, which begins at zero.

    y = shortcut(x) + a · branch(x). Changes the forward pass: the study needs
    `branches=scalar`, and all its schemes have the number, at 1 if they do not say
    otherwise. Also known as ReZero.
    Use: in residual nets without norms.
    When not: with an optimizer that decays these numbers as well; ours does not.

    Args:
        value: where it begins.
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without such numbers.
    References: De & Smith 2020, arXiv:2002.10444; Bachlechner et al. 2021,
    arXiv:2003.04887.

    Example:
        >>> from init_study.models import ResNet
        >>> network = trace(ResNet(num_classes=2), (8, 8, 3), branches="scalar")
        >>> skipinit().explain(network)["added", "branch_0", "factor"]
        'constant(0)'
    """
    return _with_factors("skipinit", value, "scalar", rest)


def layerscale(value: float = 1e-4, rest: Scheme = HE_NORMAL) -> Scheme:
    """LayerScale: a trained number per channel of residual branches, small at first.

    Changes the forward pass: the study needs `branches=channel`, and all its schemes
    have the numbers, at 1 if they do not say otherwise.
    Use: in deep residual nets with adaptive optimizers.
    When not: in shallow nets and short runs: the branches need time to grow.

    Args:
        value: where they begin.
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without such numbers.
    Reference: Touvron et al. 2021, arXiv:2103.17239, section 2.

    Example:
        >>> from init_study.models import ResNet
        >>> network = trace(ResNet(num_classes=2), (8, 8, 3), branches="channel")
        >>> layerscale(0.01).explain(network)["added", "branch_0", "factor"]
        'constant(0.01)'
    """
    return _with_factors("layerscale", value, "channel", rest)


def stable_resnet(rest: Scheme = HE_NORMAL) -> Scheme:
    """Stable ResNet: a trained number on each of L residual branches, 1/√L at first.

    As `depth_scaled`, with the factor in the forward pass, so that it scales gradients
    of the branch as well and works behind a norm. Needs `branches=scalar`.
    Use: in deep residual nets with norms.
    When not: where the forward pass must stay the module's own.

    Args:
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without such numbers.

    Example:
        >>> from init_study.models import ResNet
        >>> network = trace(ResNet(num_classes=2), (8, 8, 3), branches="scalar")
        >>> stable_resnet().explain(network)["added", "branch_0", "factor"]  # 1/√9
        'constant(0.333)'
    """
    return _with_factors("stable_resnet", None, "scalar", rest)


def _with_factors(name: str, value: float | None, kind: str, rest: Scheme) -> Scheme:
    """Set the factor of every residual branch to `value`; None is 1/√L."""
    check_number("value", 0.0 if value is None else value)

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        count = len(branch_ends(network, name))
        start = 1 / sqrt(count) if value is None else value
        paths = [factor_path(index) for index in range(count)]
        ndim = {"scalar": 0, "channel": 1}[kind]
        fits = all(
            p in network.shapes and network.shapes[p].ndim == ndim for p in paths
        )
        if not fits:
            raise UserError(
                f"{name} sets a factor on every residual branch, and this network has "
                f"none of that kind; use --study.branches={kind}"
            )
        rule = Rule(f"constant({start:.3g})", constant(start))
        return dict.fromkeys(paths, rule)

    checks = (zero_branches(name), moves(name)) if value == 0 else (moves(name),)
    return override(rest, change, *checks)
