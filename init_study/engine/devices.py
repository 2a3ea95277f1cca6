"""The devices at hand: how JAX starts on them, what they hold, what is put there."""

import contextlib
import os
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from init_study.errors import UserError
from init_study.host import available_bytes, cache_home, usable_cores
from init_study.network import Arithmetic
from init_study.store.compiled import watch_compiled

MEMBER = "member"
_DETERMINISTIC = "--xla_gpu_deterministic_ops"


def prepare_jax(
    cache_dir: str | os.PathLike[str] | None, *, deterministic: bool = False
) -> None:
    """Use one XLA device per core on CPU, and keep compiled programs between runs.

    Takes effect only before JAX's first computation.

    Args:
        cache_dir: where compiled programs are kept; None keeps nothing, and so does a
            folder that everybody may write to.
        deterministic: whether a GPU is to have only kernels that give the same bits
            each time. Others do so unasked.

    Raises: UserError if there is none of the devices that `JAX_PLATFORMS` asks for.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if deterministic:
        os.environ["XLA_FLAGS"] = f"{given} {_DETERMINISTIC}=true".strip()
    # JAX refuses once it has begun to compute, as in a notebook.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", usable_cores())
    if cache_dir is not None and watch_compiled(Path(cache_dir)):
        jax.config.update("jax_compilation_cache_dir", os.fspath(cache_dir))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    try:
        jax.devices()
    # JAX asserts that a platform which it knows, and is asked for alone, is there.
    except (RuntimeError, AssertionError) as error:
        asked = os.environ.get("JAX_PLATFORMS", "")
        reason = (str(error).splitlines() or ["there is no such device here"])[0]
        raise UserError(
            f"JAX cannot compute with JAX_PLATFORMS={asked}: {reason}; set it to cpu, "
            "or unset it for what is there"
        ) from error
    if deterministic:
        _say_what_it_costs(given)


def see_accelerator(number: int | None) -> None:
    """Leave one GPU of this host to this process, where each has a process of its own.

    Takes effect only before JAX looks for devices.

    Args:
        number: of the GPU, from 0; None for all.
    """
    if number is not None:
        for platform in ("cuda", "rocm"):
            jax.config.update(f"jax_{platform}_visible_devices", str(number))


def _say_what_it_costs(flags_before: str) -> None:
    """Say what deterministic kernels come to, and forget about them off a GPU.

    Flags that change nothing there would set a run apart from one without them.
    """
    if jax.default_backend() == "gpu":
        logging.warning(
            "deterministic kernels: every run gives the same bits, and takes longer; "
            "a small CNN took 1.6 times as long on an H100 (docs/why/execution.md)"
        )
        return
    os.environ["XLA_FLAGS"] = flags_before
    logging.warning(
        "--deterministic changes nothing here: every kernel of a %s gives the same "
        "bits each time",
        jax.default_backend().upper(),
    )


def compiled_folder(cache_dir: str | None) -> Path | None:
    """Say where compiled programs are kept between runs.

    Args:
        cache_dir: the cache; None for the user's own, empty to keep nothing.

    Example:
        >>> compiled_folder("mine").as_posix()
        'mine/compiled'
    """
    if cache_dir == "":
        return None
    place = Path(os.path.expanduser(cache_dir)) if cache_dir else cache_home()
    return place / "compiled"


def idle_cores() -> int:
    """Count the cores for which JAX has no device, having begun before `prepare_jax`.

    Example:
        >>> idle_cores() >= 0
        True
    """
    if jax.default_backend() != "cpu":
        return 0
    return max(0, usable_cores() - jax.local_device_count())


def member_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Lay this process's devices (or the given ones) along the member axis.

    Never those of other processes: members do not speak to one another, so nothing is
    to wait for another host.
    """
    devices = jax.local_devices() if devices is None else devices
    return jax.make_mesh(
        (len(devices),), (MEMBER,), axis_types=(AxisType.Auto,), devices=devices
    )


def describe_devices() -> list[str]:
    """Count the devices of each kind, e.g. `2 × cpu cpu`."""
    kinds = [f"{d.platform} {d.device_kind}" for d in jax.local_devices()]
    return [f"{kinds.count(kind)} × {kind}" for kind in dict.fromkeys(kinds)]


