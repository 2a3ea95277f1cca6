"""How JAX is started: what deterministic kernels take, and where they are asked for."""

import os
from types import SimpleNamespace

import jax
import pytest
from absl import logging

from init_study.engine import devices

FLAG = "--xla_gpu_deterministic_ops"


@pytest.fixture
def said(monkeypatch):
    """What is logged as a warning."""
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *of: lines.append(text % of))
    return lines


def test_on_a_cpu_deterministic_kernels_change_nothing_and_it_is_said(
    monkeypatch, said
):
    """Not even the note of XLA's flags, by which runs are told apart."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    devices.prepare_jax(None, deterministic=True)
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=false"
    assert said == [
        "--deterministic changes nothing here: every kernel of a CPU gives the same "
        "bits each time"
    ]


def test_on_a_gpu_they_are_asked_for_whatever_was_asked_before(monkeypatch, said):
    monkeypatch.setenv("XLA_FLAGS", f"{FLAG}=false")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not devices.gives_same_bits()
    devices.prepare_jax(None, deterministic=True)
    assert devices.gives_same_bits()
    assert os.environ["XLA_FLAGS"] == f"{FLAG}=false {FLAG}=true"
    (line,) = said
    assert "1.6 times" in line


def test_unasked_nothing_is_set(monkeypatch, said):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    devices.prepare_jax(None)
    assert "XLA_FLAGS" not in os.environ and not said


def device(platform, version="", capability=None):
    """A device as JAX describes it."""
    client = SimpleNamespace(platform_version=version)
    return SimpleNamespace(
        platform=platform, client=client, compute_capability=capability
    )


@pytest.mark.parametrize(
    ("here", "settings"),
    [
        (device("cpu", "cpu"), ("float32", "float32", "float32")),
        (
            device("gpu", "PJRT C API\ncuda 12090", "9.0"),
            ("float32", "tensorfloat32", "BF16_BF16_F32"),
        ),
        # A V100 has neither; of AMD's nothing is known.
        (device("gpu", "cuda 12090", "7.0"), ("float32", "float32", "float32")),
        (device("gpu", "rocm 60300", "gfx942"), ("float32", "float32", "float32")),
        (device("tpu", "libtpu"), ("float32", "float32", "bfloat16")),
    ],
)
def test_a_precision_is_had_by_the_fastest_products_that_keep_it(here, settings):
    names = ("float32", "tf32", "bfloat16")
    found = [devices.arithmetic_on(here, name) for name in names]
    assert [one.precision for one in found] == list(names)
    assert tuple(one.setting for one in found) == settings
    for one in found:
        # JAX knows the setting.
        with jax.default_matmul_precision(one.setting):
            pass
