"""What is chosen, on which data, and what is said about it."""

import dataclasses
import json
import math

import numpy as np
import pytest

from init_study import store
from init_study.answers import (
    compare_runs,
    format_table,
    learning_curves,
    sentence,
    to_json,
)
from init_study.answers.run_words import clauses
from init_study.answers.verdicts.selection import select
from init_study.answers.views.sensitivity import sensitivity
from init_study.study import Study

CHANCE = 0.1
SIZES = {"train": 1000, "validation": 300, "test": 400, "num_classes": 10}
DATA = SIZES | {"checksums": {}}


def make_study(**changes):
    fields = {"schemes": ("good", "bad"), "learning_rates": (0.01, 0.1, 1.0)}
    return Study(**fields | {"steps": 4, "evaluations": 2} | changes)


def records_of(tmp_path, study, validation, test=None, diverged=(), until=None):
    """A run on disk, as `compare` reads it.

    `validation(member)` and `test(member)` give the last accuracies; members in
    `diverged` have stopped being finite at step 3.
    """
    store.write_manifest(
        tmp_path,
        {"study": study.to_dict(), "data": {"digits": DATA | {"chance": CHANCE}}},
    )
    recorder, members = store.Recorder(tmp_path), study.members()
    for i, program in enumerate(study.programs()):
        for step in (0, *program.evaluation_steps()):
            if until is not None and i and step > until:
                break
            share = step / program.steps
            accuracy = [0.1 + share * (validation(m) - 0.1) for m in members]
            values = {"validation/accuracy": accuracy}
            if step == program.steps:
                died = [m in diverged for m in members]
                values["test/accuracy"] = [(test or validation)(m) for m in members]
                values["train/diverged_step"] = np.where(died, 3.0, np.nan)
            arrays = {name: np.array(v, np.float32) for name, v in values.items()}
            recorder.append(program, step, arrays)
    return store.load(tmp_path), store.read_manifest(tmp_path)


def jitter(member):
    """A little that differs between seeds and schemes."""
    return 0.01 * math.sin(7 * member.seed + 3 * len(member.scheme))


def accuracy_of(member):
    """`good` peaks at 0.9 and `bad` at 0.7, both at the rate 0.1."""
    top = {"good": 0.9, "bad": 0.7}.get(member.scheme, 0.1)
    off_peak = {0.01: 0.2, 0.1: 0.0, 1.0: 0.3}[member.learning_rate]
    return top - off_peak + jitter(member)


def rows_by_scheme(comparison):
    return {row.scheme: row for row in comparison.rows}


def test_choices_are_made_on_validation_data_whatever_the_test_data_say(tmp_path):
    def test(member):  # the other way round
        top = {"good": 0.7, "bad": 0.9}[member.scheme]
        return top - {0.01: 0.0, 0.1: 0.2, 1.0: 0.0}[member.learning_rate]

    (comparison,) = compare_runs(*records_of(tmp_path, make_study(), accuracy_of, test))
    rows = rows_by_scheme(comparison)
    assert comparison.first == "good" == comparison.rows[0].scheme
    assert rows["good"].best.learning_rate == rows["bad"].best.learning_rate == 0.1
    assert rows["good"].best.test.mean == pytest.approx(0.5)
    assert rows["bad"].standing.difference.mean == pytest.approx(0.2)
    # Validation data choose, test data show: where they contradict, none is the best.
    assert comparison.best is None
    assert "undecided: good, first on validation data" in sentence(comparison)


