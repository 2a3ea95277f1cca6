"""A race: which stages are run, on which seeds, and what comes of stopping it."""

import json

import numpy as np
import pandas as pd
import pytest

from init_study.answers.verdicts.contrasts import Kind
from init_study.answers.verdicts.decision_table import decision_table
from init_study.answers.verdicts.heats import from_document, read_heats, to_document
from init_study.answers.verdicts.protocol import Protocol
from init_study.answers.verdicts.sentences import decision_sentence
from init_study.errors import UserError
from init_study.race import race
from init_study.report.race_page import render_race
from init_study.store import DECISION, RACE
from init_study.study import Study

CHANCE = 0.1
STUDY = Study(schemes=("good", "near", "bad"), learning_rates=(0.03, 0.1, 0.3), steps=2)
BEST_RATE = {"good": 0.1, "near": 0.1, "bad": 0.9}
TOP = {"good": 0.9, "near": 0.897, "bad": 0.6}


def accuracy(scheme, rate, seed):
    """Falls off with the distance to the scheme's own rate; noise of each run."""
    off = abs(np.log(rate / BEST_RATE[scheme])) / 10
    key = [seed, int(1e6 * rate), *scheme.encode()]
    noise = 0.01 * np.random.default_rng(key).standard_normal()
    return TOP[scheme] - off + noise


class Trainer:
    """Makes the records of a stage, and notes it; may be stopped after some."""

    def __init__(self, most=10**9, of=accuracy, diverged=()):
        self.stages, self.most, self.of, self.diverged = [], most, of, diverged

    def __call__(self, study, folder):
        if len(self.stages) == self.most:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        self.stages.append((folder.name, study))
        (program,) = study.programs()
        rows = []
        for m in study.members():
            value = self.of(m.scheme, m.learning_rate, m.seed)
            gone = m.scheme in self.diverged and m.seed >= 3
            for split, metric, number in (
                ("validation", "accuracy", value),
                ("test", "accuracy", np.nan if gone else value + 0.01),
                ("train", "diverged_step", 1.0 if gone else np.nan),
            ):
                rows.append(
                    {
                        "program": program.id,
                        "scheme": m.scheme,
                        "learning_rate": m.learning_rate,
                        "seed": m.seed,
                        "step": program.steps,
                        "split": split,
                        "metric": metric,
                        "value": number,
                    }
                )
        data = {"digits": {"chance": CHANCE, "test": 400, "validation": 300}}
        return pd.DataFrame(rows), {"data": data}


def test_screening_then_the_edge_then_fresh_seeds(tmp_path):
    train = Trainer()
    (heat,) = race(STUDY, tmp_path / "w", train)
    names = [name for name, _ in train.stages]
    assert names[:2] == ["screening", "beyond-1-0.9"]
    # 0.9 is a new edge; 2.7 is no better, and then the best lies inside.
    assert names[2] == "beyond-2-2.7"
    assert names[3:5] == ["fresh-5", "fresh-10"]
    stages = dict(train.stages)
    assert stages["screening"].seeds == (0, 1, 2)
    assert stages["beyond-1-0.9"].schemes == ("bad",)
    first = {(m.scheme, m.learning_rate) for m in stages["fresh-5"].members()}
    assert first == {("good", 0.1), ("near", 0.1), ("bad", 0.9)}
    assert stages["fresh-5"].seeds == (3, 4, 5, 6, 7)
    assert stages["fresh-10"].seeds == (8, 9, 10, 11, 12)
    assert "bad" not in stages["fresh-10"].schemes, "what is out gets no more seeds"
    assert heat.choices["bad"].rate == 0.9 and heat.choices["bad"].beyond is None
    assert heat.stopped == ""


def test_the_decision_is_of_the_fresh_seeds_alone(tmp_path):
    train = Trainer()
    (heat,) = race(STUDY, tmp_path / "w", train, margin=0.02)
    decision = heat.decision
    by_name = {c.scheme: c for c in decision.contrasts}
    assert by_name["bad"].kind is Kind.TYPICALLY_WORSE
    assert by_name["near"].kind is Kind.TYPICALLY_EQUAL
    assert decision.margin == 0.02
    seeds = range(3, 3 + decision.n)
    rate = heat.choices["good"].rate
    expected = [accuracy("good", rate, s) + 0.01 for s in seeds]
    np.testing.assert_allclose(heat.test["good"], expected)
    written = json.loads((tmp_path / "w" / DECISION).read_text())["programs"]
    assert written[0]["decision"]["kind"] == decision.kind
    assert written[0]["test"]["good"] == pytest.approx(expected)


