"""Zeros in series: parameters that no step of training would ever move.

y = a · b of a = b = 0 has no gradient in either. The same holds for a branch that a
zero kernel and a zero scale end, for zero kernels all through a net, and for a branch
whose last function has no slope at zero.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from init_study.activations import linear
from init_study.errors import UserError
from init_study.jaxprs import SOON
from init_study.keys import fixed_key
from init_study.network import Branch, Network, Params, Path
from init_study.network.branch_scalars import ADDED, factor_path
from init_study.schemes.promises import Passed, pass_of
from init_study.schemes.scheme import Batch, Promise, leaf_of

_MORE_STEPS = 8
_STEP = 0.01


def moves(name: str) -> Promise:
    """Check that no zeros stand in series: every kernel gets a gradient in a few steps.

    Nothing is computed where zeros cannot stand in series.

    Args:
        name: of the scheme, for people.
    """

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        weights = _weights(network)
        at_zero = {p for p in network.shapes if not np.any(leaf_of(params, p))}
        zeros = (at_zero & weights) | _zeroed(network, at_zero - weights)
        series = [*_zeros_in_series(network, zeros)]
        flat_ends = any(_flat_ends(network, zeros))
        if not series and not flat_ends:
            return
        stuck = _stuck(network, pass_of(network, params, batch), weights | zeros)
        if not stuck:
            return
        first = next(
            (la.name for la in network.layers if la.kernel in stuck), "a scale"
        )
        said = f"{name}: {first} would never move, no gradient reaches it at any step"
        # One zero alone is no series; of two it may be that one alone is stuck.
        groups = [group for group in series if group & stuck and len(group) > 1]
        groups.sort(key=lambda group: len(group & stuck) < 2)
        at_zero = groups[0] & stuck if groups else set[Path]()
        if at_zero and not (flat_ends and len(at_zero) < 2):
            raise UserError(
                f"{said}: zeros in series, {_named(at_zero)}; "
                f"{_way_out(network, at_zero)}"
            )
        raise UserError(
            f"{said}: the function behind {_named(zeros & stuck)} has no slope at 0, "
            "as a ReLU; take a scheme that sets no branch to zero, e.g. depth_scaled"
        )

    return check


def _named(paths: set[Path]) -> str:
    """Name parameters, the first ones where they are many."""
    names = sorted("/".join(path) for path in paths)
    return " and ".join([*names[:2], "others"] if len(names) > 3 else names)


def _way_out(network: Network, at_zero: set[Path]) -> str:
    """Say what else to take: of zeros in series one alone may stay."""
    kernels = {layer.kernel for layer in network.layers}
    ends = {
        network.layers[i].kernel for branch in network.branches for i in branch.ends
    }
    scales = at_zero - kernels
    if at_zero & kernels and not at_zero <= ends | scales:
        return "take a rest that sets no zeros there, e.g. rest='he_normal'"
    if not scales:
        return "take a scheme that sets no branch to zero, e.g. depth_scaled"
    start = f"{_named(scales)} begin at another number than 0"
    if not at_zero & kernels:
        return f"let one of {start}"
    return (
        f"take he_normal, or another that sets no such kernel to zero, or let {start}"
    )


def _weights(network: Network) -> set[Path]:
    """Collect the kernels, and the scales and factors of branches."""
    kernels = {layer.kernel for layer in network.layers}
    scales = {scale for branch in network.branches for scale in branch.scales}
    return kernels | scales | set(map(factor_path, range(len(network.branches))))


def _zeroed(network: Network, at_zero: set[Path]) -> set[Path]:
    """Collect parameters of no layer that are zero and would not be by themselves."""
    own = {p for la in network.layers for p in la.leaves} | {
        path for path in at_zero if path[0] == ADDED
    }
    if not at_zero - own:
        return set()
    start = network.remainder(fixed_key(0))
    return {path for path in at_zero - own if bool(jnp.any(start[path]))}


def _zeros_in_series(network: Network, zeros: set[Path]) -> Iterator[set[Path]]:
    """List zeros that may stand in series: those of one branch, then of the trunk."""
    others = zeros - _weights(network)
    if others:
        yield others | zeros
    on_branches: set[int] = set()
    for index, branch in enumerate(network.branches):
        on_branches.update(branch.layers)
        stages = [stage & zeros for stage in _stages(network, branch, index)]
        if sum(map(bool, stages)) > 1:
            yield set().union(*stages)
    head = len(network.layers) - 1
    trunk = set(range(head)) - on_branches
    kernels = {network.layers[index].kernel for index in trunk} & zeros
    if kernels:
        yield kernels | {network.layers[head].kernel} & zeros


def _flat_ends(network: Network, zeros: set[Path]) -> Iterator[bool]:
    """Tell, branch by branch, whether a zero may be behind no slope at its end."""
    for branch in network.branches:
        ends = [network.layers[i] for i in branch.ends]
        at_zero = any(last.kernel in zeros for last in ends)
        at_zero |= not zeros.isdisjoint(branch.scales)
        yield at_zero and any(not _has_slope(last.activation) for last in ends)


def _stages(network: Network, branch: Branch, index: int) -> list[set[Path]]:
    """List what a branch has one behind the other: kernels, ends, scales, a factor."""
    inner = {network.layers[i].kernel for i in branch.layers if i not in branch.ends}
    ends = {network.layers[i].kernel for i in branch.ends}
    return [inner, ends, set(branch.scales), {factor_path(index)}]


def _has_slope(activation: Any) -> bool:
    """Tell whether a function that is known passes a gradient at zero."""
    if activation is None:
        return False
    if activation is linear:
        return True
    slope = jax.grad(lambda x: activation(x)[0])(jnp.zeros(1))
    return bool(jnp.any(slope))


def _stuck(network: Network, passed: Passed, weights: set[Path]) -> set[Path]:
    """Find the weights that never get a gradient, and would if there were no zeros.

    What a dead ReLU keeps from moving on these images stays as dead without the zeros:
    it is none of theirs.
    """
    forward = passed.forward
    flat = {p[1:]: v for p, v in forward.variables.items() if p[0] == "params"}
    (shape, *_) = (forward.traced.shapes[v] for v in forward.traced.outputs)
    cotangent = jax.random.normal(fixed_key(1), shape.shape)

    @partial(jax.jit, compiler_options=SOON)
    def gradient(flat: dict[Path, Any]) -> dict[Path, Any]:
        def loss(flat: dict[Path, Any]) -> Any:
            changes = {("params", *path): leaf for path, leaf in flat.items()}
            (outputs, *_) = passed.compute(forward.traced.outputs, changes)
            return jnp.sum(outputs * cotangent)

        return jax.grad(loss)(flat)

    weights = weights & set(flat)
    alive: set[Path] = set()
    found: set[Path] = set()
    moved = flat
    # In a chain of zeros one layer wakes at each step.
    for _ in range(len(network.layers) + _MORE_STEPS):
        slopes = gradient(moved)
        found = {path for path, slope in slopes.items() if np.any(slope)}
        if weights <= alive | found or found <= alive:
            break
        alive |= found
        moved = {p: leaf + _small(slopes[p]) for p, leaf in moved.items()}
    dead = weights - alive - found
    if not dead:
        return set()
    # Of what is only added a zero is no end; a number would wake a dead ReLU.
    added = {path for layer in network.layers for path in (layer.bias, layer.shift)}
    key = fixed_key(2)
    noise = {
        path: 0.1 * jax.random.normal(jax.random.fold_in(key, i), leaf.shape)
        for i, (path, leaf) in enumerate(flat.items())
        if path not in added and not np.any(leaf)
    }
    # Either way, lest the noise itself kill a ReLU.
    could: set[Path] = set()
    for sign in (1, -1):
        shaken = {**flat, **{p: flat[p] + sign * change for p, change in noise.items()}}
        could |= {p for p, slope in gradient(shaken).items() if np.any(slope)}
    return dead & could


def _small(slope: Any) -> Any:
    """Make a step of a gradient that is small whatever the gradient's size."""
    size = jnp.sqrt(jnp.mean(slope**2))
    return _STEP * slope / jnp.where(size > 0, size, 1.0)
