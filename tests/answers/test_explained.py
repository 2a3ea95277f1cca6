"""Alignment of representations that are known, and who is compared with whom."""

import numpy as np
import pandas as pd
import pytest

from init_study.answers import compare_runs
from init_study.answers.made_up import made_up_run
from init_study.answers.similarity import debiased_alignment
from init_study.answers.views.explained import explanation_agreement


def pairs(features):
    gram = features @ features.T
    return gram[np.triu_indices(len(gram), 1)]


def test_a_rotation_and_a_scale_change_nothing():
    draws = np.random.default_rng(0)
    features = draws.normal(size=(10, 6))
    rotation, _ = np.linalg.qr(draws.normal(size=(6, 6)))
    found = debiased_alignment(pairs(features), pairs(3 * features @ rotation))
    assert found == pytest.approx(1)


def test_what_all_images_share_changes_nothing():
    """HSIC is of centred features: a mean adds to each pair what is of one image."""
    first, second = np.random.default_rng(3).normal(size=(2, 9, 5))
    moved = debiased_alignment(pairs(first + 4), pairs(second - 1))
    assert moved == pytest.approx(debiased_alignment(pairs(first), pairs(second)))


def test_nothing_in_common_is_zero_on_the_average_however_few_the_images():
    """Plain CKA of 8 images in 200 dimensions is near 1."""
    draws = np.random.default_rng(1)
    found = np.array(
        [
            debiased_alignment(*(pairs(draws.normal(size=(8, 200))) for _ in range(2)))
            for _ in range(400)
        ]
    )
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(len(found))


def test_shared_directions_are_shared_in_part():
    """Of many images, CKA of (u, v) and (u, w) with independent unit Gaussians is 1/2.

    Linear CKA is ‖cov(x, y)‖² / ‖cov x‖ ‖cov y‖ = 1 / (√2 · √2).
    """
    u, v, w = np.random.default_rng(2).normal(size=(3, 1500))
    both = (pairs(np.stack([u, other], 1)) for other in (v, w))
    assert debiased_alignment(*both) == pytest.approx(0.5, abs=0.06)


@pytest.fixture(scope="module")
def comparison():
    return compare_runs(*made_up_run())[0]


def readings(comparison, maps):
    """Raw readings: `maps(scheme, seed, step)` gives the numbers of a map."""
    rows = [
        (comparison.program, scheme, rate, seed, step, "map/gradient", place, value)
        for scheme in ("he_normal", "zeros")
        for rate in (0.01, 0.1)
        for seed in comparison.seeds
        for step in (0, comparison.steps)
        for place, value in enumerate(maps(scheme, seed, step))
    ]
    names = "program scheme learning_rate seed step number place value".split()
    return pd.DataFrame(rows, columns=pd.Index(names))


UP, DOWN = [0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0]


def test_seeds_schemes_and_training_are_told_apart(comparison):
    def maps(scheme, seed, step):
        # Seeds of a scheme agree at the end, its start is turned, the schemes differ.
        end = UP if scheme == "he_normal" else DOWN
        return end if step else end[::-1] if seed % 2 else end

    found = {
        one.scheme: one
        for one in explanation_agreement(comparison, readings(comparison, maps))
    }
    he = found["he_normal"]
    # Of five seeds two are turned: 4 of 10 pairs are alike.
    assert he.seeds_before == pytest.approx((4 - 6) / 10)
    assert he.seeds_after == pytest.approx(1)
    assert (he.schemes_before, he.schemes_after) == pytest.approx((-1, -1))
    # Three seeds are as they began, two the other way round.
    assert he.training == pytest.approx((3 - 2) / 5)


def test_maps_that_do_not_vary_agree_with_nothing(comparison):
    def maps(scheme, seed, step):
        return UP if scheme == "he_normal" else [0.0] * 4

    found = {
        one.scheme: one
        for one in explanation_agreement(comparison, readings(comparison, maps))
    }
    assert np.isnan(found["zeros"].seeds_after) and np.isnan(found["zeros"].training)
    assert found["he_normal"].seeds_after == 1
    assert np.isnan(found["he_normal"].schemes_after)


def test_nothing_is_said_without_both_ends(comparison):
    table = readings(comparison, lambda scheme, seed, step: UP)
    assert explanation_agreement(comparison, table.loc[table["step"] == 0]) == []