def test_a_diverged_run_counts_as_chance(tmp_path):
    (heat,) = race(STUDY, tmp_path / "w", Trainer(diverged=("near",)))
    assert (heat.test["near"] == CHANCE).all()


def test_a_stopped_race_goes_on_where_it_was(tmp_path):
    undisturbed = race(STUDY, tmp_path / "whole", Trainer())
    for most in range(8):
        (heat,) = race(STUDY, tmp_path / "parts", Trainer(most))
        if most < 6:
            assert heat.stopped == "it was stopped"
    again = race(STUDY, tmp_path / "parts", Trainer())
    np.testing.assert_equal(again[0].test, undisturbed[0].test)
    assert again[0].decision == undisturbed[0].decision


def test_a_budget_ends_it_before_a_stage_that_does_not_fit(tmp_path):
    train = Trainer()
    (heat,) = race(STUDY, tmp_path / "w", train, budget=0.0)
    assert [name for name, _ in train.stages] == ["screening"]
    assert heat.decision is None
    assert heat.stopped == "the budget does not allow the stage beyond-1-0.9"


def test_nothing_learned_is_said(tmp_path):
    train = Trainer(of=lambda scheme, rate, seed: CHANCE)
    (heat,) = race(STUDY, tmp_path / "w", train)
    assert heat.decision is None
    assert heat.stopped == "no scheme learned anything in screening"
    assert [name for name, _ in train.stages] == ["screening"]


def test_luck_chooses_nobody_where_nothing_is_learned(tmp_path):
    """Nets that always give one answer hit a little more or less than chance."""

    def stuck(scheme, rate, seed):
        return 0.12 - 0.03 * (seed % 2)

    train = Trainer(of=stuck)
    (heat,) = race(STUDY, tmp_path / "w", train)
    assert [name for name, _ in train.stages] == ["screening"]
    assert heat.decision is None and "learned anything" in heat.stopped

    def only_screened(scheme, rate, seed):
        return accuracy(scheme, rate, seed) if seed < 3 else 0.1

    (heat,) = race(STUDY, tmp_path / "v", Trainer(of=only_screened))
    assert heat.decision is None
    assert heat.stopped == "no scheme learned anything on fresh seeds"
    # Nor is it a verdict where the race is stopped in between.
    for most in range(1, 8):
        (heat,) = race(STUDY, tmp_path / str(most), Trainer(most, of=only_screened))
        assert heat.decision is None


def test_programs_are_raced_one_by_one(tmp_path):
    train = Trainer()
    one, two = race(STUDY.replace(depth=(2, 4)), tmp_path / "w", train)
    assert (one.label, two.label) == ("depth=2", "depth=4")
    assert len({study.depth for _, study in train.stages}) == 2


def test_another_race_or_other_files_are_left_alone(tmp_path):
    race(STUDY, tmp_path / "w", Trainer())
    with pytest.raises(UserError, match="another race \\(its margin differs"):
        race(STUDY, tmp_path / "w", Trainer(), margin=0.1)
    with pytest.raises(UserError, match="its study differs"):
        race(STUDY.replace(steps=3), tmp_path / "w", Trainer())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        race(STUDY, tmp_path / "full", Trainer())


@pytest.mark.parametrize(
    ("study", "options", "words"),
    [
        (STUDY.replace(schemes=("good",)), {}, "two at least"),
        (STUDY, {"margin": 0.0}, "margin=0.0"),
        (STUDY, {"margin": float("nan")}, "margin=nan"),
        (STUDY, {"protocol": Protocol(1.0, looks=(3,))}, "from 5 on"),
    ],
)
def test_what_cannot_be_raced_is_one_line_and_nothing_is_written(
    study, options, words, tmp_path
):
    with pytest.raises(UserError, match=words):
        race(study, tmp_path / "w", Trainer(), **options)
    assert not (tmp_path / "w").exists()


