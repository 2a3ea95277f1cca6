"""How the examples of a program come to the devices: all at once, or in time.

A set on the devices is gathered there by indices. Any other comes in blocks: of steps
for training, of examples for evaluation. Both give the same batches to the same steps.
"""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int

from init_study.data import Split
from init_study.data.batches import Orders
from init_study.data.feeds import (
    Examples,
    Feed,
    Resident,
    Streamed,
    from_resident,
    from_streamed,
)
from init_study.engine.devices import num_bytes, place_shared
from init_study.engine.layout import seed_places
from init_study.engine.orders import (
    distinct,
    first_rows,
    index_function,
    make_orders,
    most_steps,
)
from init_study.errors import extra
from init_study.plan import ProgramPlan
from init_study.train import EVALUATION_BATCH

# Of a block. The devices hold two of them, the host one more.
_BLOCK_BYTES = 64 * 2**20


class Feeding(NamedTuple):
    """What feeds the members of a program.

    Attributes:
        feed: takes the batch of a step out of what one call holds.
        shared: (first step) -> for calls from there on, what they hold and how many
            steps it is good for, one after the other.
        held: (`validation` or `test`) -> the examples of that part, block by block, and
            the places where they begin and end in a block.
        first: the first training batches of all seeds, one behind the other.
        first_steps: the places there of each seed's batch, and of spare seeds'.
    """

    feed: Feed
    shared: Callable[[int], Iterator[tuple[Any, int]]]
    held: Callable[[str], Iterator[tuple[Examples, int, int]]]
    first: Examples
    first_steps: Int[Array, "places batch"]


class Supply:
    """What calls take out of a feeding, one after the other."""

    def __init__(self, feeding: Feeding, first_step: int) -> None:
        self._blocks = feeding.shared(first_step)
        self._place = self._steps = 0
        self._shared: Any = None

    def take(self, most: int) -> tuple[Any, int, int]:
        """Take up to so many steps.

        Returns: what the call holds, the place of its first step in it, and how many
            steps are there.
        """
        if self._place == self._steps:
            # The devices have room for two blocks: let go before the next one comes.
            self._shared = None
            self._shared, self._steps = next(self._blocks)
            self._place = 0
        place, count = self._place, min(most, self._steps - self._place)
        self._place += count
        return self._shared, place, count


def make_feeding(plan: ProgramPlan, mesh: Mesh, seeds: tuple[int, ...]) -> Feeding:
    """Make what feeds the members of a program on the devices of `mesh`.

    Args:
        plan: of the program.
        mesh: of `member_mesh`.
        seeds: of the members.
    """
    return make_feeder(plan, mesh, seeds)(seeds)


def make_feeder(
    plan: ProgramPlan, mesh: Mesh, most: tuple[int, ...]
) -> Callable[[tuple[int, ...]], Feeding]:
    """Put a program's data on the devices of `mesh`, for one population after another.

    Args:
        plan: of the program.
        mesh: of `member_mesh`.
        most: seeds, at least as many as any of the populations has: with places for so
            many, all of them share their compiled programs.

    Returns: (seeds) -> what feeds the members of these.
    """
    make = _resident if plan.feed == "resident" else _streamed
    return make(plan, mesh, _seed_places(plan, most))


def feed_of(plan: ProgramPlan) -> Feed:
    """Find the function that takes a batch out of what one call holds."""
    return from_resident if plan.feed == "resident" else from_streamed


def feeding_shapes(plan: ProgramPlan, seeds: tuple[int, ...]) -> tuple[Any, int]:
    """Describe what one call holds, and count the bytes of all that a device holds.

    Nothing is read and nothing put on a device.
    """
    dataset, size = plan.dataset, plan.program.batch_size
    train, held = _shapes(plan, dataset.train), _shapes(plan, *_held_parts(plan))
    if plan.feed == "resident":
        shape = (_seed_places(plan, seeds), most_steps(plan), size)
        indices: Any = jax.ShapeDtypeStruct(shape, jnp.int32)
        return Resident(train, indices), num_bytes((train, held, indices))
    orders, stream_of_seed = make_orders(plan, seeds)
    leading = (orders.streams, _block_steps(plan, orders), size)

    def batches(leaf: Any) -> Any:
        return jax.ShapeDtypeStruct((*leading, *leaf.shape[1:]), leaf.dtype)

    slots: Any = jax.ShapeDtypeStruct((len(stream_of_seed),), jnp.int32)
    block = Streamed(
        batches(train.images), batches(train.labels), train.mean, train.std, slots
    )
    rows = num_bytes(train._replace(images=held.images, labels=held.labels))
    evaluated = rows * min(1, _block_rows(plan) / len(held.labels))
    return block, 2 * max(num_bytes(block), int(evaluated))


