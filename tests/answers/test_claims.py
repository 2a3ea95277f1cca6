"""Claims are judged by where the interval of a measured quantity lies."""

import json
from dataclasses import dataclass, field
from importlib import resources

import numpy as np
import pytest

from init_study.answers.claims.claim import (
    Claim,
    Part,
    Verdict,
    above,
    below,
    between,
    number,
    rule_text,
)
from init_study.answers.claims.combinations import (
    Average,
    Check,
    Difference,
    Exceeds,
)
from init_study.answers.claims.evidence import Evidence
from init_study.answers.claims.judging import judge, verdict_of_parts
from init_study.answers.claims.ledger import (
    VERDICT_WORDS,
    contradictions,
    rows,
    summary,
    to_ledger,
)
from init_study.report.ledger_page import render_ledger

NOTHING = Evidence({}, {})


def test_checks_are_found_in_what_is_made_of_them():
    start, shared, third = (Check(name, name) for name in ("start", "shared", "third"))
    made = Exceeds(start, Difference(shared, start), by=0.02)
    both = Average("both", (third, shared))
    rules = (above(made, 0.5), below(both, 1.0))
    assert claim(*rules).checks() == {"start", "shared", "third"}


@dataclass(frozen=True)
class Given:
    """A quantity whose values are known."""

    of: tuple[float, ...]
    kind: str = "mean"
    unit: str = ""
    text: str = field(default="the number")

    def values(self, evidence):
        return np.array(self.of)

    def studies(self):
        return frozenset({"study"})


def claim(*predictions, **fields):
    return Claim(
        number=fields.pop("number", 1),
        section="1",
        original="原文",
        text="It is so.",
        predictions=predictions,
        **fields,
    )


def verdict(*predictions):
    return judge(claim(*predictions), NOTHING).verdict


# Mean 1 and standard error 0.1: the 95 % interval is 1 ± 0.226 (t with 9 degrees).
AROUND_ONE = Given(tuple(1 + 0.3 * np.array([-1, 1] * 5)))


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        (above(AROUND_ONE, 0.7), Verdict.SUPPORTED),
        (above(AROUND_ONE, 0.9), Verdict.UNDECIDED),
        (above(AROUND_ONE, 1.3), Verdict.REFUTED),
        (below(AROUND_ONE, 1.3), Verdict.SUPPORTED),
        (below(AROUND_ONE, 0.7), Verdict.REFUTED),
        (between(AROUND_ONE, 0.7, 1.3), Verdict.SUPPORTED),
        (between(AROUND_ONE, 0.9, 1.3), Verdict.UNDECIDED),
        (between(AROUND_ONE, 1.3, 2.0), Verdict.REFUTED),
    ],
)
def test_the_interval_decides(prediction, expected):
    assert verdict(prediction) is expected


def test_all_predictions_must_hold_and_one_that_fails_refutes():
    holds, fails, is_open = (above(AROUND_ONE, bound) for bound in (0.5, 1.5, 0.95))
    assert verdict(holds, holds) is Verdict.SUPPORTED
    assert verdict(holds, is_open) is Verdict.UNDECIDED
    assert verdict(is_open, fails, holds) is Verdict.REFUTED
    judged = judge(claim(holds, is_open, fails), NOTHING)
    assert judged.deciding is judged.parts[0].tested[2]


HOLDS, FAILS, OPEN = (Part("It.", (above(AROUND_ONE, b),)) for b in (0.3, 1.7, 0.95))
UNSEEN = Part("It.", reason="Taste.")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((HOLDS, HOLDS), Verdict.SUPPORTED),
        ((FAILS, FAILS), Verdict.REFUTED),
        ((HOLDS, FAILS), Verdict.PARTLY),
        ((FAILS, OPEN, HOLDS), Verdict.PARTLY),
        ((HOLDS, OPEN), Verdict.UNDECIDED),
        ((FAILS, OPEN), Verdict.UNDECIDED),
        ((OPEN, OPEN), Verdict.UNDECIDED),
        ((UNSEEN, UNSEEN), Verdict.NOT_TESTABLE),
        ((UNSEEN, HOLDS), Verdict.SUPPORTED),
        ((UNSEEN, FAILS), Verdict.REFUTED),
        ((UNSEEN, OPEN), Verdict.UNDECIDED),
        ((UNSEEN, HOLDS, FAILS), Verdict.PARTLY),
    ],
)
def test_the_verdict_follows_from_the_parts(parts, expected):
    assert judge(claim(parts=parts), NOTHING).verdict is expected


