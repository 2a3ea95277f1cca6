"""Functions of one member for a whole population, on all devices.

The member axis is spread over all devices (`shard_map`); each device walks through
its members in chunks of `chunk_width`, and inside a chunk members run side by side
(`vmap`). The chunk width is fixed before the first step and does not depend on the
number of devices, so results do not either. How many chunks are walked through is
traced: one compiled program serves every number of members that its places hold.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import jaxpr_as_fun
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
        chunk_width: must divide the places of each device (`padded_size`).

    Returns: the same function of leaves with a leading member axis, and of
        `chunks=`, how many of each device's are computed; by default all. The results
        of the others are zeros.
    """

    def on_one_device(population: Any, chunks: Array | None, *common: Any) -> Any:
        places = len(jax.tree.leaves(population)[0])
        member = jax.tree.map(lambda leaf: leaf[0], population)
        # Traced once, for the shapes of its results and for its equations.
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(member, *common)
        results, structure = jax.tree.flatten(shapes)
        compute, rest = jaxpr_as_fun(traced), jax.tree.leaves(common)

        def one(_: Any, member: Any) -> Any:
            return compute(*jax.tree.leaves(member), *rest)

        zeros = [jnp.zeros((places, *leaf.shape), leaf.dtype) for leaf in results]
        found = _walk(one, zeros, population, chunks, chunk_width)
        return jax.tree.unflatten(structure, found)

    return _on_all_devices(on_one_device, mesh)


def update_members(
    function: Callable[..., Any], mesh: Mesh, chunk_width: int
) -> Callable[..., Any]:
    """Map `(state, constants), *shared -> state` over a population, in place.

    Each chunk is written back over what it was read from: a donated population is
    held once, not twice. Arguments are those of `over_members`; states whose chunks are
    not computed stay as they are.
    """

    def on_one_device(population: Any, chunks: Array | None, *common: Any) -> Any:
        states, constants = population

        def one(state: Any, constant: Any) -> Any:
            return function((state, constant), *common)

        return _walk(one, states, constants, chunks, chunk_width)

    return _on_all_devices(on_one_device, mesh)


def _walk(
    one: Callable[[Any, Any], Any],
    written: Any,
    read: Any,
    chunks: Array | None,
    chunk_width: int,
) -> Any:
    """Replace `written` by `one(written, read)`, chunk by chunk from the first on."""
    # One member needs no vmap, which would make its convolutions grouped ones.
    side_by_side = jax.vmap(one) if chunk_width > 1 else _alone(one)

    def chunk(index: Array, written: Any) -> Any:
        start = index * chunk_width

        def take(leaf: Array) -> Array:
            return lax.dynamic_slice_in_dim(leaf, start, chunk_width)

        def put(leaf: Array, new: Array) -> Array:
            return lax.dynamic_update_slice_in_dim(leaf, new, start, 0)

        taken = jax.tree.map(take, (written, read))
        return jax.tree.map(put, written, side_by_side(*taken))

    if chunks is None:
        chunks = jnp.int32(len(jax.tree.leaves(read)[0]) // chunk_width)
    return lax.fori_loop(0, chunks, chunk, written)


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do what `jax.vmap(function)` does, over an axis of size 1."""

    def of_one(*trees: Any) -> Any:
        result = function(*jax.tree.map(lambda leaf: leaf[0], trees))
        return jax.tree.map(lambda leaf: leaf[None], result)

    return of_one


def _on_all_devices(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    members, shared = PartitionSpec(MEMBER), PartitionSpec()

    def on_all(population: Any, *common: Any, chunks: Array | None = None) -> Any:
        specs = (members, shared, *(shared for _ in common))
        mapped = jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=members, check_vma=False
        )
        return mapped(population, chunks, *common)

    return on_all
