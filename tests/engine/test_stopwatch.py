"""What a run spends its time on is told apart, and adds up."""

import time

import jax
import jax.numpy as jnp
import pytest

from init_study.engine.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_compiling_is_no_part_of_what_it_is_compiled_for(clock):
    with Stopwatch() as watch:
        with watch.timed("training"):
            clock[0] += 7
            jax.monitoring.record_event_duration_secs(
                "/jax/core/compile/backend_compile_duration", 5.0
            )
        with watch.timed("training"):
            clock[0] += 1
        with watch.timed("saving"):
            clock[0] += 0.5
    assert watch.spent() == {"compiling": 5.0, "training": 3.0, "saving": 0.5}


def test_what_raises_is_counted_all_the_same(clock):
    with Stopwatch() as watch:
        with pytest.raises(ZeroDivisionError), watch.timed("drawing"):
            clock[0] += 2
            1 / 0  # noqa: B018
        assert watch.spent()["drawing"] == 2


def test_a_watch_that_is_over_hears_nothing():
    with Stopwatch() as watch:
        jax.jit(lambda x: x * 3)(jnp.ones(7)).block_until_ready()
    heard = watch.spent()["compiling"]
    jax.jit(lambda x: x * 4)(jnp.ones(8)).block_until_ready()
    assert watch.spent()["compiling"] == heard > 0
