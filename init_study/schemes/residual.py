"""Schemes for residual nets: how large the branches begin beside the shortcuts.

A net of L residual branches, each of which keeps the mean square of the signal, doubles
it at every sum: 2^L at the end. All of these bound that growth, without a norm or with
one.
"""

from math import sqrt

from init_study.errors import UserError, check_number
from init_study.initializers import constant, zeros
from init_study.network import Layer, Network, Path
from init_study.network.branch_scalars import factor_path
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.scheme import Rule, Scheme, end_layer, override, scaled

_ZERO = Rule("zeros", zeros())


def zero_gamma(rest: Scheme = HE_NORMAL) -> Scheme:
    """The scale of the last norm of every residual branch is zero.

    Every block is its shortcut at first. At the first step, of a branch only this scale
    moves: no gradient passes a zero.
    Use: in ResNets with norms.
    When not: where the first step must reach the branches' kernels.

    Args:
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without residual branches, or a branch that does not end
        with a norm.
    Reference: Goyal et al. 2017, arXiv:1706.02677, section 5.1.
    """

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        scales = last_scales(network)
        missing = [i for i, scale in enumerate(scales) if scale is None]
        if missing or not scales:
            last = _last_layers(network, "zero_gamma")[missing[0]]
            raise UserError(
                f"zero_gamma sets the scale of a branch's last norm, and after "
                f"{last.name} there is none; use zero_branch or fixup"
            )
        return {scale: _ZERO for scale in scales if scale is not None}

    return override(rest, change)


def zero_branch(rest: Scheme = HE_NORMAL) -> Scheme:
    """The kernel of the last layer of every residual branch is zero.

    As `zero_gamma`, for nets without a norm: every block is its shortcut at first.
    Use: in residual nets without norms.
    When not: as `zero_gamma`.

    Args:
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without residual branches.
    """

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        return {last.kernel: _ZERO for last in _last_layers(network, "zero_branch")}

    return override(rest, change)


def depth_scaled(rest: Scheme = HE_NORMAL) -> Scheme:
    """The last kernel of every residual branch by the rest's law, times 1/√L.

    L is the number of branches. Preserves: if the rest keeps the mean square of the
    signal through a branch, all L sums together multiply it by (1 + 1/L)^L < e.
    Use: in deep residual nets without norms.
    When not: where branches end with a norm; then `stable_resnet`.

    Args:
        rest: the scheme of all parameters, `he_normal` by default.

    Raises: UserError for a net without residual branches, or one whose branches end
        with a norm, which takes any factor away.
    Reference: Hanin & Rolnick 2018, arXiv:1803.01719, for the role of the sum of
    branches' scales.
    """
    return _scaled_branches("depth_scaled", None, rest)


def branch_gain(gain: float = 0.5, rest: Scheme = HE_NORMAL) -> Scheme:
    """The last kernel of every residual branch by the rest's law, times a gain.

    Use: to scan the scale of branches.
    When not: where branches end with a norm.

    Args:
        gain: positive; 1/√L is `depth_scaled`.
        rest: the scheme of all parameters, `he_normal` by default.

    Raises: UserError as `depth_scaled`.
    """
    if not gain > 0:
        raise UserError(f"gain={gain!r} is not positive; for zero use zero_branch")
    return _scaled_branches("branch_gain", gain, rest)


def skipinit(value: float = 0.0, rest: Scheme = HE_NORMAL) -> Scheme:
    """A trained number on every residual branch, which begins at zero.

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
    """
    return _with_factors("skipinit", value, "scalar", rest)


def layerscale(value: float = 1e-4, rest: Scheme = HE_NORMAL) -> Scheme:
    """A trained number per channel of every residual branch, small at first.

    Changes the forward pass: the study needs `branches=channel`, and all its schemes
    have the numbers, at 1 if they do not say otherwise.
    Use: in deep residual nets with adaptive optimizers.
    When not: in shallow nets and short runs: the branches need time to grow.

    Args:
        value: where they begin.
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without such numbers.
    Reference: Touvron et al. 2021, arXiv:2103.17239, section 2.
    """
    return _with_factors("layerscale", value, "channel", rest)