def test_a_diverged_member_counts_as_chance_and_stays_in_every_count(tmp_path):
    study = make_study()
    dead = [
        m
        for m in study.members()
        if m.scheme == "good" and m.learning_rate == 0.1 and m.seed < 2
    ]
    records = records_of(
        tmp_path,
        study,
        accuracy_of,
        lambda m: 0.0 if m in dead else accuracy_of(m),
        dead,
    )
    (comparison,) = compare_runs(*records)
    row = rows_by_scheme(comparison)["good"]
    at_01 = row.rates[1]
    finite = [accuracy_of(m) for m in study.members() if m.scheme == "good"][7:10]
    assert at_01.diverged[:2] == (2, 5) and at_01.stuck[:2] == (0, 5)
    assert at_01.test.n == 3 and at_01.validation.n == 5
    assert at_01.test.mean == pytest.approx(np.mean(finite), abs=1e-6)
    expected = (2 * CHANCE + sum(finite)) / 5
    assert at_01.validation.mean == pytest.approx(expected, abs=1e-6)
    # 0.9 in three of five seeds is now worse than 0.7 at the rate beside it.
    assert row.best.learning_rate == 0.01
    curves = learning_curves(records[0], comparison, "validation", "accuracy")
    assert set(curves["n"]) == {5}


def test_pairs_hold_diverged_members_as_chance(tmp_path):
    study = make_study(learning_rates=(0.1,))
    dead = [m for m in study.members() if m.scheme == "bad" and m.seed == 0]
    records = records_of(tmp_path, study, accuracy_of, diverged=dead)
    (comparison,) = compare_runs(*records)
    good = [accuracy_of(m) for m in study.members() if m.scheme == "good"]
    bad = [accuracy_of(m) for m in study.members() if m.scheme == "bad"]
    bad[0] = CHANCE
    row = rows_by_scheme(comparison)["bad"]
    assert row.judged == pytest.approx(bad, abs=1e-6)
    # The failed run is counted as one, and the difference is of those that learned.
    assert (row.standing.failed, row.standing.runs) == (1, 5)
    expected = np.mean(bad[1:]) - np.mean(good[1:])
    assert row.standing.difference.n == 4
    assert row.standing.difference.mean == pytest.approx(expected, abs=1e-6)
    assert "runs failed: 1 of 5 of bad" in sentence(comparison)
    curves = learning_curves(records[0], comparison, "validation", "accuracy")
    assert dict(curves.groupby("scheme")["n"].max()) == {"good": 5, "bad": 4}


def test_of_equal_rates_the_smaller_is_taken(tmp_path):
    def equal(member):  # the same terms in another order at every rate
        return [0.69, 0.39, 0.14, 0.72, 0.53][
            (member.seed + int(member.learning_rate)) % 5
        ]

    study = make_study(learning_rates=(3.0, 1.0, 2.0), untuned_learning_rate=3.0)
    (comparison,) = compare_runs(*records_of(tmp_path, study, equal))
    assert {row.best.learning_rate for row in comparison.rows} == {1.0}
    assert {row.untuned.learning_rate for row in comparison.rows} == {3.0}


@pytest.mark.parametrize("rates, flagged", [((0.1, 1.0), True), ((0.1,), False)])
def test_a_best_rate_at_the_edge_of_the_grid_is_flagged(tmp_path, rates, flagged):
    study = make_study(learning_rates=rates)
    (comparison,) = compare_runs(*records_of(tmp_path, study, accuracy_of))
    assert {row.at_edge for row in comparison.rows} == {flagged}
    assert ("*:" in format_table(comparison)) == flagged


def test_a_best_rate_inside_the_grid_is_not_flagged(tmp_path):
    (comparison,) = compare_runs(*records_of(tmp_path, make_study(), accuracy_of))
    assert not any(row.at_edge for row in comparison.rows)


def test_the_untuned_rate_is_shown_as_it_is(tmp_path):
    study = make_study(untuned_learning_rate=1.2)
    (comparison,) = compare_runs(*records_of(tmp_path, study, accuracy_of))
    untuned = rows_by_scheme(comparison)["good"].untuned
    assert comparison.untuned_rate == untuned.learning_rate == 1.0
    assert untuned.test.mean == pytest.approx(0.6, abs=0.01)


