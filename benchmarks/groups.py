"""Which ways share a process.

Ways with other settings (CPU devices, threads) never do.
"""

from collections.abc import Sequence
from typing import NamedTuple

JAX_WAYS = ("ours", "flax_loop", "flax_vmap", "flax_scan", "matmul")
TORCH_WAYS = (
    "torch_loop",
    "torch_processes",
    "torch_compile",
    "torch_func_vmap",
)
WAYS = (*JAX_WAYS, *TORCH_WAYS)
# Process contexts on one accelerator cost memory there and take turns anyway.
_MOST_PROCESSES_ON_AN_ACCELERATOR = 4


class Group(NamedTuple):
    """Ways, as `way` or `way/layout/threads`, that share `processes` processes."""

    ways: tuple[str, ...]
    threads: int
    processes: int


def make_groups(ways: Sequence[str], platform: str, cores: int) -> list[Group]:
    """Form the groups of the named ways, every variant of a way included.

    On CPU each JAX way has its own process, since the engine asks for one XLA device
    per core and the others for one. Elsewhere they share one: a TPU belongs to one
    process at a time.
    """
    jax_ways = tuple(way for way in JAX_WAYS if way in ways)
    alone = platform == "cpu"
    groups = [Group((way,), 1, 1) for way in jax_ways] if alone else []
    if jax_ways and not alone:
        groups.append(Group(jax_ways, 1, 1))
    layouts = ("nchw", "channels_last")
    if "torch_loop" in ways:
        for threads in sorted({1, cores}):
            names = tuple(f"torch_loop/{layout}/{threads}" for layout in layouts)
            groups.append(Group(names, threads, 1))
    count = cores if alone else min(cores, _MOST_PROCESSES_ON_AN_ACCELERATOR)
    for way in ("torch_processes", "torch_compile"):
        if way in ways:
            names = tuple(f"{way}/{layout}/1" for layout in layouts)
            groups.append(Group(names, 1, count))
    if "torch_func_vmap" in ways:
        for threads in sorted({1, cores}):
            groups.append(Group((f"torch_func_vmap/nchw/{threads}",), threads, 1))
    return groups
