"""Words that read a folder find the runs in it: one, a race's, an examination's."""

import json

import numpy as np
import pandas as pd
import pytest

from init_study import store
from init_study.answers.verdicts.protocol import Protocol
from init_study.cli.words.status import status_overview
from init_study.race import race_document
from init_study.study import Study

STUDY = Study(
    name="tiny",
    schemes=("he_normal", "zeros"),
    learning_rates=(0.1,),
    seeds=2,
    depth=(1, 2),
    steps=4,
    evaluations=2,
)
DATA = {"train": 9, "validation": 9, "test": 9, "num_classes": 10, "chance": 0.1}


def make_run(folder, study, last=None):
    """A run on disk, up to a step."""
    folder.mkdir(parents=True)
    data = DATA | {"checksums": {}}
    facts = {"chunk_width": 1, "convolution": "xla"}
    manifest = {
        "study": study.to_dict(),
        "data": {"digits": data},
        "programs": {program.id: facts for program in study.programs()},
        "sessions": [{"seconds": 1.0}],
    }
    store.write_manifest(folder, manifest)
    recorder, members = store.Recorder(folder), len(study.members())
    for program in study.programs():
        for step in (0, *program.evaluation_steps()):
            if last is None or step <= last:
                shares = np.full(members, step / program.steps, np.float32)
                recorder.append(program, step, {"validation/accuracy": shares})
    return folder


def only(depth, **changes):
    return STUDY.replace(depth=(depth,), **changes)


@pytest.fixture
def raced(tmp_path):
    """A race of two programs; the second one's fresh seeds have just begun."""
    folder = tmp_path / "runs" / f"tiny-{STUDY.hash[:8]}-decided"
    folder.mkdir(parents=True)
    race = {"study": STUDY.to_dict(), "protocol": {}, "margin": None}
    (folder / store.RACE).write_text(json.dumps(race))
    first, second = STUDY.programs()
    make_run(folder / first.id / "screening", only(1))
    make_run(folder / second.id / "screening", only(2))
    make_run(folder / second.id / "fresh-5", only(2, seeds=(3, 4)), last=-1)
    (tmp_path / "tiny.json").write_text(json.dumps(STUDY.to_dict()))
    return folder


@pytest.fixture
def claims(tmp_path):
    """Claims on three studies: done, half done, not begun."""
    folder = tmp_path / "claims"
    studies = {name: STUDY.replace(name=name) for name in ("a", "b", "c")}
    folder.mkdir()
    plain = {name: study.to_dict() for name, study in studies.items()}
    rules = {"claims": [], "studies": plain}
    (folder / store.RULES).write_text(json.dumps(rules))
    make_run(folder / "a", studies["a"])
    make_run(folder / "b", studies["b"], last=2)
    return folder


def test_status_of_a_race_has_a_row_for_every_stage(raced, call):
    named = call("status", f"--workdir={raced}", "--json")
    asked = call("status", "--study=tiny.json", "--until=decided", "--json")
    assert named[0] == asked[0] == 0
    shown = json.loads(named[1])
    assert shown["programs"] == json.loads(asked[1])["programs"]
    rows = {(row["stage"], row["step"], row["done"]) for row in shown["programs"]}
    assert rows == {("screening", 4, True), ("fresh-5", 0, False)}
    assert not shown["done"] and len(shown["sessions"]) == 3
    assert "fresh-5" in call("status", f"--workdir={raced}")[1]


def test_a_plan_of_a_race_says_what_its_screening_has_done(raced, call):
    race = race_document(STUDY, Protocol(margin=1.0), None)
    (raced / store.RACE).write_text(json.dumps(race))
    code, out, err = call("plan", "--study=tiny.json", "--until=decided", "--json")
    assert code == 0, err
    shown = json.loads(out)
    assert [row["done"] for row in shown["programs"]] == [4, 4]
    assert shown["seconds"] == 0.0, "all of it"


def test_status_of_claims_has_a_row_for_every_study_and_program(claims, call):
    code, out, err = call("status", f"--workdir={claims}", "--json")
    assert code == 0, err
    shown = json.loads(out)
    rows = [(r["stage"], r["program"], r["step"], r["done"]) for r in shown["programs"]]
    assert rows == [
        *(("a", f"depth={depth}", 4, True) for depth in (1, 2)),
        *(("b", f"depth={depth}", 2, False) for depth in (1, 2)),
        *(("c", f"depth={depth}", 0, False) for depth in (1, 2)),
    ]
    assert not shown["done"]


