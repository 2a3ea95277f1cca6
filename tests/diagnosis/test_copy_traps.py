"""Copies within a layer and among parameters, and what only looks like them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnosis.twins import IMAGES, found, places

from init_study.diagnosis.rules.copy_traps import first_copies
from init_study.initializers import he_normal, lecun_truncated, uniform
from init_study.instruments.symmetry import symmetric_units

ROWS = IMAGES.reshape(8, -1)


class Layers(nn.Module):
    """Dense layers of eight units, with a law for each; the last is of three."""

    laws: tuple = ()
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x, train: bool = False):
        *hidden, last = self.laws
        for law in hidden:
            x = nn.tanh(nn.Dense(8, kernel_init=law)(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(3, kernel_init=last)(x)


ONES = nn.initializers.constant(0.1)
ZEROS = nn.initializers.zeros
HE = he_normal()


def rows_alike(key, shape, dtype=jnp.float32):
    """A kernel whose first four rows, its inputs, count the same."""
    kernel = he_normal()(key, shape, dtype)
    return kernel.at[:4].set(kernel[:1])


def columns_alike(key, shape, dtype=jnp.float32):
    """A kernel whose first four columns, its units, are the same."""
    kernel = he_normal()(key, shape, dtype)
    return kernel.at[:, :4].set(kernel[:, :1])


def found_of(*laws, **fields):
    return found(Layers(laws, **fields), "module", images=ROWS)


def test_constants_in_two_layers_stay_one_unit_for_ever():
    findings = found_of(ONES, ONES, ONES)
    assert places(findings["stay-copies"]) == ["Dense_0", "Dense_1"]
    assert {one.severity for one in findings["stay-copies"]} == {"error"}
    assert "1 of 8 units" in findings["stay-copies"][0].evidence


def test_equal_columns_stay_copies_before_equal_rows_alone():
    (one,) = found_of(HE, columns_alike, rows_alike)["stay-copies"]
    assert (one.place, one.severity) == ("Dense_1", "warning")
    assert "5 of 8 units differ" in one.evidence
    parted = found_of(HE, columns_alike, HE)
    assert "stay-copies" not in parted
    assert places(parted["part-at-once"]) == ["Dense_1"]
    assert not {"stay-copies", "part-at-once"} & set(found_of(HE, rows_alike, HE))


def test_zeros_that_move_at_once_are_no_copies():
    for laws in ((HE, HE, ZEROS), (HE, ZEROS, HE)):
        assert not {"stay-copies", "part-at-once"} & set(found_of(*laws))


def test_a_zero_head_hides_no_copies():
    """They have no gradient at first; the first that comes is the same for both."""
    assert places(found_of(HE, columns_alike, ZEROS)["stay-copies"]) == ["Dense_1"]


def test_dropout_parts_copies():
    assert "stay-copies" not in found_of(HE, columns_alike, rows_alike, dropout=0.5)


def test_copies_are_counted_as_by_the_instrument():
    generator = np.random.default_rng(0)
    kernel = generator.integers(0, 2, (3, 40)).astype(np.float32)
    orbits = symmetric_units([jnp.asarray(kernel)], [jnp.ones((40, 1))])
    assert first_copies(kernel).tolist() == orbits.first.tolist()
    signs = np.array([[0.0, -0.0, 1.0, -1.0]])
    assert first_copies(signs).tolist() == [0, 0, 2, 3]


def by_one_key(law):
    return lambda key, shape, dtype=jnp.float32: law(jax.random.key(3), shape, dtype)


@pytest.mark.parametrize("law", [he_normal(), lecun_truncated()])
def test_one_key_for_two_shapes(law):
    """Also where the laws differ: both are made of the same bits, in one order."""
    findings = found_of(HE, by_one_key(law), by_one_key(uniform(0.1)))
    assert places(findings["shared-key"]) == ["Dense_1/kernel, Dense_2/kernel"]
    assert "same-numbers" not in findings
    assert not {"shared-key", "same-numbers"} & set(found_of(HE, HE, HE))


def test_one_key_for_two_layers_of_one_shape():
    findings = found_of(HE, by_one_key(HE), by_one_key(HE), HE)
    assert places(findings["same-numbers"]) == ["Dense_1/kernel, Dense_2/kernel"]
    assert "shared-key" not in findings


class Ensemble(nn.Module):
    """Three members that read the same, and their mean."""

    own: bool = True

    @nn.compact
    def __call__(self, x):
        members = nn.vmap(
            nn.Dense,
            {"params": 0},
            {"params": self.own},
            in_axes=None,
            out_axes=0,
            axis_size=3,
        )
        return nn.Dense(3)(nn.relu(members(8)(x)).mean(0))


def test_members_of_a_stack_that_begin_alike():
    findings = found(Ensemble(own=False), "module", images=ROWS)
    (one,) = findings["stack-copies"]
    assert one.severity == "warning" and "3 of 3 pairs" in one.evidence
    assert "stack-copies" not in found(Ensemble(), "module", images=ROWS)


def narrow(key, shape, dtype=jnp.float32):
    one, other = jax.random.split(key)
    left = jax.random.normal(one, (shape[0], 2), dtype)
    return left @ jax.random.normal(other, (2, shape[1]), dtype) / shape[0]


def test_a_product_of_two_narrow_matrices_has_their_rank():
    (one,) = found_of(HE, narrow, HE)["low-rank"]
    assert (one.place, one.severity) == ("Dense_1/kernel", "warning")
    assert one.evidence.startswith("rank 2 ")
    assert "low-rank" not in found_of(HE, HE, HE)


def test_filters_around_one():
    law = lambda key, shape, dtype=jnp.float32: 1 + HE(key, shape, dtype)  # noqa: E731
    (one,) = found_of(law, HE, HE)["filters-alike"]
    assert (one.place, one.severity) == ("Dense_0/kernel", "warning")
    assert "filters-alike" not in found_of(HE, HE, HE)
