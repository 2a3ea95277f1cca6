"""Recurrent cells that go over the rows of an image: each kernel is a layer."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import initialize
from init_study.network import trace

ROWS, WIDTH, CHANNELS, UNITS = 5, 4, 3, 8
SHAPE = (ROWS, WIDTH, CHANNELS)
# Gates that read a row, and gates that read what is remembered.
CELLS = {
    "SimpleCell": (["i"], ["h"]),
    "GRUCell": (["ir", "iz", "in"], ["hr", "hz", "hn"]),
    "LSTMCell": (["ii", "if", "ig", "io"], ["hi", "hf", "hg", "ho"]),
    "OptimizedLSTMCell": (["ii", "if", "ig", "io"], ["hi", "hf", "hg", "ho"]),
}


class Rows(nn.Module):
    cell: str

    @nn.compact
    def __call__(self, x):
        x = x.reshape(*x.shape[:2], -1)
        cell = getattr(nn, self.cell)(UNITS, name="cell")
        hidden: Any = nn.RNN(cell)(x)
        return nn.Dense(3, name="head")(hidden[:, -1])


@pytest.mark.parametrize("cell", CELLS)
def test_each_gate_has_the_fans_of_its_own_kernel(cell):
    """A row has 4 · 3 numbers; the first of 5 steps remembers nothing."""
    rows, memory = CELLS[cell]
    network = trace(Rows(cell), SHAPE, 3)
    assert not network.unknown
    found = {
        la.name.split("/")[-1]: (la.forward_fan, la.backward_fan, la.uses)
        for la in network.layers
    }
    assert found == {
        **dict.fromkeys(rows, (WIDTH * CHANNELS, UNITS, ROWS)),
        **dict.fromkeys(memory, (UNITS, UNITS, ROWS - 1)),
        "head": (UNITS, 3, 1),
    }


def test_kernels_of_a_recurrent_cell_are_drawn_by_their_fans():
    """He's law of 12 inputs: 4 gates of 12 · 8 numbers of variance 2 / 12."""
    images = jnp.ones((2, *SHAPE))
    made = initialize(Rows("LSTMCell"), images, "he_normal", jax.random.key(0))
    cell = made["params"]["cell"]
    numbers = np.concatenate(
        [cell[name]["kernel"] for name in ("ii", "if", "ig", "io")]
    )
    # 5 deviations of the sample's own.
    error = 5 / (2 * numbers.size) ** 0.5
    np.testing.assert_allclose(numbers.std(), (2 / 12) ** 0.5, rtol=error)


class ConvolvedRows(nn.Module):
    @nn.compact
    def __call__(self, x):
        cell = nn.ConvLSTMCell(UNITS, (1, 3), name="cell")
        hidden: Any = nn.RNN(cell)(x[:, :, None])
        return nn.Dense(3, name="head")(hidden[:, -1].mean((1, 2)))


def test_a_convolutional_cell_has_the_fans_of_its_windows():
    """Of 3 places, 3 channels of a row or 8 that are remembered."""
    network = trace(ConvolvedRows(), SHAPE, 3)
    assert not network.unknown
    fans = {la.name.split("/")[-1][:2]: la.forward_fan for la in network.layers}
    assert fans == {"ih": 3 * CHANNELS, "hh": 3 * UNITS, "he": UNITS}