def test_the_sentence_says_who_is_best_behind_and_never_learns(tmp_path):
    study = make_study(schemes=("good", "bad", "zeros"))
    (comparison,) = compare_runs(*records_of(tmp_path, study, accuracy_of))
    first, *others = clauses(comparison)
    runs = 100 * np.sort(rows_by_scheme(comparison)["good"].judged)
    assert first == (
        f"cnn: good is typically the best of 3 schemes, median {runs[2]:.1f} % "
        f"(lowest {runs[0]:.1f}, highest {runs[-1]:.1f})"
    )
    head = "behind good, in points where both learn: bad (−20."
    assert others[0].startswith(head)
    assert others[1] == "no run of zeros learned"
    # 1 - 0.05^(1/5) = 0.45
    assert others[2] == (
        "no run of good and bad failed, though a rate of failure up to 45 % is not "
        "excluded"
    )
    assert others[
        -1
    ] == f"on 5 seeds and these {SIZES['test']} test images, at 95 % for " + (
        "all pairs together"
    )


def test_what_the_interval_does_not_show_is_not_claimed(tmp_path):
    def close(member):
        better = member.scheme == "good"
        return 0.8 + 0.001 * better + (0.02 if (member.seed % 2) == better else 0.0)

    (comparison,) = compare_runs(*records_of(tmp_path, make_study(seeds=6), close))
    assert "undecided between good, median" in sentence(comparison)
    assert "behind" not in sentence(comparison) and comparison.best is None


FAILING = {
    "good": [0.87, 0.91, 0.87, 0.83, 0.29],
    "bad": [0.81, 0.28, 0.89, 0.55, 0.86],
}


def test_runs_that_scatter_decide_nothing(tmp_path):
    """All that a mean ± interval would hide: half of the runs fail now and then."""

    def scattered(member):
        return FAILING[member.scheme][member.seed]

    study = make_study(learning_rates=(0.1,))
    (comparison,) = compare_runs(*records_of(tmp_path, study, scattered))
    assert comparison.best is None
    assert "undecided between good, median 87.0 % (lowest 29.0, highest 91.0)" in (
        sentence(comparison)
    )
    assert "bad, median 81.0 % (lowest 28.0, highest 89.0)" in sentence(comparison)
    # 17 of the 25 pairs of runs; the interval is of a bootstrap of both.
    assert "with probability 0.68 (0.32 to 1.00)" in sentence(comparison)


@pytest.mark.parametrize("learns", [0, 1])
def test_one_run_that_learned_makes_nobody_the_best(tmp_path, learns):
    """McNemar's p of one failure fewer is 1."""

    def accuracy(member):
        return 0.9 if member.scheme == "good" and member.seed < learns else CHANCE

    (comparison,) = compare_runs(*records_of(tmp_path, make_study(), accuracy))
    assert comparison.best is None
    assert ("is not shown" in sentence(comparison)) == (learns == 1)


def test_a_best_that_may_fail_is_only_typically_so(tmp_path):
    """Two points ahead in five runs of five: a failure in forty would undo it."""

    def close(member):
        return (0.92 if member.scheme == "good" else 0.9) + jitter(member) / 10

    study = make_study(learning_rates=(0.1,))
    (comparison,) = compare_runs(*records_of(tmp_path, study, close))
    assert comparison.best == "good" and comparison.best_word == "typically best"
    assert "good is typically the best of 2 schemes" in sentence(comparison)


def test_twins_alone_have_no_best(tmp_path):
    def same(member):
        return accuracy_of(dataclasses.replace(member, scheme="good"))

    (comparison,) = compare_runs(*records_of(tmp_path, make_study(), same))
    assert comparison.best is None
    assert "all 2 schemes are the same runs" in sentence(comparison)


def test_a_test_set_that_can_show_nothing_is_named(tmp_path):
    """0.98^100 = 0.13: chance may get all of a hundred right."""
    records, manifest = records_of(tmp_path, make_study(), lambda _: 1.0)
    data = manifest["data"]["digits"] | {"test": 100, "chance": 0.98}
    manifest = manifest | {"data": {"digits": data}}
    (comparison,) = compare_runs(records, manifest)
    assert "100 test images cannot show that anything" in sentence(comparison)