def stable_resnet(rest: Scheme = HE_NORMAL) -> Scheme:
    """A trained number on every residual branch, which begins at 1/√L.

    As `depth_scaled`, with the factor in the forward pass, so that it scales gradients
    of the branch as well and works behind a norm. Needs `branches=scalar`.
    Use: in deep residual nets with norms.
    When not: where the forward pass must stay the module's own.

    Args:
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without such numbers.
    """
    return _with_factors("stable_resnet", None, "scalar", rest)


def fixup(scalars: bool = True) -> Scheme:
    """He's law, smaller in residual branches, whose last layer is zero as is the head.

    In a branch of m layers among L branches, all but the last are scaled by
    L^(−1/(2m−2)). With one trained number on every branch, at 1, and one added before
    and after every layer, at 0: needs `branches=fixup`.
    Preserves: a step of the optimizer changes the net's output by an amount that does
    not depend on the depth.
    Use: in residual nets without norms.
    When not: with norms, which do the same work.

    Args:
        scalars: False for the kernels alone, on any residual net.

    Raises: UserError for a net without residual branches, without those numbers, or
        with a norm in a branch, which is what this does without.
    Reference: Zhang, Dauphin & Ma 2019, arXiv:1901.09321, section 3.
    """

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        lasts = _last_layers(network, "fixup")
        if scalars and not any(path[-1] == "shift" for path in network.shapes):
            raise UserError(
                "fixup adds numbers to residual branches, and this network has none; "
                "use --study.branches=fixup, or fixup(scalars=False) for the kernels "
                "alone"
            )
        found: dict[Path, Rule] = {}
        for branch in network.branches:
            factor = len(network.branches) ** (-0.5 / max(1, len(branch.layers) - 1))
            for layer in (network.layers[index] for index in branch.layers[:-1]):
                _refuse_norm(layer, "fixup")
                text = f"L^(-1/(2m-2)) = {factor:.3g}"
                found[layer.kernel] = scaled(before[layer.kernel], factor, text)
        for last in lasts:
            _refuse_norm(last, "fixup")
            found[last.kernel] = _ZERO
        head = {path: _ZERO for path in end_layer(network, -1).leaves}
        return {**found, **head}

    return override(HE_NORMAL, change)


def last_scales(network: Network) -> list[Path | None]:
    """Of every residual branch, the scale of the norm behind its last layer."""
    lasts = [network.layers[branch.layers[-1]] for branch in network.branches]
    return [last.scale if last.normalized else None for last in lasts]


def _last_layers(network: Network, name: str) -> list[Layer]:
    if not network.branches:
        raise UserError(
            f"{name} is for residual nets, and this network has no residual branch; "
            "use a residual model, e.g. resnet, or a scheme for plain nets"
        )
    return [network.layers[branch.layers[-1]] for branch in network.branches]


def _refuse_norm(layer: Layer, name: str) -> None:
    if layer.normalized:
        raise UserError(
            f"{name} scales the kernel of {layer.name}, and the norm behind it takes "
            "any factor away; use norm=none, or zero_gamma or stable_resnet for nets "
            "with norms"
        )


def _scaled_branches(name: str, gain: float | None, rest: Scheme) -> Scheme:
    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        lasts = _last_layers(network, name)
        factor = 1 / sqrt(len(lasts)) if gain is None else gain
        for last in lasts:
            _refuse_norm(last, name)
        return {
            last.kernel: scaled(before[last.kernel], factor, f"{factor:.3g}")
            for last in lasts
        }

    return override(rest, change)


def _with_factors(name: str, value: float | None, kind: str, rest: Scheme) -> Scheme:
    """`value` None is 1/√L."""
    check_number("value", 0.0 if value is None else value)

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        count = len(_last_layers(network, name))
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

    return override(rest, change)
