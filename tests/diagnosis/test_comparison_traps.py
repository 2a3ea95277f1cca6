"""Rates, seeds, steps and costs of a comparison; a study in the words of an audit."""

import flax.linen as nn
import jax
import pytest
from diagnosis.test_training_traps import IMAGES, LABELS, seen_of

from init_study.answers.verdicts.paired_runs import FEWEST_FOR_VERDICT
from init_study.diagnosis.finding import look_for
from init_study.diagnosis.of_study import Training, training_of
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.rules.comparison_traps import FEWEST_SEEDS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme
from init_study.study import Study


def test_one_rate_for_several_schemes_is_a_warning():
    (one,) = seen_of(learning_rates=(0.1,), schemes=3)["one-rate-for-all"]
    assert one.severity == "warning"
    assert "one-rate-for-all" not in seen_of(learning_rates=(0.1,), schemes=1)
    assert "one-rate-for-all" not in seen_of(learning_rates=(0.1, 0.3), schemes=3)
    assert "one-rate-for-all" not in seen_of(schemes=3)


def test_a_grid_needs_an_inside():
    (one,) = seen_of(learning_rates=(0.1, 0.3))["grid-without-inside"]
    assert one.severity == "warning"
    grid = (0.01, 0.03, 0.1)
    assert "grid-without-inside" not in seen_of(learning_rates=grid, untuned=0.1)
    (beside,) = seen_of(learning_rates=grid, untuned=0.3)["grid-without-inside"]
    assert beside.severity == "info"
    assert beside.cure.endswith("0.01,0.03,0.1,0.3")


def test_a_verdict_takes_seeds():
    assert FEWEST_SEEDS == FEWEST_FOR_VERDICT
    (one,) = seen_of(seeds=4, schemes=2)["too-few-seeds"]
    assert one.severity == "warning"
    (alone,) = seen_of(seeds=1, schemes=1)["too-few-seeds"]
    assert alone.severity == "info"
    assert "too-few-seeds" not in seen_of(seeds=5, schemes=2)
    assert "too-few-seeds" not in seen_of(schemes=2)


def test_a_run_of_less_than_an_epoch_is_told():
    run = {"steps": 100, "batch_size": 32}
    (one,) = seen_of(**run, examples=3201)["less-than-an-epoch"]
    assert one.severity == "info"
    assert "less-than-an-epoch" not in seen_of(**run, examples=3200)
    assert "less-than-an-epoch" not in seen_of(**run)


def test_passes_of_a_scheme_are_charged():
    (one,) = seen_of("lsuv", steps=100)["passes-before-start"]
    # Two layers of eleven tries each: 22 forward, a third of a step each.
    assert "22 passes forward and 0 back" in one.evidence
    assert "7.3%" in one.evidence
    assert "passes-before-start" not in seen_of("orthogonal", steps=100)


class Residual(nn.Module):
    """One branch around a layer."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(6)(x)
        return nn.Dense(3)(x + nn.Dense(6)(nn.relu(x)))


@pytest.mark.parametrize(("branches", "told"), [("fixup", True), ("plain", False)])
def test_numbers_that_are_added_to_branches_are_told(branches, told):
    network = trace(Residual(), IMAGES.shape[1:], branches=branches)
    key, batch = jax.random.key(0), Batch(IMAGES, LABELS)
    scheme = parse_scheme("he_normal")
    set_up = make_set_up(network, scheme, batch, key, Training())
    ids = {one.id for one in look_for(TRAPS.values(), look_at(set_up, key))}
    assert ("added-parameters" in ids) == told


def test_a_program_of_a_study_says_how_it_trains():
    study = Study(
        schemes=["he_normal", "zeros"],
        learning_rates=(0.3, 0.03, 0.003),
        seeds=3,
        batch_size=16,
        steps=100,
        weight_decay=1e-4,
    )
    training = training_of(study, study.programs()[0], examples=500)
    assert training == Training(
        optimizer="sgd",
        # The nearest to 0.1, in ratio.
        learning_rate=0.3,
        learning_rates=(0.003, 0.03, 0.3),
        weight_decay=1e-4,
        batch_size=16,
        steps=100,
        seeds=3,
        momentum=0.9,
        warmup=0,
        schemes=2,
        examples=500,
        untuned=0.1,
    )
    adam = study.replace(optimizer="adam", schedule="cosine", fresh_seeds=8)
    training = training_of(adam, adam.programs()[0])
    assert (training.momentum, training.untuned, training.seeds) == (None, 0.001, 8)
    # A tenth of the steps: the first is at 1 / 11 of the peak.
    assert training.warmup == 10
    assert abs(training.learning_rate * 11 - 0.003) < 1e-12


def test_schemes_with_rates_of_their_own_have_no_grid():
    study = Study(
        schemes=["he_normal", "zeros"], learning_rates=(0.1, 0.3), pairing="own"
    )
    program = study.programs()[0]
    assert training_of(study, program).learning_rate is None
    assert training_of(study, program).learning_rates == ()
    assert training_of(study, program, "zeros").learning_rate == 0.3