def test_claims_are_done_when_their_verdicts_are_written(claims, call):
    make_run(claims / "c", STUDY.replace(name="c"))
    (program, other) = STUDY.programs()
    shares = {"validation/accuracy": np.zeros(4, np.float32)}
    recorder = store.Recorder(claims / "b")
    recorder.append(program, 4, shares)
    recorder.append(other, 4, shares)
    assert not status_overview(claims)["done"]
    code, _, err = call("status", f"--workdir={claims}")
    assert code == 0 and err.startswith(f"{claims / store.LEDGER} is not there")
    (claims / store.LEDGER).write_text("{}")
    assert status_overview(claims)["done"]
    assert call("status", f"--workdir={claims}")[2] == ""


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_export_of_a_race_has_all_records_with_their_stage(raced, call, suffix):
    target = raced / f"all.{suffix}"
    code, out, err = call("export", f"--workdir={raced}", f"--to={target}", "--json")
    assert code == 0, err
    table = pd.read_csv(target) if suffix == "csv" else pd.read_parquet(target)
    assert json.loads(out) == {"records": len(table), "to": str(target)}
    assert table.columns[0] == "stage" and set(table.stage) == {"screening"}
    assert len(table) == 2 * 3 * 4 and table.program.nunique() == 2


@pytest.mark.parametrize("word", ["status", "export"])
def test_a_stage_without_its_manifest_is_missed(raced, call, word):
    """Its records would silently not be there."""
    (path,) = raced.glob(f"{STUDY.programs()[0].id}/screening/{store.MANIFEST}")
    path.unlink()
    to = [f"--to={raced / 'all.csv'}"] if word == "export" else []
    code, out, err = call(word, f"--workdir={raced}", *to)
    assert (code, out) == (65, "") and err.count("\n") == 1
    assert str(path) in err and "repair" in err


def test_export_of_claims_has_all_records_with_their_study(claims, call):
    target = claims / "all.csv"
    code, _, err = call("export", f"--workdir={claims}", f"--to={target}")
    assert code == 0, err
    counts = pd.read_csv(target).stage.value_counts()
    assert counts.to_dict() == {"a": 2 * 3 * 4, "b": 2 * 2 * 4}
    code, _, err = call("export", f"--workdir={claims}", f"--to={target}")
    assert code == 73 and "exists" in err, "nothing is overwritten"


def test_export_before_the_first_record_is_one_line(claims, call, tmp_path):
    for name in ("a", "b"):
        (claims / name / store.RECORDS).unlink()
    code, _, err = call("export", f"--workdir={claims}", "--to=all.csv")
    assert code == 64 and "holds no records yet" in err
    assert not (tmp_path / "all.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--study.depth=3", "another study (depth: [3] here, [1, 2] there)"),
        ("--study.seeds=5", "another study (seeds"),
        ("--until=decided", "holds no race; leave out --until"),
    ],
)
@pytest.mark.parametrize("word", ["status", "export"])
def test_a_folder_that_is_named_and_a_study_must_agree(
    word, words, said, call, tmp_path
):
    make_run(tmp_path / "w", STUDY)
    (tmp_path / "tiny.json").write_text(json.dumps(STUDY.to_dict()))
    to = ["--to=all.csv"] if word == "export" else []
    asked = ("--workdir=w", "--study=tiny.json", *words.split(), *to)
    code, out, err = call(word, *asked)
    assert code == 64 and out == "" and err.count("\n") == 1 and said in err


def test_a_folder_and_its_own_study_do_agree(call, tmp_path, raced, claims):
    make_run(tmp_path / "w", STUDY)
    same = ("--study=tiny.json", "--study.depth=1,2")
    assert call("status", "--workdir=w", *same)[0] == 0
    assert call("status", f"--workdir={raced}", *same, "--until=decided")[0] == 0
    code, _, err = call("status", f"--workdir={claims}", *same)
    assert code == 64 and "claims, which have studies of their own" in err


def older(manifest, change):
    manifest = json.loads(json.dumps(manifest))
    change(manifest)
    return manifest


OLDER = {
    "a field that is gone": lambda m: m["study"].update(colour=["blue"]),
    "a value that is gone": lambda m: m["study"].update(schedule=["stairs"]),
    "no study": lambda m: m.pop("study"),
    "other programs": lambda m: m.update(programs={"abc": {}}),
    "less of a program": lambda m: next(iter(m["programs"].values())).clear(),
    "less of the data": lambda m: m["data"]["digits"].pop("chance"),
}


@pytest.mark.parametrize("change", OLDER)
@pytest.mark.parametrize("word", ["status", "report", "export --to=a.csv", "run"])
def test_a_folder_of_another_version_is_one_line(word, change, call, tmp_path):
    folder = make_run(tmp_path / "w", STUDY)
    store.write_manifest(folder, older(store.read_manifest(folder), OLDER[change]))
    before = sorted(tmp_path.rglob("*"))
    code, out, err = call(*word.split(), "--workdir=w")
    assert code == 65 and out == "" and err.count("\n") == 1
    assert "w was written by another version of init_study" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_manifest_is_one_line(call, tmp_path):
    folder = make_run(tmp_path / "w", STUDY)
    (folder / store.MANIFEST).write_text("{")
    code, _, err = call("status", "--workdir=w")
    assert code == 65 and "manifest.json is damaged" in err
