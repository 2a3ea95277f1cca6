"""`launch.py advise`: what to try first, for people and for machines."""

import json
from types import SimpleNamespace

import pytest

from init_study.advice.settings import read_settings
from init_study.cli import shipped
from init_study.study import Study

NET = ("--model=cnn", "--study.depth=2", "--study.width=3")
FEW = ("advise", *NET, "--study.schemes=zeros,he_normal")


def is_one_line(err):
    return err.startswith("error: ") and err.count("\n") == 1


def test_a_ranking_for_machines_and_how_good_it_is(call):
    code, out, err = call(*FEW, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    (program,) = found["programs"]
    assert [one["scheme"] for one in program["ranking"]] == ["he_normal", "zeros"]
    assert program["ranking"][1]["speed"] == 0
    assert len(program["near"]) == 3 and len(program["profile"]) == 3
    assert found["verified"] == []
    assert any("Spearman" in line for line in found["quality"]["said"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--verify=soon",), "--verify=soon is no time; write 90s, 20m or 2h"),
        (("--workdir=here",), "race the advice: --verify=20m"),
        (("--verify=20m", "--settings=here"), "settings"),
        (("--model=linear",), "1 layers with weights"),
    ],
    ids=["no time", "a folder for nothing", "both races", "one layer"],
)
def test_what_cannot_be_meant_is_one_line(call, tmp_path, flags, said):
    words = [one for one in FEW if one != "--model=cnn" or "linear" not in flags[0]]
    if "linear" in flags[0]:
        words = ["advise", "--study.schemes=zeros,he_normal"]
    code, out, err = call(*words, *flags)
    assert code != 0 and out == "" and is_one_line(err) and said in err, err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_race_says_whether_the_advice_held(call, tmp_path):
    small = ("--study.steps=20", "--study.learning_rates=0.1", "--verify=3m")
    code, out, err = call(*FEW, *small, "--workdir=race")
    assert code == 0, err
    assert any(word in out for word in ("held", "did not hold", "undecided"))
    assert (tmp_path / "race" / "decision.json").exists()


@pytest.mark.slow
def test_settings_are_raced_once_and_put_into_a_table(call, monkeypatch, tmp_path):
    study = Study(
        name="tiny",
        schemes=("he_normal", "zeros"),
        learning_rates=(0.1, 0.3),
        seeds=(0, 1),
        depth=(1,),
        width=(2,),
        steps=(20,),
        evaluations=1,
    )
    families = SimpleNamespace(FAMILIES={"plain": (study,)})
    monkeypatch.setattr(shipped, "experiment", lambda name: families)
    code, out, err = call("advise", "--settings=out")
    assert code == 0 and "table: out/settings.parquet" in out, err
    table = read_settings(tmp_path / "out" / "settings.parquet")
    (found,) = table.settings
    he, zeros = found.schemes
    assert (found.name, found.family, found.described.layers) == ("tiny", "plain", 2)
    # Zeros give every image the answer that a bias alone gives.
    assert zeros.accuracy == pytest.approx(found.chance) and zeros.evidence.speed == 0
    assert he.accuracy == pytest.approx(sum(he.of_seeds) / 2, abs=0.2)
    assert table.about["command"].startswith("python launch.py advise")
    before = (tmp_path / "out" / "tiny" / "setting.parquet").stat().st_mtime_ns
    assert call("advise", "--settings=out")[0] == 0
    assert (tmp_path / "out" / "tiny" / "setting.parquet").stat().st_mtime_ns == before
