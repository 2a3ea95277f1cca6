"""First steps that are too long, too short, lost or by chance, and twins of them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnosis.twins import found

from init_study.diagnosis.of_study import Training
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme

IMAGES = jax.random.normal(jax.random.key(6), (16, 12))
LABELS = jnp.arange(16) % 3


class Dense(nn.Module):
    """Two dense layers, in any type of parameters; noise that no key draws."""

    param_dtype: str = "float32"
    noise: bool = False

    @nn.compact
    def __call__(self, x):
        kinds = {"param_dtype": self.param_dtype, "dtype": "float32"}
        if self.noise:
            x = x + jax.pure_callback(_noise, jax.ShapeDtypeStruct((), jnp.float32))
        x = nn.relu(nn.Dense(16, **kinds)(x))
        return nn.Dense(3, **kinds)(x)


_RANDOM = np.random.default_rng(0)


def _noise():
    return np.float32(_RANDOM.normal())


def seen_of(scheme="he_normal", net=None, labels=LABELS, **training):
    return found(net or Dense(), scheme, IMAGES, labels, **training)


def sgd(rate, **training):
    return seen_of(**{"optimizer": "sgd", "learning_rate": rate, **training})


def adam(rate, **training):
    return seen_of(**{"optimizer": "adam", "learning_rate": rate, **training})


def test_without_a_training_nothing_is_said_of_it():
    ids = {
        *("rate-too-large", "rate-too-small", "long-first-step", "momentum-reach"),
        *("update-rounded-away", "no-warm-up", "not-repeatable"),
    }
    assert not ids & set(seen_of())


def test_a_rate_that_is_too_large_is_found_by_its_step():
    (far,) = sgd(1000.0)["rate-too-large"]
    assert far.severity == "warning"
    assert "--study.learning_rates=" in far.cure
    (broken,) = sgd(1e30)["rate-too-large"]
    assert broken.severity == "error"
    for rate in (0.001, 0.1):
        assert "rate-too-large" not in sgd(rate)
        assert "rate-too-large" not in adam(rate)
    (far,) = adam(100.0)["rate-too-large"]
    assert far.severity == "warning"
    # Losses of noise have no valley.
    assert "rate-too-large" not in sgd(1000.0, labels=None)


def test_a_rate_without_an_optimizer_counts_as_a_plain_step():
    (far,) = seen_of(learning_rate=1000.0)["rate-too-large"]
    assert far.severity == "warning"
    assert "rate-too-large" not in seen_of(learning_rate=0.1)


def test_a_rate_that_is_far_too_small_is_a_warning():
    (slow,) = sgd(1e-7)["rate-too-small"]
    assert slow.severity == "warning"
    assert slow.cure.startswith("--study.learning_rates=")
    assert "rate-too-small" not in sgd(1e-3)
    # On the way up to a peak that is not too small.
    assert "rate-too-small" not in sgd(1e-7, warmup=100_000)


def test_a_step_as_long_as_the_kernel_is_a_warning():
    steps = {rate: adam(rate).get("long-first-step", []) for rate in (0.001, 0.1, 1.0)}
    assert steps[0.001] == []
    assert {one.severity for one in steps[0.1]} == {"info"}
    assert {one.severity for one in steps[1.0]} == {"warning"}
    assert {one.place for one in steps[1.0]} == {"Dense_0", "Dense_1"}
    # A head of zeros, and one that is small on purpose, grow at first.
    here = adam(0.1, scheme="small_head(0.001)")["long-first-step"]
    assert {one.place for one in here} == {"Dense_0"}
    assert "long-first-step" not in adam(0.1, scheme="zero_head")


def test_updates_below_the_last_digit_are_lost():
    half = Dense(param_dtype="bfloat16")
    lost = sgd(1e-4, net=half)["update-rounded-away"]
    assert {one.severity for one in lost} == {"warning"}
    assert "bfloat16" in lost[0].evidence
    assert "update-rounded-away" not in sgd(1e-4)
    assert "update-rounded-away" not in sgd(1.0, net=half)


def test_momentum_adds_steps_up():
    (short,) = sgd(0.01, momentum=0.99, steps=50)["momentum-reach"]
    assert "100 steps, and there are 50" in short.evidence
    assert "momentum-reach" not in sgd(0.01, momentum=0.9, steps=50)
    (far,) = sgd(0.01, momentum=0.999, scheme="normal(1)")["momentum-reach"]
    assert far.severity == "info"
    assert "momentum-reach" not in sgd(0.001, momentum=0.99)


def test_a_head_of_zeros_wants_a_warm_up():
    (bare,) = sgd(0.1, scheme="zero_head", warmup=0)["no-warm-up"]
    assert bare.severity == "info"
    for twin in ({"warmup": 20}, {}, {"warmup": 0, "scheme": "he_normal"}):
        assert "no-warm-up" not in sgd(0.1, **{"scheme": "zero_head", **twin})


@pytest.mark.filterwarnings("ignore")
def test_what_draws_by_itself_is_not_repeatable():
    (one,) = seen_of(net=Dense(noise=True))["not-repeatable"]
    assert one.severity == "warning"
    assert "not-repeatable" not in seen_of()


def test_a_gpu_whose_kernels_nobody_asked_to_repeat_is_no_trap(monkeypatch):
    key = jax.random.key(0)
    scheme, batch = parse_scheme("he_normal"), Batch(IMAGES, LABELS)
    net = make_set_up(trace(Dense(), (12,), 3), scheme, batch, key, Training())
    for platform, flags, severity in (
        ("gpu", "", "info"),
        ("gpu", "--xla_gpu_deterministic_ops=true", "warning"),
        ("cpu", "", "warning"),
    ):
        monkeypatch.setattr(jax, "default_backend", lambda name=platform: name)
        monkeypatch.setenv("XLA_FLAGS", flags)
        seen = look_at(net, jax.random.clone(key))
        assert not [*TRAPS["not-repeatable"].look(seen)]
        (one,) = TRAPS["not-repeatable"].look(seen._replace(again=False))
        assert one.severity == severity
    assert "--xla_gpu_deterministic_ops=true" in TRAPS["not-repeatable"].cure
