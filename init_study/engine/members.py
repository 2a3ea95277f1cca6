"""Functions of one member for a whole population, on all devices.

The member axis is spread over all devices (`shard_map`); each device walks through
its members in chunks of `chunk_width` (`lax.map`), and inside a chunk members run
side by side (`vmap`). The chunk width is fixed before the first step and does not
depend on the number of devices, so results do not either.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array

from init_study.engine.devices import MEMBER


def over_members(
    function: Callable[..., Any], mesh: Mesh, chunk_width: int
) -> Callable[..., Any]:
    """Map `function(member, *shared)` over a whole population.

    Args:
        function: from one member's leaves and what all members share to one
            member's result.
        mesh: of `member_mesh`.
        chunk_width: must divide the members of each device (`padded_size`).

    Returns: the same function of leaves with a leading member axis.
    """

    def on_one_device(population: Any, *common: Any) -> Any:
        def one(member: Any) -> Any:
            return function(member, *common)

        width = None if chunk_width == 1 else chunk_width
        return lax.map(one, population, batch_size=width)

    return _on_all_devices(on_one_device, mesh)


def update_members(
    function: Callable[..., Any], mesh: Mesh, chunk_width: int
) -> Callable[..., Any]:
    """Map `(state, constants), *shared -> state` over a population, in place.

    Each chunk is written back over what it was read from: a donated population is
    held once, not twice. Arguments are those of `over_members`.
    """

    def on_one_device(population: Any, *common: Any) -> Any:
        states, constants = population

        def one(state: Any, constant: Any) -> Any:
            return function((state, constant), *common)

        # One member needs no vmap, which would make its convolutions grouped ones.
        side_by_side = jax.vmap(one) if chunk_width > 1 else _alone(one)

        def chunk(index: Array, states: Any) -> Any:
            start = index * chunk_width

            def take(leaf: Array) -> Array:
                return lax.dynamic_slice_in_dim(leaf, start, chunk_width)

            def put(leaf: Array, new: Array) -> Array:
                return lax.dynamic_update_slice_in_dim(leaf, new, start, 0)

            taken = jax.tree.map(take, (states, constants))
            return jax.tree.map(put, states, side_by_side(*taken))

        members = len(jax.tree.leaves(constants)[0])
        return lax.fori_loop(0, members // chunk_width, chunk, states)

    return _on_all_devices(on_one_device, mesh)


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do what `jax.vmap(function)` does, over an axis of size 1."""

    def of_one(*trees: Any) -> Any:
        result = function(*jax.tree.map(lambda leaf: leaf[0], trees))
        return jax.tree.map(lambda leaf: leaf[None], result)

    return of_one


def _on_all_devices(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    members, shared = PartitionSpec(MEMBER), PartitionSpec()

    def on_all(population: Any, *common: Any) -> Any:
        specs = (members, *(shared for _ in common))
        mapped = jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=members, check_vma=False
        )
        return mapped(population, *common)

    return on_all
