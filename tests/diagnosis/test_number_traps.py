"""Means, tails and types of numbers, and twins without."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from diagnosis.twins import IMAGES, found, places

from init_study.initializers import he_normal, uniform

ROWS = IMAGES.reshape(8, -1)
HE = he_normal()
ZEROS = nn.initializers.zeros


class Biased(nn.Module):
    """A hidden layer with laws of its own, and a head."""

    law: object = HE
    bias: object = ZEROS
    kind: object = jnp.float32

    @nn.compact
    def __call__(self, x):
        hidden = nn.Dense(
            8,
            kernel_init=self.law,
            bias_init=self.bias,
            param_dtype=self.kind,
            dtype=jnp.float32,
        )
        return nn.Dense(3, kernel_init=HE)(nn.tanh(hidden(x)))


def found_of(**fields):
    return found(Biased(**fields), "module", images=ROWS)


def in_bfloat16(key, shape, dtype=jnp.float32):
    return (jax.random.normal(key, shape, jnp.bfloat16) * 0.1).astype(dtype)


def with_one_large(key, shape, dtype=jnp.float32):
    return HE(key, shape, dtype).at[0, 0].set(10.0)


@pytest.fixture(scope="module")
def healthy():
    return found_of()


def test_one_sided_draws(healthy):
    (one,) = found_of(law=nn.initializers.uniform(0.2))["one-sided"]
    assert (one.place, one.severity) == ("Dense_0/kernel", "warning")
    assert "one-sided" not in healthy
    assert "one-sided" not in found_of(law=uniform(0.2))


def test_one_weight_above_all(healthy):
    (one,) = found_of(law=with_one_large)["outliers"]
    assert one.place == "Dense_0/kernel" and "1 of 576" in one.evidence
    assert "outliers" not in healthy


def test_draws_in_bfloat16(healthy):
    (one,) = found_of(law=in_bfloat16)["coarse-draws"]
    assert one.place == "Dense_0/kernel" and one.severity == "warning"
    assert "coarse-draws" not in healthy
    # Cast from single precision they have as many values as the type allows.
    cast = found_of(kind=jnp.bfloat16)
    assert "coarse-draws" not in cast and cast["low-precision"][0].severity == "info"
    assert "low-precision" not in healthy


def test_too_small_for_float16(healthy):
    small = nn.initializers.normal(1e-5)
    assert places(found_of(law=small, kind=jnp.float16)["float16-underflow"]) == [
        "Dense_0/kernel"
    ]
    assert "float16-underflow" not in found_of(kind=jnp.float16)
    assert "float16-underflow" not in healthy


def test_biases_beside_the_signal(healthy):
    (one,) = found_of(bias=nn.initializers.normal(0.5))["random-biases"]
    assert (one.place, one.severity) == ("Dense_0/bias", "info")
    assert not {"random-biases", "lost-in-rounding"} & set(healthy)
    lost = found_of(bias=nn.initializers.normal(1e-9))
    assert places(lost["lost-in-rounding"]) == ["Dense_0/bias"]
    assert "random-biases" not in lost
