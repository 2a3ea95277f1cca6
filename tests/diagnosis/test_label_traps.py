"""Labels that are none, outputs that do not fit them, classes that are uneven."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnosis.twins import found

IMAGES = jax.random.normal(jax.random.key(3), (40, 6))
LABELS = jnp.arange(40) % 4


def seen_of(labels, classes=4, scheme="he_normal", n=None, **options):
    n = len(labels) if n is None else n
    return found(nn.Dense(classes), scheme, IMAGES[:n], labels, **options)


@pytest.mark.parametrize(
    ("labels", "cure"),
    [
        (jax.nn.one_hot(LABELS, 4), "labels.argmax(-1)"),
        (LABELS.astype(jnp.float32), "labels.astype(int)"),
        (LABELS == 0, "labels.astype(int)"),
        (LABELS - 1, "0 to K − 1"),
        (LABELS / 3, "0 to K − 1"),
    ],
)
def test_labels_that_are_no_classes_are_an_error(labels, cure):
    (wrong,) = seen_of(labels)["labels-unusable"]
    assert wrong.severity == "error"
    assert cure in wrong.cure


def test_labels_of_any_whole_kind_are_fine():
    for labels in (LABELS, np.asarray(LABELS, np.uint8), np.asarray(LABELS)):
        assert "labels-unusable" not in seen_of(labels)


def test_one_output_of_numbers_is_a_regression():
    (one,) = seen_of(jnp.linspace(-1.0, 1.0, 40), 1)["labels-unusable"]
    assert one.severity == "info"
    assert "regression" in one.evidence


def test_one_output_learns_nothing_of_classes():
    (one,) = seen_of(LABELS % 2, 1)["one-output"]
    assert one.severity == "error"
    here = seen_of(LABELS % 2, 2)
    assert not {"one-output", "too-few-outputs"} & set(here)


def test_labels_beyond_the_outputs_are_an_error():
    (few,) = seen_of(LABELS, 3)["too-few-outputs"]
    assert few.severity == "error"
    assert "Dense" in few.cure
    (counted,) = seen_of(LABELS + 1)["too-few-outputs"]
    assert "counted from 1" in counted.cure
    assert "too-few-outputs" not in seen_of(LABELS)


def test_outputs_that_no_label_asks_for_are_told():
    (many,) = seen_of(LABELS, 9)["too-many-outputs"]
    assert many.severity == "info"
    # A batch of eight may miss the last of four classes by chance.
    assert "too-many-outputs" not in seen_of(LABELS[:8] % 3)
    assert "too-many-outputs" not in seen_of(LABELS)


def test_results_that_are_no_rows_are_not_judged():
    images = jnp.stack([IMAGES[:8]] * 2, 1)
    (none,) = found(nn.Dense(4), "he_normal", images, LABELS[:8])["results-no-rows"]
    assert none.severity == "info"
    without = found(nn.Dense(4), "he_normal", images, None)
    assert "results-no-rows" not in without


def test_uneven_classes_ask_for_a_bias():
    # An audit looks at the first 32.
    uneven = jnp.where(jnp.arange(40) < 28, 0, LABELS)
    (found_one,) = seen_of(uneven)["uneven-classes"]
    assert found_one.severity == "info"
    share = np.mean(np.asarray(uneven[:32]) == 0)
    assert f"{share:.0%}" in found_one.evidence
    assert "uneven-classes" not in seen_of(uneven, scheme="prior_bias")
    assert "uneven-classes" not in seen_of(LABELS)
    # Eight labels tell nothing of four classes.
    assert "uneven-classes" not in seen_of(uneven[:8])


def test_even_classes_are_uneven_by_chance_alone():
    random = np.random.default_rng(0)
    for _ in range(10):
        labels = jnp.asarray(random.integers(0, 4, 40))
        assert "uneven-classes" not in seen_of(labels)


def test_a_batch_of_one_class_is_worse_where_a_scheme_looks_at_it():
    same = jnp.full(40, 2)
    (told,) = seen_of(same)["one-class-batch"]
    assert told.severity == "info"
    (warned,) = seen_of(same, scheme="lsuv")["one-class-batch"]
    assert warned.severity == "warning"
    assert "one-class-batch" not in seen_of(LABELS, scheme="lsuv")
    # Of two images it is chance.
    assert "one-class-batch" not in seen_of(same[:2], scheme="lsuv")
