"""How a population runs on the devices at hand: mesh, chunk width, convolution form.

The member axis is spread over all devices (`shard_map`); each device walks through
its members in chunks of `chunk_width` (`lax.map`), and inside a chunk members run
side by side (`vmap`). The chunk width is fixed before the first step and does not
depend on the number of devices, so results do not either.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

MEMBER = "member"


class Execution(NamedTuple):
    """How the members of a program run.

    Attributes:
        chunk_width: members that one device trains side by side.
        convolution: in `init_study.conv.FORMS`.
    """

    chunk_width: int
    convolution: str


def choose_execution(chunk_width: int | None, platform: str) -> Execution:
    """The given chunk width, or the default of the platform.

    On CPU one member at a time is fastest: `vmap` over kernels is a grouped
    convolution, which outgrows the caches. The width for accelerators is a guess
    that nothing has measured yet.
    """
    cpu = platform == "cpu"
    return Execution(
        chunk_width=chunk_width or (1 if cpu else 16),
        convolution="blocked" if cpu else "xla",
    )


def prepare_jax(cache_dir: str | os.PathLike[str] | None) -> None:
    """One XLA device per core on CPU, and compiled programs kept between runs.

    Takes effect only before JAX's first computation. `cache_dir=None` keeps nothing.
    """
    cores = len(os.sched_getaffinity(0))
    jax.config.update("jax_num_cpu_devices", cores)
    if cache_dir is not None:
        jax.config.update("jax_compilation_cache_dir", os.fspath(cache_dir))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def member_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """All devices (or the given ones) along the member axis."""
    return jax.make_mesh(
        (len(devices or jax.devices()),),
        (MEMBER,),
        axis_types=(AxisType.Auto,),
        devices=devices,
    )


def over_members(
    function: Callable[..., Any], mesh: Mesh, chunk_width: int
) -> Callable[..., Any]:
    """`function(member, *shared)` for a whole population.

    Args:
        function: from one member's leaves and what all members share to one
            member's result.
        mesh: of `member_mesh`.
        chunk_width: must divide the members of each device (`padded_size`).

    Returns: the same function of leaves with a leading member axis.
    """
    members, shared = PartitionSpec(MEMBER), PartitionSpec()

    def on_one_device(population: Any, *common: Any) -> Any:
        def one(member: Any) -> Any:
            return function(member, *common)

        width = None if chunk_width == 1 else chunk_width
        return lax.map(one, population, batch_size=width)

    def on_all_devices(population: Any, *common: Any) -> Any:
        specs = (members, *(shared for _ in common))
        mapped = jax.shard_map(
            on_one_device, mesh=mesh, in_specs=specs, out_specs=members, check_vma=False
        )
        return mapped(population, *common)

    return on_all_devices


def padded_size(members: int, mesh: Mesh, chunk_width: int) -> int:
    """The next multiple of devices × chunk width: every chunk is full, so that every
    member runs in a chunk of the same width."""
    full = mesh.size * chunk_width
    return -(-members // full) * full


def place_members(tree: Any, mesh: Mesh, chunk_width: int) -> Any:
    """Host leaves `[members, ...]` onto the devices, the last member repeated to fill
    the last chunks."""

    def place(leaf: Any) -> jax.Array:
        leaf = np.asarray(leaf)
        missing = padded_size(len(leaf), mesh, chunk_width) - len(leaf)
        padded = np.concatenate([leaf, np.repeat(leaf[-1:], missing, axis=0)])
        return jax.device_put(padded, NamedSharding(mesh, PartitionSpec(MEMBER)))

    return jax.tree.map(place, tree)


def place_shared(tree: Any, mesh: Mesh) -> Any:
    """The same leaves onto every device."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(
        lambda leaf: jax.device_put(jnp.asarray(leaf), everywhere), tree
    )


def fetch_members(tree: Any, members: int) -> Any:
    """Back to the host, `[members, ...]`, without the filling.

    Copies: on CPU a plain view would change when the device's buffer is donated.
    """
    return jax.tree.map(lambda leaf: np.array(leaf[:members]), tree)
