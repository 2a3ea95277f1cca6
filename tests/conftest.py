"""Strict JAX, checked shapes, two CPU devices and a cache of its own for every test."""

import sys
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

PACKAGE = Path(__file__).resolve().parents[1] / "init_study"
# Modules whose annotations are not checked; this must only shrink. A study takes one
# value for several and makes the types that it names of them, or refuses in one line.
UNCHECKED = {"study.description"}


def checked_modules():
    """All parts of the package, and of a part in which one is exempt the others."""
    for path in sorted(PACKAGE.iterdir()):
        exempt = [name for name in UNCHECKED if name.split(".")[0] == path.stem]
        files = sorted(path.glob("[!_]*.py")) if exempt else [path]
        for file in files:
            name = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
            if name not in UNCHECKED and not name.startswith("_"):
                yield f"init_study.{name}"


# The types and shapes that functions promise are checked in tests; users do not pay
# for it.
# A whole number will do for a float, as type checkers have it.
_BEARTYPE = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook([*checked_modules()], _BEARTYPE)

# Before JAX starts.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Tests neither read nor write the user's cache; the processes they start
    inherit this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    """What several tests compile alike is compiled once, as between runs of a user."""
    folder = tmp_path_factory.mktemp("compiled")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """The launcher in this process: exit code, standard output and standard error."""
    from init_study.cli import main

    # What it appends to Python's path is taken away again.
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words, cwd=tmp_path):
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = main(["launch.py", *map(str, words)])
        return code, *capsys.readouterr()

    return run
