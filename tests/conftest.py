"""Strict JAX, checked shapes, two CPU devices and a cache of their own in all tests."""

import sys

import jax
import jaxtyping
import pytest
import strict

strict.check_annotations("conv", "network", "train")
# Before JAX starts.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture(autouse=True)
def wrong_types(request, monkeypatch):
    """A test of what users hear who give wrong types is marked so."""
    if request.node.get_closest_marker("wrong_types"):
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


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
