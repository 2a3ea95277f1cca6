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
        if not any(series) and not any(_flat_ends(network, zeros)):
            return
        stuck = _stuck(network, pass_of(network, params, batch), weights | zeros)
        if not stuck:
            return
        names = sorted("/".join(path) for path in zeros & stuck) or ["its weights"]
        names = [*names[:2], "others"] if len(names) > 3 else names
        first = next(
            (la.name for la in network.layers if la.kernel in stuck), "a scale"
        )
        said = f"{name}: {first} would never move, no gradient reaches it at any step"
        if any(series) and len(zeros) > 1:
            raise UserError(
                f"{said}: zeros in series, {' and '.join(names)}; take a rest that "
                "sets no zeros there, e.g. rest='he_normal'"
            )
        raise UserError(
            f"{said}: the function behind {' and '.join(names)} has no slope at 0, as "
            "a ReLU; take a scheme that sets no zeros there, for a branch depth_scaled"
        )

    return check


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
    start = network.remainder(jax.random.key(0))
    return {path for path in at_zero - own if bool(jnp.any(start[path]))}


def _zeros_in_series(network: Network, zeros: set[Path]) -> Iterator[bool]:
    """Tell, branch by branch, whether zeros may stand in series, then for the trunk."""
    yield bool(zeros - _weights(network))
    on_branches: set[int] = set()
    for index, branch in enumerate(network.branches):
        on_branches.update(branch.layers)
        yield _zero_stages(network, branch, index, zeros) > 1
    head = len(network.layers) - 1
    for index, layer in enumerate(network.layers):
        yield index not in on_branches | {head} and layer.kernel in zeros


def _flat_ends(network: Network, zeros: set[Path]) -> Iterator[bool]:
    """Tell, branch by branch, whether a zero may be behind no slope at its end."""
    for branch in network.branches:
        ends = [network.layers[i] for i in branch.ends]
        at_zero = any(last.kernel in zeros for last in ends)
        at_zero |= not zeros.isdisjoint(branch.scales)
        yield at_zero and any(not _has_slope(last.activation) for last in ends)


def _zero_stages(network: Network, branch: Branch, index: int, zeros: set[Path]) -> int:
    """Count the zeros that a branch has one behind the other, at most."""
    inner = {network.layers[i].kernel for i in branch.layers if i not in branch.ends}
    ends = {network.layers[i].kernel for i in branch.ends}
    stages = (inner, ends, set(branch.scales), {factor_path(index)})
    return sum(not zeros.isdisjoint(stage) for stage in stages)


def _has_slope(activation: Any) -> bool:
    """Tell whether a function that is known passes a gradient at zero."""
    if activation is None:
        return False
    if activation is linear:
        return True
    slope = jax.grad(lambda x: activation(x)[0])(jnp.zeros(1))
    return bool(jnp.any(slope))


def _stuck(network: Network, passed: Passed, weights: set[Path]) -> set[Path]:
    """Find the weights that never get a gradient, and would if there were no zeros."""
    forward = passed.forward
    flat = {p[1:]: v for p, v in forward.variables.items() if p[0] == "params"}
    (shape, *_) = (forward.traced.shapes[v] for v in forward.traced.outputs)
    cotangent = jax.random.normal(jax.random.key(1), shape.shape)

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
    key = jax.random.key(2)
    shaken = {
        path: leaf + 0.1 * jax.random.normal(jax.random.fold_in(key, i), leaf.shape)
        for i, (path, leaf) in enumerate(flat.items())
    }
    could = {path for path, slope in gradient(shaken).items() if np.any(slope)}
    return dead & could


def _small(slope: Any) -> Any:
    """Make a step of a gradient that is small whatever the gradient's size."""
    size = jnp.sqrt(jnp.mean(slope**2))
    return _STEP * slope / jnp.where(size > 0, size, 1.0)