def _resident(
    plan: ProgramPlan, mesh: Mesh, places: int
) -> Callable[[tuple[int, ...]], Feeding]:
    train = _place(plan, plan.dataset.train, mesh)
    validation, test = _held_parts(plan)
    held = _place(plan, Split(*map(_join, zip(validation, test, strict=True))), mesh)
    border = len(validation.labels)
    bounds = {"validation": (0, border), "test": (border, len(held.labels))}

    def whole(part: str) -> Iterator[tuple[Examples, int, int]]:
        yield held, *bounds[part]

    def of_seeds(seeds: tuple[int, ...]) -> Feeding:
        indices = index_function(plan, mesh, seeds, places)

        def shared(first_step: int) -> Iterator[tuple[Resident, int]]:
            for stop in plan.program.evaluation_steps():
                if stop > first_step:
                    count = stop - first_step
                    yield Resident(train, indices(first_step, count)), count
                    first_step = stop

        first = _first(plan, mesh, seeds, places)
        return Feeding(from_resident, shared, whole, *first)

    return of_seeds


def _streamed(
    plan: ProgramPlan, mesh: Mesh, places: int
) -> Callable[[tuple[int, ...]], Feeding]:
    return lambda seeds: _streamed_to(plan, mesh, seeds, places)


def _streamed_to(
    plan: ProgramPlan, mesh: Mesh, seeds: tuple[int, ...], places: int
) -> Feeding:
    # Imported here because sets that are on the devices need no Grain.
    with extra("data"):
        from init_study.data.feeds.reading import row_blocks, step_blocks

    dataset = plan.dataset
    orders, stream_of_seed = make_orders(plan, seeds)
    mean, std, slots = place_shared(
        (dataset.mean, dataset.std, np.array(stream_of_seed, np.int32)), mesh
    )

    def put_steps(block: Split) -> Streamed:
        images, labels = place_shared((block.images, block.labels), mesh)
        return Streamed(images, labels, mean, std, slots)

    def put_rows(block: Split) -> Examples:
        images, labels = place_shared((block.images, block.labels), mesh)
        return Examples(images, labels, mean, std)

    def shared(first_step: int) -> Iterator[tuple[Streamed, int]]:
        length = _block_steps(plan, orders)
        last = plan.program.steps
        return step_blocks(dataset.train, orders, first_step, last, length, put_steps)

    def held(name: str) -> Iterator[tuple[Examples, int, int]]:
        part, length = getattr(dataset, name), _block_rows(plan)
        for block, count in row_blocks(part, length, put_rows):
            yield block, 0, count

    first = _first(plan, mesh, seeds, places)
    return Feeding(from_streamed, shared, held, *first)


def _seed_places(plan: ProgramPlan, seeds: tuple[int, ...]) -> int:
    """Choose for how many seeds there is place: first batches, and orders if held."""
    size = plan.program.batch_size
    orders = 4 * most_steps(plan) if plan.feed == "resident" else 0
    return seed_places(len(distinct(seeds)), size * (_image_bytes(plan) + orders))


def _first(
    plan: ProgramPlan, mesh: Mesh, seeds: tuple[int, ...], places: int
) -> tuple[Examples, Int[Array, "places batch"]]:
    rows, train = first_rows(plan, seeds), plan.dataset.train
    # Places without a seed repeat the first one's batch, and nobody looks there.
    rows = np.concatenate([rows, np.repeat(rows[:1], places - len(rows), axis=0)])
    few = Split(np.asarray(train.images[rows.ravel()]), train.labels[rows.ravel()])
    order = np.arange(rows.size, dtype=np.int32).reshape(rows.shape)
    return _place(plan, few, mesh), jnp.asarray(order)


def _held_parts(plan: ProgramPlan) -> tuple[Split, Split]:
    return plan.dataset.validation, plan.dataset.test


def _join(leaves: tuple[Any, Any]) -> np.ndarray:
    return np.concatenate([np.asarray(leaf) for leaf in leaves])


def _place(plan: ProgramPlan, split: Split, mesh: Mesh) -> Examples:
    images = np.asarray(split.images)
    leaves = (images, split.labels, plan.dataset.mean, plan.dataset.std)
    return place_shared(Examples(*map(jnp.asarray, leaves)), mesh)


def _shapes(plan: ProgramPlan, *parts: Split) -> Examples:
    """Describe the examples of some parts together, as they lie on a device."""
    count = sum(len(part.labels) for part in parts)

    def rows(leaf: Any, *leading: int) -> Any:
        kind = jax.dtypes.canonicalize_dtype(leaf.dtype)
        return jax.ShapeDtypeStruct((*leading, *leaf.shape[len(leading) :]), kind)

    one, dataset = parts[0], plan.dataset
    return Examples(
        rows(one.images, count),
        rows(one.labels, count),
        rows(dataset.mean),
        rows(dataset.std),
    )


def _block_steps(plan: ProgramPlan, orders: Orders) -> int:
    """Find how many steps make a block of training."""
    each = orders.streams * orders.batch_size * _image_bytes(plan)
    return max(1, min(plan.program.steps, _BLOCK_BYTES // each))


def _block_rows(plan: ProgramPlan) -> int:
    """Find how many examples make a block of evaluation: whole batches of it."""
    parts = [len(part.labels) for part in _held_parts(plan)]
    if sum(parts) <= EVALUATION_BATCH:
        return sum(parts)
    fitting = _BLOCK_BYTES // _image_bytes(plan) // EVALUATION_BATCH
    batches = min(max(1, fitting), -(-max(parts) // EVALUATION_BATCH))
    return batches * EVALUATION_BATCH


def _image_bytes(plan: ProgramPlan) -> int:
    images = plan.dataset.train.images
    return prod(images.shape[1:]) * images.dtype.itemsize
