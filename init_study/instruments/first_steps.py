"""First steps: what a learning rate does to a loss at once, and in a short run.

A short run of plain gradient descent on one loss is called stable if each loss on its
way is finite and the last one is no higher than the first. Whether it went up in
between does not matter: a net that jumps to a flatter place and trains there is stable.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float

from init_study.errors import check_count, check_number
from init_study.instruments.curvature import check_differentiable


class StableRate(NamedTuple):
    """Where short runs of gradient descent cease to be stable.

    Attributes:
        rate: the greatest that was stable with all that were tried below it; 0 where
            the least was not, NaN where the loss or its gradient is not finite at the
            start.
        unstable: the least that was not stable; infinite where the greatest was, NaN as
            before.
    """

    rate: Float[Array, ""]
    unstable: Float[Array, ""]


def first_step_drops(
    loss: Callable[[Any], Array],
    params: Any,
    rates: Float[Array, " rates"],
    make_optimizer: Callable[[Any], optax.GradientTransformation] = optax.sgd,
) -> Float[Array, " rates"]:
    """Compute by how much the first step at each rate lowers a loss.

    L(θ) − L(θ + u), with u the optimizer's first update at that rate: −rate · gradient
    of plain gradient descent, and about −rate · sign of the gradient of Adam.

    Args:
        loss: from parameters to a number.
        params: a tree, θ.
        rates: to try.
        make_optimizer: from a rate, which is traced, to an optimizer of optax.

    Returns: drops; below 0 where the loss went up, −inf or NaN where it is not finite
        after the step, NaN where it is not before. All zero for a zero gradient, unless
        the optimizer moves by itself, as by decay.

    Raises: UserError if the loss is no number, or there are no parameters.
    Reference: the first-order value is rate · ‖gradient‖² for gradient descent; Zhu et
    al. 2021, "GradInit", minimize the loss after the first step.
    Cost: a forward and a backward pass, and a forward pass for each rate.

    Example:
        >>> square = lambda params: (params["w"] ** 2).sum() / 2
        >>> rates = jnp.array([0.5, 1.0, 2.0])
        >>> first_step_drops(square, {"w": jnp.array([2.0])}, rates).tolist()
        [1.5, 2.0, 0.0]
    """
    check_differentiable(loss, params)
    before, gradient = jax.value_and_grad(loss)(params)

    def drop(rate: Float[Array, ""]) -> Float[Array, ""]:
        optimizer = make_optimizer(rate)
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        return before - loss(optax.apply_updates(params, updates))

    return lax.map(drop, rates)


def largest_stable_rate(
    loss: Callable[[Any], Array],
    params: Any,
    *,
    least: float = 1e-5,
    most: float = 1e3,
    steps: int = 100,
    rounds: int = 14,
    at_once: int = 1,
) -> StableRate:
    """Find the largest rate at which a short run of gradient descent is stable.

    It is found by bisection of its logarithm. Of rates that are tried together the
    least unstable one bounds it, even if a stable one lies above: it is the lower edge.

    On a quadratic of sharpness λ it lies between 2 / λ and (1 + p^(−1/(2·steps))) / λ,
    p being the share of the loss above its minimum that is along the sharpest direction
    at the start: what grows slowly from little is not seen in few steps. For p = 1 %
    and 100 steps these are 1.2 % apart.

    Args:
        loss: from parameters to a number, always of the same batch.
        params: a tree, where every run starts.
        least: the least rate that is tried.
        most: the greatest.
        steps: of each run.
        rounds: how often the bracket is cut; each leaves 1 / (at_once + 1) of it, and
            of the default bracket 14 halvings leave 0.1 %.
        at_once: rates of a round, which run side by side.

    Returns: two rates. Where the gradient is zero, every rate is stable.

    Raises: UserError if the loss is no number, there are no parameters, or a bound or
        count is out of range.
    Reference: the module says what is stable; Lewkowycz et al. 2020, "The large
    learning rate phase of deep learning", why a net may be so beyond 2 / λ.
    Cost: (2 + rounds · at_once) · steps forward and backward passes.

    Example:
        The edge of a parabola of curvature 4 is at 2 / 4.

        >>> found = largest_stable_rate(lambda w: 2 * w**2, jnp.ones(()), rounds=20)
        >>> round(float(found.rate), 3)
        0.5
    """
    check_number("least", least, above=0)
    check_number("most", most, above=least)
    for name, value in (("steps", steps), ("rounds", rounds), ("at_once", at_once)):
        check_count(name, value)
    check_differentiable(loss, params)

    def stable(rates: Float[Array, " rates"]) -> Bool[Array, " rates"]:
        return jax.vmap(lambda rate: _is_stable(loss, params, rate, steps))(rates)

    ends = jnp.array([least, most], jnp.float32)
    found = _lower_edge(stable, ends, rounds, at_once)
    start = jax.value_and_grad(loss)(params)
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(start)]
    usable = jnp.stack(finite).all()
    return StableRate(*(jnp.where(usable, rate, jnp.nan) for rate in found))


def _lower_edge(
    stable: Callable[[Array], Array],
    ends: Float[Array, " 2"],
    rounds: int,
    at_once: int,
) -> tuple[Array, Array]:
    """Cut a bracket of rates until its lower end is stable and its upper one is not."""
    shares = jnp.arange(1, at_once + 1, dtype=jnp.float32) / (at_once + 1)

    def cut(_: Any, bracket: Float[Array, " 2"]) -> Float[Array, " 2"]:
        inner = bracket[0] + (bracket[1] - bracket[0]) * shares
        places = jnp.concatenate([bracket[:1], inner, bracket[1:]])
        held = jnp.cumprod(stable(jnp.exp(inner)).astype(jnp.int32)).sum()
        return jnp.stack([places[held], places[held + 1]])

    low, high = jnp.exp(lax.fori_loop(0, rounds, cut, jnp.log(ends)))
    least_holds, most_holds = stable(ends)
    low, high = (
        jnp.where(most_holds, ends[1], low),
        jnp.where(most_holds, jnp.inf, high),
    )
    return jnp.where(least_holds, low, 0.0), jnp.where(least_holds, high, ends[0])


def _is_stable(
    loss: Callable[[Any], Array], params: Any, rate: Float[Array, ""], steps: int
) -> Bool[Array, ""]:
    """Run gradient descent at one rate, and judge it by its losses."""

    def step(params: Any, _: None) -> Any:
        value, gradient = jax.value_and_grad(loss)(params)

        def moved(leaf: Array, slope: Array) -> Array:
            return leaf - rate.astype(leaf.dtype) * slope

        return jax.tree.map(moved, params, gradient), value

    last, losses = lax.scan(step, params, length=steps)
    final = loss(last)
    return jnp.isfinite(losses).all() & jnp.isfinite(final) & (final <= losses[0])
