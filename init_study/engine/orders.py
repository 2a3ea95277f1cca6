"""The orders in which the seeds of a program see its training part."""

import functools
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Int

from init_study.data import batch_indices
from init_study.data.batches import Orders, epoch_order
from init_study.engine.devices import place_shared
from init_study.plan import ProgramPlan
from init_study.train import stream


def make_orders(
    plan: ProgramPlan, seeds: tuple[int, ...]
) -> tuple[Orders, Int[np.ndarray, " seeds"]]:
    """Make the orders in which seeds see the training part, and each seed's place."""
    ordered = _ordered(plan, seeds)
    streams = distinct(ordered)
    count = len(plan.dataset.train.labels)
    # On the host: a chip that computes would let the next block wait.
    host = jax.local_devices(backend="cpu")[0]

    # Of this epoch and the next one: a permutation of a million takes a while.
    @functools.lru_cache(maxsize=2 * len(streams))
    def of_epoch(place: int, epoch: int) -> np.ndarray:
        with jax.default_device(host):
            order = _epoch_order(jnp.int32(streams[place]), jnp.int32(epoch), count)
            return np.asarray(order)

    orders = Orders(of_epoch, len(streams), plan.program.batch_size, count)
    place_of = {seed: place for place, seed in enumerate(streams)}
    return orders, np.array([place_of[seed] for seed in ordered])


@partial(jax.jit, static_argnums=2)
def _epoch_order(seed: Array, epoch: Array, count: int) -> Array:
    return epoch_order(stream(seed, "order"), epoch, count)


def index_function(
    plan: ProgramPlan, mesh: Mesh, seeds: tuple[int, ...], places: int
) -> Callable[[int, int], Int[Array, "places most_steps batch"]]:
    """Make the function that finds the examples of some steps, on every device.

    Args:
        plan: of the program.
        mesh: of `member_mesh`.
        seeds: whose orders are asked for.
        places: for seeds, at least as many; those behind hold zeros. One compilation
            serves any number of seeds that has places.

    Returns: (first step, how many, at most `most_steps`) -> places of the examples;
        those of further steps are zeros.
    """
    count, size, most = (
        len(plan.dataset.train.labels),
        plan.program.batch_size,
        most_steps(plan),
    )
    ordered = _ordered(plan, seeds)
    padded = jnp.array(ordered + [0] * (places - len(ordered)), jnp.int32)

    def placed(first_step: int, steps: int) -> Array:
        numbers = map(jnp.int32, (len(ordered), first_step, steps))
        return place_shared(_indices(most, count, size, padded, *numbers), mesh)

    return placed


@partial(jax.jit, static_argnums=(0, 1, 2))
def _indices(
    most: int,
    count: int,
    size: int,
    padded: Int[Array, " places"],
    seeds: Int[Array, ""],
    first_step: Int[Array, ""],
    steps: Int[Array, ""],
) -> Int[Array, "places most_steps batch"]:
    def of_seed(place: Int[Array, ""], found: Array) -> Array:
        key = stream(padded[place], "order")
        own = batch_indices(key, first_step, most, count, size, steps)
        return found.at[place].set(own.astype(jnp.int32))

    none = jnp.zeros((len(padded), most, size), jnp.int32)
    return lax.fori_loop(0, seeds, of_seed, none)


def first_rows(
    plan: ProgramPlan, seeds: tuple[int, ...]
) -> Int[np.ndarray, "seeds batch"]:
    """Find the examples of each seed's first batch."""
    orders, stream_of_seed = make_orders(plan, seeds)
    return orders.rows(0)[stream_of_seed]


def most_steps(plan: ProgramPlan) -> int:
    """Find the most steps between two evaluations: what one call can take."""
    stops = (0, *plan.program.evaluation_steps())
    return max(b - a for a, b in itertools.pairwise(stops))


def _ordered(plan: ProgramPlan, seeds: tuple[int, ...]) -> list[int]:
    """List the seed that each distinct seed's order comes from."""
    return [plan.program.stream_seed("order", seed) for seed in distinct(seeds)]


def distinct(values: Iterable[Any]) -> list[Any]:
    """List different values in the order of their first appearance.

    Example:
        >>> distinct([3, 1, 3])
        [3, 1]
    """
    return list(dict.fromkeys(values))