def test_a_verdict_is_given_where_no_open_part_could_change_it():
    """The table's principle: an open part may come to support or to refutation."""
    support, refute, is_open = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.UNDECIDED
    for known in ([support], [refute], [support, refute]):
        outcomes = {verdict_of_parts([*known, end]) for end in (support, refute)}
        expected = outcomes.pop() if len(outcomes) == 1 else is_open
        assert verdict_of_parts([*known, is_open]) is expected


def test_parts_share_the_level_of_their_claim():
    """1.23 is outside of the 95 % interval, 1 ± 0.226, and inside of 97.5 %'s."""
    alone = Part("It.", (above(AROUND_ONE, 1.23),))
    other = Part("And.", (below(AROUND_ONE, 9.0),))
    assert judge(claim(parts=(alone,)), NOTHING).verdict is Verdict.REFUTED
    assert judge(claim(parts=(alone, other)), NOTHING).verdict is Verdict.UNDECIDED


def test_a_part_that_cannot_be_checked_leaves_the_others():
    evidence = Evidence({}, {"norm": (1.0,)}, {"keras": "keras is not installed"})
    parts = (
        Part("It.", (above(Check("keras", "share"), 0.5),)),
        Part("And.", (above(Check("norm", "norm"), 0.5),)),
    )
    judged = judge(claim(parts=parts), evidence)
    assert judged.verdict is Verdict.SUPPORTED
    assert judged.parts[0].verdict is Verdict.NOT_TESTABLE
    assert judged.parts[0].reason == "keras is not installed"


def test_several_predictions_share_the_level():
    """1.23 is outside of the 95 % interval, 1 ± 0.226, and inside of 97.5 %'s."""
    alone = above(AROUND_ONE, 1.23)
    assert verdict(alone) is Verdict.REFUTED
    assert verdict(alone, below(AROUND_ONE, 9.0)) is Verdict.UNDECIDED


def test_fewer_than_five_seeds_decide_nothing():
    assert verdict(above(Given((1.0,) * 4), 0.5)) is Verdict.UNDECIDED
    assert verdict(above(Given((1.0,) * 5), 0.5)) is Verdict.SUPPORTED


def test_shares_have_exact_intervals():
    """Five of five is above one half with 0.03125 on one side only; six of six with
    0.0156 < 0.025."""
    for n, expected in ((5, Verdict.UNDECIDED), (6, Verdict.SUPPORTED)):
        assert verdict(above(Given((1.0,) * n, "share"), 0.5)) is expected


def test_one_case_is_a_counterexample():
    cases = Given((0.0, 1.0, 1.0), "cases")
    assert verdict(above(cases, 0.5)) is Verdict.REFUTED
    assert verdict(above(cases, -0.5)) is Verdict.SUPPORTED
    assert verdict(above(Given((0.0,), "cases"), 0.0)) is Verdict.REFUTED
    assert verdict(above(Given((np.nan,), "cases"), 0.0)) is Verdict.UNDECIDED


def test_what_is_not_a_number_decides_nothing():
    assert verdict(above(Given((np.nan,) * 9), 0.5)) is Verdict.UNDECIDED
    with np.errstate(invalid="ignore"):
        mixed = verdict(above(Given((1.0,) * 8 + (np.inf,)), 0.5))
    assert mixed is Verdict.UNDECIDED
    assert verdict(below(Given((-np.inf,) * 9), 0.5)) is Verdict.SUPPORTED


def test_a_claim_without_predictions_says_why():
    judged = judge(claim(reason="It is about taste."), NOTHING)
    assert judged.verdict is Verdict.NOT_TESTABLE and judged.deciding is None
    assert judged.reason == "It is about taste."


def test_a_check_that_cannot_be_made_decides_nothing():
    evidence = Evidence({}, {}, {"keras": "keras is not installed"})
    judged = judge(claim(above(Check("keras", "share"), 0.5)), evidence)
    assert judged.verdict is Verdict.NOT_TESTABLE
    assert judged.reason == "keras is not installed"


def test_the_rule_is_said_from_the_predictions():
    share = Given((1.0,), "share", "%", "share of runs")
    said = rule_text(claim(above(share, 0.5), below(Given((1.0,), "cases"), 2.0)))
    assert "share of runs is above 50 %" in said and "the number is below 2" in said
    assert "97.5 % interval" in said and "in every case" in said


