"""Checksums of the code that a run was made by: this package's, and the user's own."""

import hashlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What a study names of the user's own: `module:NAME`.
_OWN = re.compile(r"\b([A-Za-z_][\w.]*):[A-Za-z_]")
# The fields of a study that may.
_NAMING = ("model", "activation", "output", "schemes")
_PACKAGE = "init_study"


def code_sums(study: Mapping[str, Any]) -> dict[str, str]:
    """Compute the checksums of this package's code and of the modules a study names.

    Nothing is imported: a module is the file that Python would find.

    Args:
        study: of `Study.to_dict`.

    Example:
        >>> list(code_sums({"model": ["cnn"]}))
        ['init_study']
    """
    folder = Path(__file__).parent
    ours = _sum_of(folder, sorted(folder.rglob("*.py")))
    named = str([study.get(field) for field in _NAMING])
    files = {name: _file_of(name) for name in sorted(set(_OWN.findall(named)))}
    own = {name: _sum_of(p.parent, [p]) for name, p in files.items() if p is not None}
    return {_PACKAGE: ours, **own}


def changed_modules(manifest: Mapping[str, Any]) -> list[str]:
    """List the modules of the user's own that are here and not what they were.

    Args:
        manifest: of a run.

    Example:
        >>> changed_modules({"code": {"init_study": "6d0abd16d9a5"}, "study": {}})
        []
    """
    there = manifest.get("code", {})
    here = code_sums(manifest["study"])
    return [
        name
        for name, own in here.items()
        if name != _PACKAGE and there.get(name, own) != own
    ]


def _file_of(name: str) -> Path | None:
    """Find the file of a module, as Python looks for it."""
    inside = Path(*name.split("."))
    for place in sys.path:
        for file in (inside / "__init__.py", inside.with_suffix(".py")):
            if (path := Path(place or ".") / file).is_file():
                return path
    return None


def _sum_of(folder: Path, paths: list[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.relative_to(folder).as_posix().encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
