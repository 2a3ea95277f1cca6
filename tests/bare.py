"""Python processes that find some installed packages only, as in a bare environment."""

import importlib.metadata
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from subprocess import CompletedProcess

from calling import finish
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def with_what_they_need(distributions: Iterable[str]) -> set[str]:
    """The distributions and, again and again, what they declare, without extras."""
    reached: set[str] = set()
    left = [canonicalize_name(name) for name in distributions]
    while left:
        name = left.pop()
        if name in reached:
            continue
        reached.add(name)
        try:
            declared = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for line in map(Requirement, declared):
            if line.marker is None or line.marker.evaluate({"extra": ""}):
                left.append(canonicalize_name(line.name))
    return reached


def all_but(distributions: Iterable[str]) -> list[str]:
    """Modules of all installed packages that no one of these needs."""
    allowed = with_what_they_need(distributions)
    return sorted(
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not allowed & {canonicalize_name(owner) for owner in owners}
        and module not in ("init_study", "benchmarks", "experiments")
        and module.isidentifier()
    )


def python(
    *arguments: str, without: Iterable[str], folder: Path, limit: float = 120
) -> CompletedProcess[str]:
    """Run Python where some modules do not import; in its children neither.

    Args:
        arguments: of `python`.
        without: the modules that do not import.
        folder: an empty one.
        limit: seconds.
    """
    lines = ["import sys", f"sys.modules.update(dict.fromkeys({list(without)!r}))"]
    (folder / "sitecustomize.py").write_text("\n".join(lines))
    return finish(
        [sys.executable, *arguments],
        limit=limit,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        },
    )