def device_kind() -> str:
    """Name the kind of the devices, e.g. `cpu cpu`."""
    return describe_devices()[0].partition(" × ")[2]


def arithmetic_here(precision: str | None) -> Arithmetic | None:
    """Say by which of the devices' products a precision is had here.

    Args:
        precision: in `study.PRECISIONS`; None for the devices' own.

    Example:
        >>> arithmetic_here("float32"), arithmetic_here(None)
        (Arithmetic(precision='float32', setting='float32'), None)
    """
    if precision is None:
        return None
    return arithmetic_on(jax.local_devices()[0], precision)


def arithmetic_on(device: Any, precision: str) -> Arithmetic:
    """Say which of a device's products keep all bits of a precision: the fastest.

    Args:
        device: of JAX.
        precision: in `study.PRECISIONS`.

    Example:
        >>> arithmetic_on(jax.devices("cpu")[0], "tf32").setting
        'float32'
    """
    if device.platform == "tpu" and precision == "bfloat16":
        return Arithmetic(precision, "bfloat16")
    is_nvidia = "cuda" in device.client.platform_version.lower()
    # Ampere is the first that has them. What AMD's do with TF32 is not known here.
    has_units = is_nvidia and float(device.compute_capability) >= 8
    # Of matrix products alone: JAX gives convolutions TF32 there.
    of_nvidia = {"tf32": "tensorfloat32", "bfloat16": "BF16_BF16_F32"}
    setting = of_nvidia.get(precision) if has_units else None
    return Arithmetic(precision, setting or "float32")


def gives_same_bits() -> bool:
    """Whether XLA's kernels give the same bits each time: all but a GPU's do unasked.

    Example:
        >>> gives_same_bits() or jax.default_backend() == "gpu"
        True
    """
    if jax.default_backend() != "gpu":
        return True
    given = os.environ.get("XLA_FLAGS", "").split()
    values = [flag.partition("=")[2] for flag in given if _DETERMINISTIC in flag]
    # The last one counts; a name alone is yes.
    return bool(values) and values[-1].lower() in ("", "true", "1")


def bytes_per_device(platform: str) -> int | None:
    """Find how many bytes one device may hold, or None where nobody says.

    CPU devices share what the host, or the control group this process is in, has
    left.
    """
    if platform != "cpu":
        stats = jax.local_devices()[0].memory_stats() or {}
        return stats.get("bytes_limit")
    room = available_bytes()
    return None if room is None else room // jax.local_device_count()


def padded_size(members: int, mesh: Mesh, chunk_width: int) -> int:
    """Round members up to the next multiple of devices × chunk width.

    Every chunk is then full, so that every member runs in a chunk of the same width.
    """
    full = mesh.size * chunk_width
    return -(-members // full) * full


def place_members(tree: Any, mesh: Mesh, chunk_width: int) -> Any:
    """Put host leaves `[members, ...]` onto the devices.

    The last member is repeated to fill the last chunks.
    """

    def place(leaf: Any) -> jax.Array:
        leaf = np.asarray(leaf)
        missing = padded_size(len(leaf), mesh, chunk_width) - len(leaf)
        padded = np.concatenate([leaf, np.repeat(leaf[-1:], missing, axis=0)])
        return put_on_members(padded, mesh)

    return jax.tree.map(place, tree)


def put_on_members(leaf: np.ndarray, mesh: Mesh) -> jax.Array:
    """Spread the leading axis of a host array over all devices; they divide it."""
    return jax.device_put(leaf, NamedSharding(mesh, PartitionSpec(MEMBER)))


def place_shared(tree: Any, mesh: Mesh) -> Any:
    """Put the same leaves onto every device."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(
        lambda leaf: jax.device_put(jnp.asarray(leaf), everywhere), tree
    )


def fetch_members(tree: Any, members: int) -> Any:
    """Fetch leaves `[members, ...]` back to the host, without the filling.

    Copies: on CPU a plain view would change when the device's buffer is donated.
    """
    on_host = jax.device_get(tree)
    return jax.tree.map(lambda leaf: np.array(leaf[:members]), on_host)


def num_bytes(tree: Any) -> int:
    """Count the bytes of all leaves, or of what has their shapes.

    Example:
        >>> num_bytes({"kernel": np.zeros((3, 4), np.float32)})
        48
    """
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape")]
    return sum(prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
