"""Coordinate check: how a layer's outputs, and their first changes, scale with width.

In a parametrization that carries over to wider nets no layer's change grows or shrinks
with width. Slopes in log-log say which ones do.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.errors import UserError, check_count
from init_study.instruments.instrument import ProbeBatch, Subject, member_loss
from init_study.instruments.signals import layer_signals
from init_study.network import Network, Params


class WidthScaling(NamedTuple):
    """Sizes of every layer's outputs over widths, and their slopes in log-log.

    Attributes:
        widths: of the networks.
        starts: root mean square of the layer's output at the start, before norm and
            activation, over images, places, units and draws.
        changes: the same of what it differs by from the start, after 1 to `steps`
            steps.
        start_slopes: d ln start / d ln width, by least squares.
        change_slopes: the same of changes. NaN where a size is zero or not finite.
    """

    widths: tuple[int, ...]
    starts: Float[np.ndarray, "widths layers"]
    changes: Float[np.ndarray, "steps widths layers"]
    start_slopes: Float[np.ndarray, " layers"]
    change_slopes: Float[np.ndarray, "steps layers"]


def width_scaling(
    make_network: Callable[[int], Network],
    draw: Callable[[PRNGKeyArray, Network], Params],
    make_optimizer: Callable[[int], optax.GradientTransformation],
    widths: Sequence[int],
    batch: ProbeBatch,
    *,
    steps: int = 3,
    draws: int = 4,
) -> WidthScaling:
    """Measure how outputs and their changes scale with the width of a network.

    Args:
        make_network: from a width to a traced network; all have as many layers.
        draw: (key, network) -> parameters, as any scheme that looks at no data.
        make_optimizer: from a width to an optimizer of optax, which may give each
            layer a rate of its own.
        widths: at least two, all different.
        batch: what all steps are taken on; its key is that of the draws, too.
        steps: taken from each start.
        draws: over which squares are averaged.

    Raises: UserError for fewer than two widths, one that comes twice, a count that is
        none, or networks that differ in their number of layers.
    Reference: Yang et al. 2022, arXiv:2203.03466, and `coord_check` of `mup`, which
    takes the mean absolute coordinate in the place of its root mean square.
    Cost: for each width and draw 2 · steps + 1 F and steps B, and a compilation for
    each width.

    Example:
        Two layers of ones: what the second gives grows with the width.

        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> found = width_scaling(
        ...     lambda n: trace(nn.Sequential([nn.Dense(n), nn.Dense(2)]), (1,)),
        ...     lambda key, net: jax.tree.map(jnp.ones_like, net.own_init(key)),
        ...     lambda width: optax.sgd(0.0),
        ...     [128, 256],
        ...     ProbeBatch(jnp.ones((2, 1)), jnp.arange(2), jax.random.key(0)),
        ... )
        >>> found.start_slopes.round(1).tolist()
        [0.0, 1.0]
    """
    check_count("steps", steps)
    check_count("draws", draws)
    networks = _networks(make_network, widths)
    found = [
        _of_width(network, draw, make_optimizer(width), batch, steps, draws)
        for width, network in zip(widths, networks, strict=True)
    ]
    starts = np.stack([start for start, _ in found])
    changes = np.stack([change for _, change in found], 1)
    return WidthScaling(
        widths=tuple(widths),
        starts=starts,
        changes=changes,
        start_slopes=log_slopes(widths, starts),
        change_slopes=np.stack([log_slopes(widths, one) for one in changes]),
    )


def _networks(
    make_network: Callable[[int], Network], widths: Sequence[int]
) -> list[Network]:
    """Make the networks, and check that slopes can be fitted to them."""
    if len(set(widths)) < max(2, len(widths)):
        raise UserError(
            f"widths={list(widths)} have no slope; give at least two, each once"
        )
    networks = [make_network(width) for width in widths]
    counts = sorted({len(network.layers) for network in networks})
    if counts[1:] or counts == [0]:
        raise UserError(
            f"the networks of widths {list(widths)} have {counts} layers; give a "
            "make_network that changes nothing but the width"
        )
    return networks


def log_slopes(
    widths: Sequence[int], sizes: Float[np.ndarray, "widths layers"]
) -> Float[np.ndarray, " layers"]:
    """Fit d ln size / d ln width by least squares, a column each.

    Args:
        widths: of the rows.
        sizes: above zero.

    Returns: NaN for a column in which one is not.

    Example:
        >>> log_slopes([1, 2, 4], np.array([[3.0, 0.0], [6.0, 1.0], [12.0, 1.0]]))
        array([ 1., nan])
    """
    known = np.isfinite(sizes).all(0) & (sizes > 0).all(0)
    logs = np.log(np.where(known, sizes, 1.0))
    places = np.log(np.asarray(widths, float))
    centred = places - places.mean()
    slopes = centred @ logs / (centred @ centred)
    return np.where(known, slopes, np.nan)


def _of_width(
    network: Network,
    draw: Callable[[PRNGKeyArray, Network], Params],
    optimizer: optax.GradientTransformation,
    batch: ProbeBatch,
    steps: int,
    draws: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Measure sizes of a network's outputs, and of their changes after each step."""
    key, state_key = jax.random.split(jax.random.clone(batch.key))
    state = network.model_state(state_key)
    members = [draw(own_key, network) for own_key in jax.random.split(key, draws)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)

    def outputs(params: Params) -> tuple[Array, ...]:
        own = jax.random.clone(batch.key)
        return layer_signals(network, params, state, batch.images, key=own).outputs

    def squares(values: tuple[Array, ...]) -> Array:
        return jnp.stack([jnp.mean(one.astype(jnp.float32) ** 2) for one in values])

    def of_one(params: Params) -> tuple[Array, Array]:
        loss = member_loss(network, Subject(params, state), batch)
        before = outputs(params)

        def step(carry: Any, _: None) -> Any:
            params, memory = carry
            updates, memory = optimizer.update(jax.grad(loss)(params), memory, params)
            params = cast(Params, optax.apply_updates(params, updates))
            moved = jax.tree.map(jnp.subtract, outputs(params), before)
            return (params, memory), squares(moved)

        first = (params, optimizer.init(params))
        return squares(before), lax.scan(step, first, length=steps)[1]

    # Changes are small differences: rounded factors would hide them on a GPU.
    with jax.default_matmul_precision("float32"):
        found = jax.jit(lambda members: lax.map(of_one, members))(stacked)
    start, change = (np.sqrt(np.mean(np.asarray(one), axis=0)) for one in found)
    return start, change
