"""How JAX is started: what deterministic kernels take, and where they are asked for."""

import os

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
