"""What figures were measured on: the processor, and the versions of packages."""

import importlib.metadata
import platform
from pathlib import Path


def cpu_name() -> str:
    """Name the processor, by its model where Linux gives one."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str | None]:
    """Find the versions of what trains; None for what is not installed."""

    def version(package: str) -> str | None:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    return {name: version(name) for name in ("jax", "jaxlib", "flax", "torch")}
