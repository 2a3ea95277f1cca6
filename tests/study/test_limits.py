"""No number of a study is taken at its word: what no machine serves is refused."""

import tracemalloc

import pytest

from init_study.errors import UserError
from init_study.execution import parse_execution
from init_study.models import build_model
from init_study.study import Study
from init_study.study.limits import MOST_MEMBERS

BASE = {"schemes": "zeros", "learning_rates": 0.1}
SAID = {
    "seeds": (10**9, "seeds=1000000000 is too large"),
    "fresh_seeds": (10**9, "fresh_seeds=1000000000 is too large"),
    "steps": (10**12, "steps=1000000000000 is too large"),
    "batch_size": (2**31, "batch_size=2147483648 is too large"),
    "width": (10**30, "is too large"),
    "depth": (range(1, 1002), "1,001 programs"),
    "image_size": (10**10, "image_size=10000000000 is too large"),
    "chunk_width": (10**9, "chunk_width=1000000000 is too large"),
}


@pytest.mark.parametrize("field", SAID)
def test_a_number_that_no_machine_serves_is_refused_in_one_line(field):
    value, said = SAID[field]
    tracemalloc.start()
    with pytest.raises(UserError, match=said) as caught:
        Study(**BASE | {field: value})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20, "nothing is listed by the number"
    assert "\n" not in str(caught.value)


def test_members_are_counted_before_they_are_listed():
    # 2 schemes × 50,000 rates × 5 seeds.
    rates = [float(i) for i in range(1, 50_001)]
    with pytest.raises(UserError, match="500,000 members: 100,000 of schemes and"):
        Study(schemes=("zeros", "he_normal"), learning_rates=rates)
    most = Study(**BASE | {"seeds": MOST_MEMBERS})
    assert len(most.members()) == MOST_MEMBERS
    with pytest.raises(UserError, match=r"learning_rates lists 3\.0 twice"):
        Study(schemes="zeros", learning_rates=[*rates, 3.0])


def test_only_what_is_measured_counts_as_evaluations():
    assert Study(**BASE | {"evaluations": 10**9}).programs()[0].evaluation_steps()
    with pytest.raises(UserError, match="measures 1,000,000 times"):
        Study(**BASE | {"evaluations": 10**9, "steps": 10**6})


def test_a_depth_that_would_be_followed_for_minutes_is_refused():
    for model in ("cnn", "resnet", "plain_circular"):
        with pytest.raises(UserError, match=f"depth=100000 of model '{model}'"):
            build_model(model, 10, {"depth": 100_000})
    assert build_model("cnn", 10, {"depth": 1000}).depth == 1000


def test_an_execution_is_no_wider_than_any_study():
    assert parse_execution(f"xla/{MOST_MEMBERS}").chunk_width == MOST_MEMBERS
    for width in ("100001", "9" * 5000):
        with pytest.raises(UserError, match="wider than any study has members"):
            parse_execution(f"xla/{width}")
