"""Ranks, intervals and rules, against scipy and sums by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from init_study.advice.agreement import (
    agreement,
    better_than,
    interval,
    rank_correlation,
    regret,
)
from init_study.advice.evidence_of_start import StartEvidence
from init_study.advice.measured import ADVICE, DEFAULT, measure_advice, quality_text
from init_study.advice.settings import (
    NetKind,
    RacedScheme,
    Setting,
    SettingsTable,
    distance,
    nearest_settings,
    read_settings,
    shipped_path,
    write_settings,
)
from init_study.cli import shipped
from init_study.errors import UserError

PLAIN = NetKind(5, "relu", False, False, 64, 10)


@pytest.mark.parametrize("seed", range(4))
def test_ranks_are_scipys_ties_included(seed):
    generator = np.random.default_rng(seed)
    one, other = generator.integers(0, 4, size=(2, 12)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other)[0])


def test_several_first_choices_lose_what_they_lose_on_average():
    assert regret(
        np.array([1.0, 1.0, 0.0]), np.array([0.4, 0.8, 1.0])
    ) == pytest.approx(0.4)


def test_an_interval_is_of_families():
    """Twenty settings of one family tell no more than one does."""
    few = interval(np.arange(20.0), ["a"] * 20)
    assert few is None
    values = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 5)
    low, high = interval(values, np.repeat(list("abcdef"), 5))
    # The standard error of six families' mean, at 1.96: not that of thirty settings.
    half = 1.96 * np.std([0, 1, 2, 3, 4, 5]) / 6**0.5
    assert (low, high) == pytest.approx((2.5 - half, 2.5 + half), abs=0.2)


def test_an_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        families = np.repeat(np.arange(12), 3)
        values = np.repeat(generator.normal(size=12), 3) + generator.normal(size=36) / 4
        low, high = interval(values, families)
        inside += low <= 0 <= high
    assert inside >= 84


def test_settings_where_the_race_found_nothing_do_not_count():
    found = agreement(np.array([np.nan, 0.5]), np.array([9.0, 0.1]), ["a", "b"])
    assert (found.settings, found.mean, found.regret) == (1, 0.5, pytest.approx(10))
    pair = better_than(np.array([np.nan, 0.5]), np.array([0.0, 0.2]), ["a", "b"])
    assert pair["difference"] == pytest.approx(0.3)


def setting(name, family, speeds, accuracies, described=PLAIN):
    evidence = StartEvidence(*[1.0] * len(StartEvidence._fields))
    names = ["he_normal", "flax", "torch", "orthogonal"]
    return Setting(
        name,
        family,
        "digits",
        described,
        0.1,
        tuple(
            RacedScheme(name, value, (value, value - 0.01, value), 1.0, one)
            for name, value, one in zip(
                names,
                accuracies,
                (evidence._replace(speed=float(speed)) for speed in speeds),
                strict=True,
            )
        ),
    )


def test_advice_that_is_right_everywhere_agrees_wholly_and_says_it_is_better():
    settings = [
        setting(f"s{i}", f"f{i % 6}", [0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.5, 0.9])
        for i in range(12)
    ]
    found = measure_advice(settings)
    assert found.ways[ADVICE][2:] == (1, 1, 1, 0)
    # He first, the others tied: 4 ranks against 2.5 + 1.5, 2, 2, 2.
    ranks = spearmanr([1, 0, 0, 0], [1, 2, 3, 4])[0]
    assert min(w.mean for w in found.ways.values()) == pytest.approx(ranks)
    assert "better than both" in " ".join(quality_text(found))
    assert (found.in_range, found.ranges) == (1.0, 48)


def test_advice_that_is_no_better_says_so():
    settings = [
        setting(f"s{i}", f"f{i % 6}", [0.1, 0.4, 0.3, 0.2], [0.2, 0.9, 0.2, 0.2])
        for i in range(12)
    ]
    text = " ".join(quality_text(measure_advice(settings)))
    assert f"not shown to rank better than: {DEFAULT}" in text


def test_few_settings_have_no_interval_and_it_is_said():
    found = measure_advice([setting("s", "f", [1, 2, 3, 4], [0.2, 0.3, 0.4, 0.5])])
    assert found.ways[ADVICE].low is None
    assert "too few settings" in " ".join(quality_text(found))


def test_a_table_comes_back_as_it_was_written(tmp_path):
    one = setting("s", "f", [float("nan"), 2, 3, 4], [0.2, 0.3, 0.4, 0.5])
    write_settings(tmp_path / "t.parquet", SettingsTable((one,), {"date": "now"}))
    back = read_settings(tmp_path / "t.parquet")
    assert back.about["date"] == "now"
    assert str(back.settings) == str((one,))


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_a_damaged_table_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged") as error:
        read_settings(path)
    assert "\n" not in str(error.value)


def test_a_table_that_is_not_there_or_another_is_told(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(UserError, match="not there"):
        read_settings(tmp_path / "none.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match="no table of settings"):
        read_settings(tmp_path / "other.parquet")


def test_the_shipped_table_is_small_and_of_settings_that_are_listed():
    table = read_settings()
    listed = shipped.experiment("settings").SETTINGS
    assert shipped_path().stat().st_size <= 2_000_000
    assert len(table.settings) >= 30
    for one in table.settings:
        assert tuple(s.scheme for s in one.schemes) == listed[one.name].schemes
        assert one.dataset in listed[one.name].dataset
        # The mean of three is rounded.
        assert all(one.chance - 1e-9 <= s.accuracy <= 1 for s in one.schemes)
    assert {"command", "versions", "machine", "seconds", "date"} <= set(table.about)


def test_the_nearest_setting_is_the_same_net():
    deep = PLAIN._replace(layers=40)
    tanh = PLAIN._replace(activation="tanh")
    settings = [
        setting(name, "f", [1, 2, 3, 4], [1, 2, 3, 4], described)
        for name, described in (("deep", deep), ("tanh", tanh), ("same", PLAIN))
    ]
    assert [one.name for one in nearest_settings(settings, PLAIN)] == [
        "same",
        "tanh",
        "deep",
    ]
    assert distance(PLAIN, PLAIN) == 0 and distance(PLAIN, tanh) == 1
    assert distance(PLAIN, PLAIN._replace(normed=True, residual=True)) == 4