def test_no_seed_is_judged_at_a_rate_that_it_chose(tmp_path):
    """Seed 0 alone is good at 0.1: with it that rate is chosen, without it 0.01 is."""

    def lucky(member):
        at = {0.01: 0.6, 0.1: 0.99 if member.seed == 0 else 0.55, 1.0: 0.2}
        return at[member.learning_rate]

    study = make_study(schemes=("good", "bad"))
    (comparison,) = compare_runs(*records_of(tmp_path, study, lucky))
    row = rows_by_scheme(comparison)["good"]
    assert row.best.learning_rate == 0.1
    assert row.runs == pytest.approx([0.99, 0.55, 0.55, 0.55, 0.55], abs=1e-6)
    # The other seeds still see seed 0, and so are judged at its rate.
    assert row.judged == pytest.approx([0.6, 0.55, 0.55, 0.55, 0.55], abs=1e-6)
    assert row.optimism == pytest.approx(0.39 / 5, abs=1e-6)
    assert "means would be higher, in points: good 7.8, bad 7.8" in sentence(comparison)


def test_twins_and_schemes_that_never_learn_take_a_line_each(tmp_path):
    study = make_study(schemes=("good", "bad", "twin", "zeros", "ones", "half"))

    def accuracy(member):
        if member.scheme == "twin":
            member = dataclasses.replace(member, scheme="good")
        return accuracy_of(member) if member.scheme in ("good", "bad") else CHANCE

    (comparison,) = compare_runs(*records_of(tmp_path, study, accuracy))
    assert comparison.best == "good"
    assert "twin: the same runs as good" in sentence(comparison)
    assert "no run of zeros, ones and half learned" in sentence(comparison)
    table = format_table(comparison)
    assert sum("zeros" in line for line in table.splitlines()) == 1
    (line,) = (line for line in table.splitlines() if line.startswith("twin"))
    assert line.endswith("  twin")


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_with_few_seeds_there_is_no_conclusion(tmp_path, seeds):
    study = make_study(seeds=seeds)
    (comparison,) = compare_runs(*records_of(tmp_path, study, accuracy_of))
    text = sentence(comparison)
    assert "too few seeds for a conclusion" in text
    assert "is the best" not in text and "behind" not in text
    bad = rows_by_scheme(comparison)["bad"]
    assert comparison.best is None
    for interval in (bad.standing.difference, bad.best.test, bad.best.validation):
        assert np.isnan(interval.low) == np.isnan(interval.high) == (seeds < 3)
    assert ("(" in format_table(comparison).split("rate: best")[0]) == (seeds >= 3)


def test_no_winner_where_nothing_was_learned(tmp_path):
    (comparison,) = compare_runs(*records_of(tmp_path, make_study(), lambda _: CHANCE))
    assert comparison.best is None
    assert "no scheme learned anything" in sentence(comparison)
    assert not any(row.at_edge for row in comparison.rows)


def test_an_unfinished_program_has_no_answer_and_the_others_have(tmp_path):
    study = make_study(depth=(4, 8, 16))
    first, second, third = compare_runs(
        *records_of(tmp_path, study, accuracy_of, until=2)
    )
    assert first.best == "good"
    assert second.rows == third.rows == () and second.step == third.step == 2
    assert sentence(second) == "depth=8: no answer yet, it is at step 2 of 4"
    assert "no answer yet" in format_table(second)


def test_json_is_strict_and_complete(tmp_path):
    study = make_study(seeds=2, depth=(4, 8))
    document = to_json(compare_runs(*records_of(tmp_path, study, accuracy_of, until=2)))
    text = json.dumps(document, allow_nan=False)
    first = json.loads(text)[0]
    assert first["first"] == "good" and first["best"] is None
    assert "too few seeds" in first["answer"]
    assert first["rows"][1]["standing"]["difference"]["low"] is None
    assert first["rows"][0]["standing"]["difference"] is None
    assert [r["learning_rate"] for r in first["rows"][0]["rates"]] == [0.01, 0.1, 1.0]


