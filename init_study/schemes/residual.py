"""Schemes for residual nets: how large the branches begin beside the shortcuts.

A net of L residual branches, each of which keeps the mean square of the signal, doubles
it at every sum: 2^L at the end. All of these bound that growth, without a norm or with
one.
"""

from math import sqrt

from init_study.errors import UserError
from init_study.initializers import zeros
from init_study.network import Layer, Network, Path
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.promises import equal_outputs, scaled_branches, zero_branches
from init_study.schemes.scaled_rule import refuse_rescaled, scaled
from init_study.schemes.scheme import Rule, Scheme, end_layer, override
from init_study.schemes.zeros_in_series import moves

_ZERO = Rule("zeros", zeros())


def zero_gamma(rest: Scheme = HE_NORMAL) -> Scheme:
    """Zero gamma: the scale of the last norm of every residual branch is zero.

    Gates, squeeze-excitation and dropout may stand behind it; of a norm and a layer's
    scale it is the last. Every block is its shortcut at first. At the first step, of a
    branch only this scale moves: no gradient passes a zero.
    Use: in ResNets with norms.
    When not: where the first step must reach the branches' kernels.

    Args:
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without residual branches, or a branch that does not end
        with a norm; on a draw, for a branch that is not zero or cannot move.
    Reference: Goyal et al. 2017, arXiv:1706.02677, section 5.1.

    Example:
        >>> from init_study.models import ResNet
        >>> net = ResNet(num_classes=2, depth=8)
        >>> explain(net, jnp.ones((1, 8, 8, 3)), zero_gamma())["BatchNorm_2/scale"]
        'zeros'
    """

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        ends = branch_ends(network, "zero_gamma")
        scales = last_scales(network)
        for branch, (last, *_) in zip(scales, ends, strict=True):
            if not branch:
                raise UserError(
                    f"zero_gamma sets the scale of a branch's last norm, and after "
                    f"{last.name} there is none; use zero_branch or fixup"
                )
        return {scale: _ZERO for branch in scales for scale in branch}

    name = "zero_gamma"
    return override(rest, change, zero_branches(name), moves(name))


def zero_branch(rest: Scheme = HE_NORMAL) -> Scheme:
    """Zero branch: the kernel of the last layer of every residual branch is zero.

    The last is the one that the branch is linear in: behind it may stand norms, gates,
    squeeze-excitation, dropout. Where paths meet, it is the last of each. As
    `zero_gamma`, for nets without a norm: every block is its shortcut at first.
    Use: in residual nets without norms.
    When not: as `zero_gamma`.

    Args:
        rest: the scheme of all other parameters, `he_normal` by default.

    Raises: UserError for a net without residual branches; on a draw, for a branch that
        is not zero or cannot move.

    Example:
        >>> from init_study.models import ResNet
        >>> net = ResNet(num_classes=2, depth=8, norm="none")
        >>> explain(net, jnp.ones((1, 8, 8, 3)), zero_branch())["Conv_2/kernel"]
        'zeros; 144 in, 144 out; linear; ends branch 0'
    """

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        ends = branch_ends(network, "zero_branch")
        return {last.kernel: _ZERO for branch in ends for last in branch}

    name = "zero_branch"
    return override(rest, change, zero_branches(name), moves(name))


def depth_scaled(rest: Scheme = HE_NORMAL) -> Scheme:
    """Depth scaling: the last kernel of each of L residual branches times 1/√L.

    It is drawn by the rest's law first.
    Preserves: if the rest keeps the mean square of the signal through a branch, all L
    sums together multiply it by (1 + 1/L)^L < e.
    Use: in deep residual nets without norms.
    When not: where branches end with a norm; then `stable_resnet`.

    Args:
        rest: the scheme of all parameters, `he_normal` by default.

    Raises: UserError for a net without residual branches, or one whose branches end
        with a norm, which takes any factor away; on a draw, for a branch that the
        factor does not scale.
    Reference: Hanin & Rolnick 2018, arXiv:1803.01719, for the role of the sum of
    branches' scales.

    Example:
        >>> from init_study.models import ResNet
        >>> net = ResNet(num_classes=2, depth=8, norm="none")
        >>> said = explain(net, jnp.ones((1, 8, 8, 3)), depth_scaled())
        >>> said["Conv_2/kernel"]  # 1/√3
        'he_normal × 0.577; 144 in, 144 out; linear; ends branch 0'
    """
    return _scaled_branches("depth_scaled", None, rest)


