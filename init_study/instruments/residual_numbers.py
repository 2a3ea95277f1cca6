"""Residual branches beside their skips, and a network without one of them.

A branch is found as `init_study.network` finds it. To leave it out, its terms of the
sum are zero; to see what gradients come back by the skip alone, they are held fixed.
All branches are measured by one program, which is run for each of them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.instruments.tensors import whole_length
from init_study.network import Forward, ModelState, Network, Params, graph
from init_study.network.forward import trace_forward

_Change = Callable[[Array, Array], Array]


class ResidualNumbers(NamedTuple):
    """Numbers of every residual branch, `[branches]`, in the order of their sums.

    Attributes:
        forward: variance of what the branch adds, over that of what it is added to;
            over all images, places and channels.
        backward: mean square of the gradient that comes back to where both begin by
            way of the branch, over that by all other ways.
        loss_change: the loss without the branch, less the loss.
        function_change: ‖f' − f‖ / ‖f‖, f' being the outputs without the branch.
    """

    forward: Float[Array, " branches"]
    backward: Float[Array, " branches"]
    loss_change: Float[Array, " branches"]
    function_change: Float[Array, " branches"]


def residual_numbers(
    network: Network,
    params: Params,
    state: ModelState,
    images: Float[Array, "n ..."],
    loss: Callable[[Array], Float[Array, ""]],
    key: PRNGKeyArray,
) -> ResidualNumbers | None:
    """Measure every residual branch of a network in the training call.

    Args:
        network: a traced network.
        params: its parameters.
        state: its state.
        images: a batch.
        loss: from the network's result to a number.
        key: of dropout.

    Returns: None for a network in which no branch was found. A ratio is infinite where
        only the skip is zero, NaN where both are.

    Reference: Veit, Wilber & Belongie 2016, arXiv:1605.06431, for nets without one of
    their branches; `tag_residual_activations` of init2winit for the balance.
    Cost: 2 F + 1 B, and 2 F + 1 B for each branch.

    Example:
        A branch that gives twice what it reads, so that the block gives three times.

        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> class Block(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         return x + nn.Dense(2, use_bias=False)(x)
        >>> params = {"Dense_0": {"kernel": 2 * jnp.eye(2)}}
        >>> images, key = jnp.array([[1.0, 0.0], [0.0, 2.0]]), jax.random.key(0)
        >>> network = trace(Block(), (2,))
        >>> found = residual_numbers(network, params, {}, images, jnp.sum, key)
        >>> [round(float(number[0]), 3) for number in found]
        [4.0, 4.0, -6.0, 0.667]
    """
    forward = trace_forward(network, params, state, images, key=key)
    sums = graph.find_sums(forward.traced, forward.origins, forward.layers)
    if not sums:
        return None
    parts = _Parts(forward, sums, images)
    alone = 1.0 - jnp.eye(len(sums))
    ratios, losses, changes = _without_each(parts, loss, alone)
    back = _gradients_by_each(parts, loss, alone)
    return ResidualNumbers(ratios, back, losses, changes)


class _Parts(NamedTuple):
    """A network's call, its residual sums, and what it is called on."""

    forward: Forward
    sums: tuple[graph.ResidualSum, ...]
    images: Array


def _without_each(
    parts: _Parts, loss: Callable[[Array], Array], alone: Float[Array, "k k"]
) -> tuple[Array, Array, Array]:
    """Compute the ratios of variances, and what changes, without each branch."""
    wanted = tuple(one.output for one in parts.sums) + parts.forward.traced.outputs
    *whole, result = _compute(parts, wanted)

    def without(factors: Float[Array, " k"]) -> Any:
        *skips, other = _compute(parts, wanted, factors, _left_out)
        ratios = [
            _variance(y - x) / _variance(x) for y, x in zip(whole, skips, strict=True)
        ]
        change = whole_length([other - result]) / whole_length([result])
        return jnp.stack(ratios), loss(other) - loss(result), change

    ratios, losses, changes = lax.map(without, alone)
    return jnp.diagonal(ratios), losses, changes


def _gradients_by_each(
    parts: _Parts, loss: Callable[[Array], Array], alone: Float[Array, "k k"]
) -> Float[Array, " k"]:
    """Compute the ratios of what comes back by each branch and by other ways."""
    traced, sums = parts.forward.traced, parts.sums
    shapes = {one.fork: traced.shapes[one.fork] for one in sums}
    zeros = {fork: jnp.zeros(s.shape, s.dtype) for fork, s in shapes.items()}

    def at_forks(factors: Float[Array, " k"]) -> list[Array]:
        def value(shifts: dict[int, Array]) -> Array:
            (other,) = _compute(parts, traced.outputs, factors, _held, shifts)
            return loss(other)

        slopes = jax.grad(value)(zeros)
        return [slopes[one.fork] for one in sums]

    total = at_forks(jnp.ones(len(sums)))

    def ratios(factors: Float[Array, " k"]) -> Array:
        pairs = zip(total, at_forks(factors), strict=True)
        return jnp.stack([_square(every - x) / _square(x) for every, x in pairs])

    return jnp.diagonal(lax.map(ratios, alone))


def _compute(
    parts: _Parts,
    wanted: tuple[int, ...],
    factors: Array | None = None,
    change: _Change | None = None,
    shifts: Mapping[int, Array] | None = None,
) -> list[Array]:
    """Compute values of a network whose branches' terms are changed by factors."""
    shifts = shifts or {}
    of_term = {
        (term.place, term.side): index
        for index, one in enumerate(parts.sums)
        for term in one.summands
    }

    def feed(place: int, inputs: list[Any]) -> list[Any]:
        if change is None or factors is None:
            return inputs
        return [
            change(x, factors[of_term[place, side]]) if (place, side) in of_term else x
            for side, x in enumerate(inputs)
        ]

    def shifted(value: int, computed: Any) -> Any:
        return computed + shifts[value] if value in shifts else computed

    traced, variables = parts.forward.traced, parts.forward.variables
    given = shifted(traced.images, parts.images)
    return graph.compute(traced, variables, given, wanted, shifted, feed)


def _left_out(term: Array, factor: Array) -> Array:
    """Give zeros for a factor of 0, also for what is not finite."""
    return jnp.where(factor == 0, jnp.zeros_like(term), term)


def _held(term: Array, factor: Array) -> Array:
    """Let no gradient through for a factor of 0; the term stays what it is."""
    fixed = lax.stop_gradient(term)
    return fixed + factor.astype(term.dtype) * (term - fixed)


def _variance(values: Array) -> Float[Array, ""]:
    return jnp.var(values.astype(jnp.float32))


def _square(values: Array) -> Float[Array, ""]:
    return jnp.mean(values.astype(jnp.float32) ** 2)