def test_the_rule_says_its_parts():
    halves = (Part("It.", (above(AROUND_ONE, 0.5),)), UNSEEN, HOLDS)
    said = rule_text(claim(parts=halves))
    assert "Part a holds if the number is above 0.5." in said and "Part b" not in said
    assert "Part c holds if the number is above 0.3." in said
    assert "97.5 % interval" in said and "Partly true" in said


def test_numbers_are_said_with_their_unit():
    assert number(0.1234, "%") == "12.34 %"
    assert number(-2.5, "") == "−2.5"
    assert number(float("nan"), "%") == "–" and number(float("-inf"), "") == "−∞"


@pytest.fixture
def ledger():
    claims = (
        claim(above(AROUND_ONE, 0.5), number=1, against=(2,)),
        claim(above(AROUND_ONE, 1.5), below(AROUND_ONE, 9.0), number=2, against=(1,)),
        claim(above(Given((np.inf,) * 9), 0.9), number=3, literature="<b>Others</b>"),
        claim(number=4, reason="Taste."),
        claim(number=5, parts=(HOLDS, FAILS._replace(text="<u>And.</u>"), UNSEEN)),
    )
    judged = [judge(one, NOTHING) for one in claims]
    return {
        "title": "Is <it> so?",
        "kind": "claims",
        "command": "python launch.py claims",
        "studies": {},
        "claims": to_ledger(judged, {"study": "study"}),
    }


def test_the_ledger_is_strict_json_with_all_that_was_promised(ledger):
    assert json.loads(json.dumps(ledger, allow_nan=False)) == ledger
    wanted = {"number", "section", "text", "rule", "verdict", "effect", "n", "evidence"}
    assert all(wanted <= set(entry) for entry in ledger["claims"])
    first = ledger["claims"][0]
    assert first["verdict"] == "SUPPORTED" and first["n"] == 10
    assert first["effect"]["low"] == pytest.approx(1 - 0.2262, abs=1e-3)
    assert ledger["claims"][2]["effect"]["mean"] == "inf"


def test_the_summary_counts(ledger):
    assert summary(ledger) == (
        "5 claims: 2 supported, 1 partly, 1 refuted, none undecided, 1 not testable."
    )
    assert "1 reproduced" not in summary(ledger)
    assert "2 reproduced, 1 partly reproduced" in summary(ledger | {"kind": "results"})
    assert rows(ledger)[1]["measured"] == "1 (0.731 to 1.27)"


def test_parts_are_told_with_their_verdicts_everywhere(ledger):
    entry = ledger["claims"][4]
    assert entry["verdict"] == "PARTLY"
    told = [(part["part"], part["verdict"]) for part in entry["parts"]]
    assert told == [("a", "SUPPORTED"), ("b", "REFUTED"), ("c", "NOT TESTABLE")]
    assert entry["parts"][2]["reason"] == "Taste."
    assert [one["part"] for one in entry["evidence"]] == ["a", "b"]
    table = {row["no"]: row for row in rows(ledger)}
    assert table["5"]["verdict"] == "PARTLY" and table["5b"]["verdict"] == "REFUTED"
    assert table["5a"]["n"] == 10 and table["5c"]["n"] == "–"
    page = render_ledger(ledger)
    assert page.count('class="part"') == 3 and "<u>" not in page
    assert 'id="show-partly"' in page and "Taste." in page


def test_every_verdict_has_a_word_and_a_colour():
    styles = (resources.files("init_study.report") / "ledger.css").read_text()
    for verdict in Verdict:
        assert all(verdict in words for words in VERDICT_WORDS.values())
        name = verdict.lower().replace(" ", "-")
        assert f"--{name}:" in styles and f"#show-{name}:checked" in styles


def test_a_contradiction_is_shown_once(ledger):
    ((one, others),) = contradictions(ledger)
    assert one["number"] == 1 and [other["number"] for other in others] == [2]


def test_the_page_says_all_and_escapes_it(ledger):
    page = render_ledger(ledger)
    assert "Is &lt;it&gt; so?" in page and "<b>Others</b>" not in page
    assert page.count("<article") == 5 and page.isascii()
    assert "Where the text contradicts itself" in page
    assert "Not testable: Taste." in page