def branch_gain(gain: float = 0.5, rest: Scheme = HE_NORMAL) -> Scheme:
    """Branch gain: the last kernel of every residual branch by the rest's law, scaled.

    Use: to scan the scale of branches.
    When not: where branches end with a norm.

    Args:
        gain: positive; 1/√L is `depth_scaled`.
        rest: the scheme of all parameters, `he_normal` by default.

    Raises: UserError as `depth_scaled`.

    Example:
        >>> from init_study.models import ResNet
        >>> net = ResNet(num_classes=2, depth=8, norm="none")
        >>> explain(net, jnp.ones((1, 8, 8, 3)), branch_gain(0.5))["Conv_2/kernel"]
        'he_normal × 0.5; 144 in, 144 out; linear; ends branch 0'
    """
    if not gain > 0:
        raise UserError(f"gain={gain!r} is not positive; for zero use zero_branch")
    return _scaled_branches("branch_gain", gain, rest)


def fixup(scalars: bool = True) -> Scheme:
    """Fixup: He's law, smaller in residual branches; zeros in their ends and the head.

    In a branch of m layers, one behind the other, among L branches, all but the last
    are scaled by L^(−1/(2m−2)). With one trained number on every branch, at 1, and one
    added before and after every layer, at 0: needs `branches=fixup`.
    Preserves: a step of the optimizer changes the net's output by an amount that does
    not depend on the depth.
    Use: in residual nets without norms.
    When not: with norms, which do the same work.

    Args:
        scalars: False for the kernels alone, on any residual net.

    Raises: UserError for a net without residual branches, without those numbers, or
        with a norm in a branch, which is what this does without; on a draw, for a
        branch or logits that are not zero.
    Reference: Zhang, Dauphin & Ma 2019, arXiv:1901.09321, section 3.

    Example:
        >>> from init_study.models import ResNet
        >>> net = ResNet(num_classes=2, depth=8, norm="none")  # L = 3, m = 2
        >>> said = explain(net, jnp.ones((1, 8, 8, 3)), fixup(scalars=False))
        >>> said["Conv_1/kernel"].partition(";")[0]
        'he_normal × L^(-1/(2m-2)) = 0.577'
        >>> said["Conv_2/kernel"]
        'zeros; 144 in, 144 out; linear; ends branch 0'
    """

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        ends = branch_ends(network, "fixup")
        if scalars and not any(path[-1] == "shift" for path in network.shapes):
            raise UserError(
                "fixup adds numbers to residual branches, and this network has none; "
                "use --study.branches=fixup, or fixup(scalars=False) for the kernels "
                "alone"
            )
        found: dict[Path, Rule] = {}
        for branch in network.branches:
            factor = len(network.branches) ** (-0.5 / max(1, branch.depth - 1))
            for layer in (network.layers[index] for index in branch.before):
                _refuse_norm(layer, "fixup")
                text = f"L^(-1/(2m-2)) = {factor:.3g}"
                found[layer.kernel] = scaled(before[layer.kernel], factor, text)
        for last in (last for branch in ends for last in branch):
            _refuse_norm(last, "fixup")
            found[last.kernel] = _ZERO
        head = {path: _ZERO for path in end_layer(network, -1).leaves}
        return {**found, **head}

    name = "fixup"
    checks = (zero_branches(name), equal_outputs(name, -1), moves(name))
    return override(HE_NORMAL, change, *checks)


def last_scales(network: Network) -> list[tuple[Path, ...]]:
    """Find the scales behind the last layers of every residual branch.

    None where a part of the branch has no scale behind its last layer.
    """
    return [branch.scales for branch in network.branches]


def branch_ends(network: Network, name: str) -> list[list[Layer]]:
    """Find the last layers of every residual branch, those that it is linear in.

    Raises: UserError, in the name of a scheme, for a net without residual branches, or
        for a branch that ends in no kernel.
    """
    if not network.branches:
        raise UserError(
            f"{name} is for residual nets, and this network has no residual branch; "
            "use a residual model, e.g. resnet, or a scheme for plain nets"
        )
    for branch in network.branches:
        if not branch.ends:
            last = network.layers[branch.layers[-1]].name
            raise UserError(
                f"{name} sets the kernel that a branch ends in, and the one with "
                f"{last} ends in none; use a scheme that sets no branch"
            )
    return [[network.layers[i] for i in branch.ends] for branch in network.branches]


def _refuse_norm(layer: Layer, name: str) -> None:
    if layer.normalized:
        raise UserError(
            f"{name} scales the kernel of {layer.name}, and the norm behind it takes "
            "any factor away; use norm=none, or zero_gamma or stable_resnet for nets "
            "with norms"
        )


def _scaled_branches(name: str, gain: float | None, rest: Scheme) -> Scheme:
    def factor_of(network: Network) -> float:
        return 1 / sqrt(len(network.branches)) if gain is None else gain

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        lasts = [last for branch in branch_ends(network, name) for last in branch]
        factor = factor_of(network)
        for last in lasts:
            _refuse_norm(last, name)
        refuse_rescaled(name, rest, network, [last.kernel for last in lasts])
        return {
            last.kernel: scaled(before[last.kernel], factor, f"{factor:.3g}")
            for last in lasts
        }

    return override(rest, change, scaled_branches(name, factor_of), moves(name))
