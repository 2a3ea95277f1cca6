"""Strict JAX, checked shapes, two CPU devices and a cache of their own in all tests."""

import sys
from pathlib import Path

import fast
import jax
import pytest
import strict

strict.check_annotations()
# Before JAX starts.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_debug_key_reuse", True)
strict.excuse_others()


TESTS = Path(__file__).parent


def pytest_ignore_collect(collection_path, config):
    """In the fast lane files without a fast test are not imported."""
    lane = config.option.markexpr == "fast" and collection_path.suffix == ".py"
    return (lane and _below_tests(collection_path) not in fast.FAST) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("error"))
        slow = item.get_closest_marker("slow")
        if not slow and fast.is_fast(_below_tests(item.path), item.name):
            item.add_marker(pytest.mark.fast)


def _below_tests(path):
    return path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Before the fixtures of a test."""
    strict.hold(types=item.get_closest_marker("wrong_types") is None)


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
