"""How a population runs on the devices at hand: mesh, chunk width, convolution form.

The member axis is spread over all devices (`shard_map`); each device walks through
its members in chunks of `chunk_width` (`lax.map`), and inside a chunk members run
side by side (`vmap`). The chunk width is fixed before the first step and does not
depend on the number of devices, so results do not either.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from init_study.conv import FORMS, default_form
from init_study.errors import UserError, unknown

MEMBER = "member"
_GROUP = "/sys/fs/cgroup/memory."


class Execution(NamedTuple):
    """How the members of a program run.

    Attributes:
        chunk_width: members that one device trains side by side.
        convolution: in `init_study.conv.FORMS`.
    """

    chunk_width: int
    convolution: str

    def __str__(self) -> str:
        return f"{self.convolution}/{self.chunk_width}"


def parse_execution(text: str) -> Execution:
    """From `FORM/WIDTH`, e.g. `winograd/1`.

    Raises: UserError for a form that is not there or a width below 1.
    """
    form, _, width = text.partition("/")
    if form not in FORMS:
        raise unknown(
            "execution", text, FORMS, f"{', '.join(FORMS)}, each as FORM/WIDTH"
        )
    if not (width.isdecimal() and int(width) >= 1):
        wrong = f"the chunk width {width!r}" if width else "no chunk width"
        raise UserError(
            f"execution {text!r} has {wrong}; give FORM/WIDTH with a whole number of "
            f"at least 1, e.g. {form}/1"
        )
    return Execution(int(width), form)


def default_execution(
    chunk_width: int | None, platform: str, members: int
) -> Execution:
    """What runs where nothing has been measured.

    On CPU one member at a time is fastest: `vmap` over kernels is a grouped
    convolution, which outgrows the caches. The width for accelerators is a guess.

    Args:
        chunk_width: the given one, if any.
        platform: of `jax.default_backend`.
        members: in all.
    """
    width = 1 if platform == "cpu" else min(16, max(1, members))
    return Execution(chunk_width or width, default_form(platform))


def candidates(
    chunk_width: int | None, platform: str, members: int
) -> tuple[Execution, ...]:
    """What is worth timing, the default first.

    XLA's own gradients are left out on CPU: inside a loop they are a hundred times
    slower; canonical ones are level with blocked ones at best. A given chunk width
    stays as it is; others are no wider than there are members on a device, which
    would compute the rest for nothing.

    Args:
        chunk_width: the given one, if any.
        platform: of `jax.default_backend`.
        members: on one device.
    """
    first = default_execution(chunk_width, platform, members)
    cpu = platform == "cpu"
    forms = ("winograd", "blocked") if cpu else ("xla", "canonical")
    widths = (1, 4) if cpu else (1, 4, 16, 64, 256)
    narrow = [width for width in widths if width <= max(members, 1)]
    kept = [chunk_width] if chunk_width else narrow
    rest = [Execution(width, form) for width in kept for form in forms]
    return (first, *(one for one in rest if one != first))


def prepare_jax(cache_dir: str | os.PathLike[str] | None) -> None:
    """One XLA device per core on CPU, and compiled programs kept between runs.

    Takes effect only before JAX's first computation. `cache_dir=None` keeps nothing.
    """
    jax.config.update("jax_num_cpu_devices", _cores())
    if cache_dir is not None:
        jax.config.update("jax_compilation_cache_dir", os.fspath(cache_dir))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _cores() -> int:
    """That this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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

    def on_one_device(population: Any, *common: Any) -> Any:
        def one(member: Any) -> Any:
            return function(member, *common)

        width = None if chunk_width == 1 else chunk_width
        return lax.map(one, population, batch_size=width)

    return _on_all_devices(on_one_device, mesh)


def update_members(
    function: Callable[..., Any], mesh: Mesh, chunk_width: int
) -> Callable[..., Any]:
    """`over_members` for a function `(state, constants), *shared -> state`, in place.

    Each chunk is written back over what it was read from: a donated population is
    held once, not twice.
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
    """`jax.vmap(function)` over an axis of size 1."""

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


def bytes_per_device(platform: str) -> int | None:
    """What one device may hold, or None where nobody says.

    CPU devices share what the host, or the control group this process is in, has
    left.
    """
    if platform != "cpu":
        stats = jax.local_devices()[0].memory_stats() or {}
        return stats.get("bytes_limit")
    limits = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        available = Path("/proc/meminfo").read_text().split("MemAvailable:")[1]
        limits.append(int(available.split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):
        most, used = (
            int(Path(_GROUP + name).read_text()) for name in ("max", "current")
        )
        limits.append(max(0, most - used))
    return min(limits) // jax.local_device_count() if limits else None


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
    on_host = jax.device_get(tree)
    return jax.tree.map(lambda leaf: np.array(leaf[:members]), on_host)
