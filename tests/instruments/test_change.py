"""What has changed since the start is what was changed by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.instruments.instrument import ProbeBatch, Subject, take_measures
from init_study.instruments.kernels import kernel_change, kernel_turn
from init_study.instruments.table import INSTRUMENTS
from init_study.network import trace

IMAGES = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.3, 1.0]])
BATCH = ProbeBatch(
    jnp.float32(IMAGES.reshape(4, 1, 1, 2)),
    jnp.array([0, 1, 0, 1]),
    jax.random.key(0),
)


class Hidden(nn.Module):
    @nn.compact
    def __call__(self, images):
        flat = images.reshape(len(images), -1)
        hidden = jax.nn.relu(nn.Dense(2, use_bias=False, name="first")(flat))
        smooth = jnp.tanh(nn.Dense(2, use_bias=False, name="second")(hidden))
        return nn.Dense(2, use_bias=False, name="last")(smooth)


NETWORK = trace(Hidden(), (1, 1, 2))


def member(first, second, last):
    kernels = {"first": first, "second": second, "last": last}
    return {n: {"kernel": jnp.float32([k])} for n, k in kernels.items()}


EYE, TURN = [[1.0, 0.0], [0.0, 1.0]], [[0.0, -1.0], [1.0, 0.0]]
START = member(EYE, EYE, EYE)


def read(name, now, start):
    row = {name: INSTRUMENTS[name]}
    return take_measures(row, NETWORK, Subject(now, {}, start), BATCH)[name]


def test_movement_is_that_of_a_quarter_turn_and_of_a_stretch():
    now = member(TURN, [[3.0, 0.0], [0.0, 3.0]], EYE)
    found = read("movement", now, START)
    np.testing.assert_allclose(found["ratio"], [[2**0.5, 2, 0]], rtol=1e-5)
    np.testing.assert_allclose(found["cosine"], [[0, 1, 1]], atol=1e-6)
    # The squares of the changes are 4, 8 and 0, those of the start 2 each.
    np.testing.assert_allclose(found["whole_ratio"], [(12 / 6) ** 0.5], rtol=1e-5)


def test_gates_are_counted_where_there_are_rectifiers():
    """The images (x, y) gave x > 0 and y > 0, and give y > 0 and −x > 0."""
    found = read("movement", member(TURN, EYE, EYE), START)
    before = IMAGES > 0
    after = np.stack([IMAGES[:, 1], -IMAGES[:, 0]], 1) > 0
    share = np.mean(before != after)
    assert 0 < share < 1
    np.testing.assert_allclose(found["gates"], [[share, np.nan, np.nan]], rtol=1e-6)


@pytest.mark.parametrize("start", [None, START])
def test_nothing_has_moved_at_the_start(start):
    found = read("movement", START, start)
    assert found["ratio"].tolist() == [[0, 0, 0]]
    assert found["cosine"].tolist() == [[1, 1, 1]]
    assert found["whole_ratio"].tolist() == [0]
    np.testing.assert_array_equal(found["gates"], [[0, np.nan, np.nan]])


class Line(nn.Module):
    """A net whose two layers are linear: its kernel is known on paper."""

    @nn.compact
    def __call__(self, images):
        flat = images.reshape(len(images), -1)
        hidden = nn.Dense(3, use_bias=False, name="first")(flat)
        return nn.Dense(2, use_bias=False, name="last")(hidden)


def kernel_of_line(first, last):
    """X Xᵀ ⊗ Vᵀ V + (X W)(X W)ᵀ ⊗ I."""
    hidden = IMAGES @ first
    inputs = np.kron(IMAGES @ IMAGES.T, last.T @ last)
    return inputs + np.kron(hidden @ hidden.T, np.eye(2))


def test_a_kernels_change_is_that_on_paper_and_zero_at_the_start():
    rng = np.random.default_rng(0)
    old, new = ((rng.normal(size=(2, 3)), rng.normal(size=(3, 2))) for _ in range(2))
    first, now = (
        {"first": {"kernel": jnp.float32([a])}, "last": {"kernel": jnp.float32([b])}}
        for a, b in (old, new)
    )
    network, row = trace(Line(), (1, 1, 2)), INSTRUMENTS["kernel_change"]

    def read_change(now, start):
        subject = Subject(now, {}, start)
        return take_measures({"it": row}, network, subject, BATCH)["it"]

    found = read_change(now, first)
    before, after = kernel_of_line(*old), kernel_of_line(*new)
    sizes = np.linalg.norm(before), np.linalg.norm(after)
    targets = np.eye(2)[[0, 1, 0, 1]] - 0.5
    y = targets.ravel()
    wanted = {
        "change": np.linalg.norm(after - before) / sizes[0],
        "turn": 1 - np.sum(before * after) / (sizes[0] * sizes[1]),
        "first_alignment": y @ before @ y / (y @ y * sizes[0]),
        "alignment": y @ after @ y / (y @ y * sizes[1]),
    }
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], [value], rtol=1e-4, err_msg=name)
    for start in (None, now):
        still = read_change(now, start)
        assert still["change"].tolist() == still["turn"].tolist() == [0]


def test_a_kernel_that_is_only_scaled_has_not_turned():
    eye = np.eye(3)
    assert kernel_turn(eye, 7 * eye) == pytest.approx(0, abs=1e-12)
    assert kernel_change(eye, 7 * eye) == pytest.approx(6)
    assert np.isnan(kernel_turn(eye, 0 * eye))
