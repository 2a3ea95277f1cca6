"""An examination: what it runs, what it writes, what stops it."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from init_study.answers.claims.claim import Claim, Verdict, above, below
from init_study.answers.claims.combinations import Check, Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy
from init_study.errors import UserError
from init_study.examine import CannotCheck, examine
from init_study.report import write_report
from init_study.store import CHECKS, LEDGER, RULES, read_document
from init_study.study import Study

STUDIES = {
    name: Study(
        name=name, schemes=("he", "zeros"), learning_rates=0.1, seeds=6, steps=2
    )
    for name in ("first", "second", "third")
}
ACCURACY = {"he": 0.9, "zeros": 0.1}


def claim(number, *predictions, **fields):
    return Claim(number, "1", "", f"Claim {number}.", "", predictions, **fields)


def gap(study):
    he, zeros = (Accuracy(runs(study, scheme)) for scheme in ("he", "zeros"))
    return Difference(he, zeros)


CLAIMS = (
    claim(1, above(gap("first"), 0.5)),
    claim(2, below(gap("first"), 0.5), above(gap("second"), 0.5)),
    claim(3, above(Check("three", "three"), 2.5)),
    claim(4, above(Check("absent", "keras"), 2.5)),
    claim(5, reason="Taste."),
)


class Trainer:
    def __init__(self, most=9):
        self.studies, self.most = [], most

    def __call__(self, study, folder):
        if len(self.studies) == self.most:
            return None
        self.studies.append((study.name, folder.name))
        (program,) = study.programs()
        rows = []
        for m in study.members():
            value = ACCURACY[m.scheme] + 0.001 * m.seed * (m.scheme == "he")
            own = {**dataclasses.asdict(m), "program": program.id, "step": 2}
            for split, metric, number in (
                ("validation", "accuracy", value),
                ("test", "accuracy", value),
                ("train", "diverged_step", np.nan),
            ):
                rows.append({**own, "split": split, "metric": metric, "value": number})
        manifest = {
            "data": {"digits": {"chance": 0.1, "test": 100, "validation": 100}},
            "sessions": [{"seconds": 1.25}, {"seconds": 2.0}],
            "versions": {"jax": "0"},
            "git": {"commit": "c"},
        }
        return pd.DataFrame(rows), pd.DataFrame(), manifest


class Counter:
    """A check that notes how often it was asked."""

    def __init__(self, result):
        self.asked, self.result = 0, result

    def __call__(self):
        self.asked += 1
        if isinstance(self.result, str):
            raise CannotCheck(self.result)
        return self.result


def checks():
    return {"three": Counter([3.0, 3.5]), "absent": Counter("keras is not there")}


def judge_all(folder, trainer=None, given=None, claims=CLAIMS, studies=STUDIES):
    return examine(
        claims,
        studies,
        given or checks(),
        folder,
        trainer or Trainer(),
        title="Is it so?",
        command="python launch.py claims",
    )


def test_it_runs_what_the_claims_need_and_judges(tmp_path):
    trainer = Trainer()
    judged = judge_all(tmp_path / "w", trainer)
    assert trainer.studies == [("first", "first"), ("second", "second")]
    assert [one.verdict for one in judged] == [
        Verdict.SUPPORTED,
        Verdict.REFUTED,
        Verdict.SUPPORTED,
        Verdict.NOT_TESTABLE,
        Verdict.NOT_TESTABLE,
    ]
    ledger = json.loads((tmp_path / "w" / LEDGER).read_text())
    assert [c["number"] for c in ledger["claims"]] == [1, 2, 3, 4, 5]
    assert ledger["claims"][3]["reason"] == "keras is not there"
    assert ledger["claims"][0]["evidence"][0]["runs"] == ["first"]
    assert ledger["studies"]["first"]["seconds"] == 3.2
    assert ledger["studies"]["first"]["members"] == 12


def test_the_rules_are_written_before_the_first_run(tmp_path):
    def train(study, folder):
        assert json.loads((tmp_path / "w" / RULES).read_text())["claims"][0]["rule"]
        return Trainer()(study, folder)

    judge_all(tmp_path / "w", train)


def test_one_that_was_stopped_goes_on(tmp_path):
    assert judge_all(tmp_path / "w", Trainer(most=1)) is None
    assert not (tmp_path / "w" / LEDGER).exists()
    with pytest.raises(UserError, match="has not come to its verdicts"):
        write_report(tmp_path / "w")
    assert judge_all(tmp_path / "w") is not None


def test_checks_are_made_once_and_missing_ones_again(tmp_path):
    given = checks()
    for _ in range(2):
        judge_all(tmp_path / "w", given=given)
    assert given["three"].asked == 1 and given["absent"].asked == 2
    assert read_document(tmp_path / "w" / CHECKS) == {"three": [3.0, 3.5]}


def test_rules_made_after_the_data_are_refused(tmp_path):
    judge_all(tmp_path / "w")
    moved = (claim(1, above(gap("first"), 0.4)), *CLAIMS[1:])
    with pytest.raises(UserError, match=r"other rules \(of claim 1\).*another folder"):
        judge_all(tmp_path / "w", claims=moved)
    longer = {name: study.replace(steps=(3,)) for name, study in STUDIES.items()}
    with pytest.raises(UserError, match="other studies"):
        judge_all(tmp_path / "w", studies=longer)


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        judge_all(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
