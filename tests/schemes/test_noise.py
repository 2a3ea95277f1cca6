"""Noise on top of a scheme, and Gaussian nets of two variances."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from scipy import stats

from init_study.errors import UserError
from init_study.instruments.symmetry import distinct_filters
from init_study.network import trace
from init_study.schemes import parse_scheme

NETWORK = trace(nn.Sequential([nn.Dense(50), nn.tanh, nn.Dense(40)]), (60,))


def drawn(text, seed=0):
    return parse_scheme(text)(jax.random.key(seed), NETWORK)


@pytest.mark.parametrize("size", [1e-8, 1e-4, 1e-2])
def test_a_little_noise_tells_all_filters_apart(size):
    """1e-8 is ten times the step between float32 numbers near 0.01."""
    params = drawn(f"noisy({size}, rest='constant(0.01)')")
    for layer in params.values():
        assert float(distinct_filters(layer["kernel"])) == 1
        found = np.std(np.asarray(layer["kernel"], np.float64) - 0.01)
        assert found == pytest.approx(size, rel=0.1)
        assert (layer["bias"] == 0).all()
    alike = drawn("constant(0.01)")
    assert round(50 * float(distinct_filters(alike["layers_0"]["kernel"]))) == 1


def test_noise_is_added_to_the_draws_of_the_rest_and_is_none_of_them():
    noisy, rest = drawn("noisy(0.5, rest='lecun_normal')"), drawn("lecun_normal")
    noise = [noisy[name]["kernel"] - rest[name]["kernel"] for name in rest]
    for values, name in zip(noise, rest, strict=True):
        assert stats.kstest(np.ravel(values), stats.norm(scale=0.5).cdf).pvalue > 0.001
        pair = np.corrcoef(np.ravel(values), np.ravel(rest[name]["kernel"]))
        assert abs(pair[0, 1]) < 4 / values.size**0.5
    first = min(values.size for values in noise)
    pair = np.corrcoef([np.ravel(values)[:first] for values in noise])
    assert abs(pair[0, 1]) < 4 / first**0.5


@pytest.mark.parametrize("text", ["noisy(0)", "noisy(-1.0)"])
def test_noise_needs_a_size(text):
    with pytest.raises(UserError, match="stddev="):
        parse_scheme(text)


def test_a_gaussian_net_has_biases_of_its_variance():
    biases = np.concatenate(
        [
            np.ravel(layer["bias"])
            for seed in range(30)
            for layer in drawn("gaussian(1.76, 0.05)", seed).values()
        ]
    )
    assert stats.kstest(biases, stats.norm(scale=0.05**0.5).cdf).pvalue > 0.001
    assert all((layer["bias"] == 0).all() for layer in drawn("gaussian(2)").values())


@pytest.mark.parametrize(
    ("text", "word"), [("gaussian(-1)", "sigma_w2=-1"), ("gaussian(1, -1)", "sigma_b2")]
)
def test_a_variance_is_not_negative(text, word):
    with pytest.raises(UserError, match=word):
        parse_scheme(text)
