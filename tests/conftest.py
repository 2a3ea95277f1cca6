"""Two CPU devices for every test, whatever the machine has, and a cache of its own."""

import sys

import jax
import pytest
from jaxtyping import install_import_hook

# The shapes that pure functions promise are checked in tests; users do not pay for it.
_PURE = ("conv", "network", "train")
install_import_hook([f"init_study.{name}" for name in _PURE], "beartype.beartype")

# Before JAX starts.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_debug_key_reuse", True)


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