def test_the_table_fits_a_terminal_of_100_columns(tmp_path):
    long = "truncated_normal(0.0123456789, 0.0123456789, 3.14159)" * 2
    study = make_study(schemes=("good", "bad", long), learning_rates=(0.1,))
    (comparison,) = compare_runs(*records_of(tmp_path, study, accuracy_of))
    lines = format_table(comparison).splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line for line in lines if line.startswith(("good", "bad", "truncated"))]
    assert len({line.index("/5") for line in rows}) == 1


def test_what_a_scheme_spends_before_its_first_step_is_said(tmp_path):
    study = make_study()
    records, manifest = records_of(tmp_path, study, accuracy_of)
    (plain,) = compare_runs(records, manifest)
    assert "Before the first" not in format_table(plain)
    (program,) = study.programs()
    passes = {"bad": {"forward": 10, "backward": 40}}
    (comparison,) = compare_runs(
        records, manifest | {"programs": {program.id: {"passes": passes}}}
    )
    rows = rows_by_scheme(comparison)
    assert rows["good"].passes.steps == 0 and rows["bad"].passes == (10, 40)
    said = " ".join(format_table(comparison).split())
    assert (
        "Before the first of their 4 steps" in said and "further steps: bad 30." in said
    )
    assert to_json([comparison])[0]["rows"][1]["passes"] == {
        "forward": 10,
        "backward": 40,
    }


def test_how_much_tuning_is_worth(tmp_path):
    """`good` has 0.7, 0.9 and 0.6 at the three rates, but for a little noise."""
    (comparison,) = compare_runs(*records_of(tmp_path, make_study(), accuracy_of))
    row = rows_by_scheme(comparison)["good"]
    means = [at_rate.validation.mean for at_rate in row.rates]
    narrow, wide = sensitivity(row, 0.05), sensitivity(row, 0.25)
    assert (narrow.low, narrow.high, narrow.factor) == (0.1, 0.1, 1.0)
    assert (wide.low, wide.high) == (0.01, 0.1) and wide.factor == pytest.approx(10)
    assert sensitivity(row, 1.0).high == 1.0
    one, two, three = narrow.expected_best
    assert one == pytest.approx(np.mean(means)) and three == pytest.approx(max(means))
    pairs = [max(means[i], means[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert two == pytest.approx(np.mean(pairs))


def test_a_range_that_will_do_is_not_broken(tmp_path):
    """The rate between two good ones is bad: only the side of the best counts."""

    def accuracy(member):
        return {0.01: 0.9, 0.1: 0.2, 1.0: 0.899}[member.learning_rate]

    (comparison,) = compare_runs(*records_of(tmp_path, make_study(), accuracy))
    found = sensitivity(comparison.rows[0], 0.05)
    assert (found.low, found.high) == (0.01, 0.01)


def test_validation_data_have_a_chance_of_their_own(tmp_path):
    """All diverged at 0.01, where they count as 0.3, and not as the test part's 0.5."""

    def accuracy(member):
        return 0.45 if member.learning_rate == 0.1 else 0.2

    study = make_study(learning_rates=(0.01, 0.1))
    dead = [m for m in study.members() if m.learning_rate == 0.01]
    records, manifest = records_of(tmp_path, study, accuracy, diverged=dead)
    data = manifest["data"]["digits"] | {"chance": 0.5, "validation_chance": 0.3}
    (comparison,) = compare_runs(records, manifest | {"data": {"digits": data}})
    for row in comparison.rows:
        assert row.best.learning_rate == 0.1 and row.best.stuck.k == 0
        assert row.rates[0].validation.mean == pytest.approx(0.3)


def test_what_chose_its_rates_is_shown_at_the_common_rate_as_well(tmp_path):
    """Each seed of `good` alone is bad at the rate that the others choose without it.

    So it is judged there, and "bad" seems ahead; at the one rate of all it is not.
    """
    chosen = {"good": np.full(6, 0.8), "bad": np.full(6, 0.8)}
    judged = {"good": np.full(6, 0.7), "bad": np.full(6, 0.8)}
    alone = select(judged, CHANCE, 400)
    assert alone.best == ("bad",)
    assert select(judged, CHANCE, 400, chosen).best == ("good", "bad")
