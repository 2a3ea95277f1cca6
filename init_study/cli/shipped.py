"""The studies, claims and published results that come with init_study.

In a checkout they lie beside the package, in `experiments/`; a wheel holds the same
folder as `init_study/experiments`. Their modules are called `experiments.NAME` in both,
as studies of theirs call their models.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import init_study

_PACKAGE = "experiments"


def folder() -> Path:
    """Where the files of the studies lie."""
    package = Path(init_study.__file__).parent
    inside = package / "experiments"
    return inside if inside.is_dir() else package.parent / "experiments"


def experiment(name: str) -> ModuleType:
    """Import the package of this name in the folder: `article` or `published`."""
    if _PACKAGE not in sys.modules:
        spec = importlib.machinery.ModuleSpec(_PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(folder())]
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{_PACKAGE}.{name}")