def test_the_words_are_those_of_the_decision(tmp_path):
    (heat,) = race(STUDY, tmp_path / "w", Trainer(), margin=0.02)
    said = decision_sentence("cnn", heat.decision)
    assert said.startswith("cnn: the typically best scheme is among ")
    assert "worse than" in said and "bad (−2" in said
    assert "practically equal to" in said
    assert "differences below 2.0 points do not matter" in said
    table = decision_table(heat.decision, heat.test, heat.choices).splitlines()
    assert len(table) == 4 and table[1].split()[0] == heat.decision.candidate
    assert table[-1].split()[0] == "bad" and table[-1].endswith("WORSE")


def test_a_document_holds_all_of_it(tmp_path):
    heats = race(STUDY, tmp_path / "w", Trainer(), margin=0.02)
    stopped = race(STUDY, tmp_path / "v", Trainer(1))
    for found in (heats, stopped):
        document = json.loads(json.dumps(to_document(found), allow_nan=False))
        again = from_document(document)
        np.testing.assert_equal(again[0]._asdict(), found[0]._asdict())


def test_the_page_says_what_was_decided(tmp_path):
    study = STUDY.replace(question="<b>Which?</b>", depth=(2, 4))
    heats = race(study, tmp_path / "w", Trainer(), margin=0.02)
    plan = json.loads((tmp_path / "w" / RACE).read_text())
    page = render_race(heats, plan, ["x/screening", "x/fresh-5"])
    assert page.isascii() and "&lt;b&gt;Which?&lt;/b&gt;" in page
    # Of each program the runs, and the differences.
    assert page.count("<svg") == 4 and 'href="x/screening/report.html"' in page
    assert ">verdict</th>" in page and "WORSE" in page
    (stopped, _) = race(study, tmp_path / "v", Trainer(1))
    page = render_race((stopped,), plan, [])
    assert "no verdict, it was stopped" in page and "<svg" not in page


def test_programs_race_in_turns(tmp_path):
    """A budget or a stop in the middle leaves no program without its screening."""
    study, trainer = STUDY.replace(depth=(1, 2, 3)), Trainer()
    race(study, tmp_path / "whole", trainer, Protocol(margin=1.0), 0.02)
    names = [name for name, _ in trainer.stages]
    screened = [i for i, name in enumerate(names) if name == "screening"]
    fresh = [i for i, name in enumerate(names) if name.startswith("fresh")]
    assert len(screened) == 3 and max(screened) < min(fresh)
    looks = [name.split("-")[1] for name in names if name.startswith("fresh")]
    assert looks == sorted(looks, key=int)
    depths = [trainer.stages[i][1].depth for i in screened]
    assert depths == [(1,), (2,), (3,)]


def test_one_program_can_be_decided_first(tmp_path):
    """All of the first one's stages come before any of the next."""
    study, trainer = STUDY.replace(depth=(1, 2, 3)), Trainer()
    whole = race(study, tmp_path / "w", trainer, Protocol(margin=1.0), 0.02)
    first = race(
        study, tmp_path / "v", trainer, Protocol(margin=1.0), 0.02, None, "first"
    )
    np.testing.assert_equal(first[2]._asdict(), whole[2]._asdict())
    names = [name for name, _ in trainer.stages[len(trainer.stages) // 2 :]]
    begins = [i for i, name in enumerate(names) if name == "screening"]
    assert begins == [0, len(names) // 3, 2 * len(names) // 3]


def test_a_margin_that_no_program_can_meet_stops_that_program_alone(tmp_path):
    """Others race on, and the decision is written."""
    study = STUDY.replace(depth=(1, 2))
    heats = race(study, tmp_path / "w", Trainer(), margin=0.95)
    assert [heat.decision for heat in heats] == [None, None]
    assert all("a margin of 95 points is not below" in heat.stopped for heat in heats)
    assert read_heats(tmp_path / "w")[0].stopped == heats[0].stopped


@pytest.mark.parametrize("text", ["[{}]", "[3]", '[{"choices": []}]', "not json"])
def test_a_decision_of_another_version_is_one_line(tmp_path, text):
    (tmp_path / "decision.json").write_text(text)
    with pytest.raises(UserError, match="is of another version"):
        read_heats(tmp_path)
