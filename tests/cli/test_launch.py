"""The launcher as a user meets it: a run, its answer, its report; again; elsewhere."""

import json
import time

import flax.linen as nn
import jax
import numpy as np
import orbax.checkpoint as ocp
import pandas as pd
import pytest
from calling import is_progress, launch, tiny

import init_study
from init_study.store import load


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder where the tiny study has been run; (folder, standard output)."""
    cwd = tmp_path_factory.mktemp("launch")
    code, out, err = launch(*tiny(), cwd=cwd)
    assert code == 0, err
    assert is_progress(err) and "compiling" in err and "trained in" in err, err
    return cwd, out


def test_run_ends_with_a_table_and_a_report(finished):
    cwd, out = finished
    (workdir,) = (cwd / "runs").iterdir()
    assert workdir.name.startswith("first_look-")
    assert "he_normal" in out and "zeros" in out
    assert f"report: {workdir.relative_to(cwd)}/report.html" in out
    page = (workdir / "report.html").read_text()
    assert "he_normal" in page and "zeros" in page


def test_the_same_command_again_only_renders(finished):
    cwd, out = finished
    (workdir,) = (cwd / "runs").iterdir()
    records = (workdir / "records.jsonl").read_bytes()
    code, again, _ = launch(*tiny(), cwd=cwd)
    assert code == 0 and again == out
    assert (workdir / "records.jsonl").read_bytes() == records


@pytest.mark.parametrize("word", ["report", "status", "plan"])
def test_json_is_one_document_and_nothing_else(finished, word):
    cwd, _ = finished
    code, out, err = launch(word, "--json", *tiny(), cwd=cwd)
    assert code == 0, err
    document = json.loads(out)
    if word == "plan":
        assert document["compilations"] == 0 and document["members"] == 12
        assert document["programs"][0]["done"] == 6
    if word == "status":
        assert document["done"] is True
    if word == "report":
        assert len(document["programs"]) == 1


def test_export_and_load_hold_the_same_records(finished, tmp_path):
    cwd, _ = finished
    (workdir,) = (cwd / "runs").iterdir()
    table = load(workdir)
    for suffix, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        target = tmp_path / f"records{suffix}"
        words = ("export", f"--workdir={workdir}", f"--to={target}")
        assert launch(*words, cwd=cwd)[0] == 0
        again = read(target)
        assert list(again.columns) == list(table.columns)
        assert (again.member == table.member).all()
        pd.testing.assert_series_equal(again.value, table.value)
    code, _, err = launch(*words, cwd=cwd)
    assert code != 0 and "exists" in err, "nothing is overwritten"


def test_a_trained_member_is_exported_as_plain_variables(finished, tmp_path):
    """Its parameters are those of the run's own network, and belong to its name."""
    cwd, _ = finished
    (workdir,) = (cwd / "runs").iterdir()
    words = ("export", f"--workdir={workdir}", f"--to={tmp_path / 'member'}")
    code, out, err = launch(*words, "--member=he_normal/lr=0.3/2", cwd=cwd)
    assert code == 0, err
    assert "he_normal/lr=0.3/2 of cnn" in out
    with ocp.StandardCheckpointer() as checkpointer:
        variables = checkpointer.restore(tmp_path / "member")
    assert set(variables) == {"params"}
    assert variables["params"]["Conv_0"]["kernel"].shape == (3, 3, 1, 2)
    for wrong, said in (
        (("--member=he_normal/lr=0.3/2",), "exists"),
        (("--member=he_normal/lr=0.3/99", f"--to={tmp_path / 'n'}"), "Did you mean"),
        (("--member=a", "--program=depth=9", f"--to={tmp_path / 'n'}"), "program"),
        (("--program=cnn",), "--member"),
    ):
        given = wrong if any("--to" in one for one in wrong) else (*wrong, words[2])
        code, _, err = launch(*words[:2], *given, cwd=cwd)
        wanted = 73 if said == "exists" else 64
        assert code == wanted and said in err and err.count("\n") == 1, err


def test_a_member_of_a_module_given_in_python_is_exported(tmp_path):
    """Neither the module nor its data are there when the launcher reads it."""
    generator = np.random.default_rng(0)
    data = generator.normal(size=(60, 4, 4, 1)), generator.integers(0, 2, 60)
    net = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(2)])
    options = {"schemes": ["flax"], "learning_rates": 0.1, "seeds": 2, "steps": 2}
    found = init_study.compare(
        net, data, workdir=tmp_path / "w", batch_size=8, **options
    )
    words = ("export", f"--workdir={tmp_path / 'w'}", f"--to={tmp_path / 'member'}")
    code, _, err = launch(*words, "--member=flax/lr=0.1/1", cwd=tmp_path)
    assert code == 0, err
    with ocp.StandardCheckpointer() as checkpointer:
        variables = checkpointer.restore(tmp_path / "member")
    own = found.params("flax", 1)
    jax.tree.map(np.testing.assert_array_equal, variables, own)


def test_a_plan_is_refused_where_its_run_would_be(finished):
    cwd, _ = finished
    (workdir,) = (cwd / "runs").iterdir()
    seeds = "--study.seeds=3"
    others = [flag for flag in tiny() if flag != seeds]
    assert len(others) == len(tiny()) - 1
    for flags, said in (
        (["--study.seeds=1"], "another study (seeds"),
        (["--until=decided"], "holds other files"),
        (["--until=decided", "--margin=-5"], "--margin=-5.0 is not"),
        (["--until=decided", "--margin=nan"], "--margin=nan is not"),
    ):
        code, _, err = launch("plan", *others, *flags, f"--workdir={workdir}", cwd=cwd)
        wanted = 64 if "--margin" in said else 73
        assert code == wanted and said in err and err.count("\n") == 1, err


def test_scalars_figures_and_a_watched_page(finished):
    cwd, _ = finished
    (workdir,) = (cwd / "runs").iterdir()
    assert launch("--tensorboard", *tiny(), cwd=cwd)[0] == 0
    events = list((workdir / "tensorboard").glob("*/events.*"))
    assert {path.parent.name for path in events} == {"he_normal", "zeros"}
    words = ("report", "--watch", "--figures=svg", f"--workdir={workdir}")
    code, _, err = launch(*words, cwd=cwd)
    assert code == 0 and "drawn again" in err
    assert (workdir / "figures" / "cnn-accuracy.svg").exists()
    assert (workdir / "figures" / "cnn-accuracy.csv").exists()


def test_a_published_result_is_run_again_and_judged(tmp_path):
    words = ("published", "--only=low_precision_draws")
    code, out, err = launch(*words, cwd=tmp_path)
    assert code == 0, err
    assert "1 result: 1 reproduced" in out
    workdir = tmp_path / "runs" / "published-low_precision_draws"
    ledger = json.loads((workdir / "claims.json").read_text())
    assert ledger["claims"][0]["verdict"] == "SUPPORTED"
    assert ledger["command"].endswith("launch.py published --only=low_precision_draws")
    code, again, _ = launch(
        "report", f"--workdir={workdir.relative_to(tmp_path)}", cwd=tmp_path
    )
    assert code == 0 and again == out


def test_another_studys_folder_is_refused_with_the_fields(finished):
    cwd, _ = finished
    (workdir,) = (cwd / "runs").iterdir()
    words = (f"--workdir={workdir}", *tiny(steps="7"))
    code, _, err = launch(*words, cwd=cwd)
    assert code == 73 and "steps: [7] here, [6] there" in err


def test_a_model_and_a_study_of_ones_own(tmp_path):
    (tmp_path / "own.py").write_text(
        "import flax.linen as nn\n"
        "class Net(nn.Module):\n"
        "    num_classes: int\n"
        "    @nn.compact\n"
        "    def __call__(self, x):\n"
        "        x = nn.Conv(2, (3, 3))(x).mean((1, 2))\n"
        "        return nn.Dense(self.num_classes)(x)\n"
    )
    study = {
        "name": "mine <b>",
        "schemes": ["he_normal", "module"],
        "learning_rates": [0.1],
        "seeds": 2,
        "model": "own:Net",
        "steps": 2,
    }
    (tmp_path / "mine.json").write_text(json.dumps(study))
    code, out, err = launch("--study=mine.json", "--json", cwd=tmp_path)
    assert code == 0, err
    report = tmp_path / json.loads(out)["report"]
    assert "mine &lt;b&gt;" in report.read_text()
    assert report.parent.parent == tmp_path / "runs", "a name cannot leave the folder"


@pytest.mark.slow
def test_a_race_ends_with_a_verdict_and_again_only_reads(tmp_path):
    study = (
        "--until=decided --workdir=w --looks=6,7 --study.depth=1 --study.width=4 "
        "--study.schemes=he_normal,zeros --study.learning_rates=0.1 --study.steps=60 "
        "--study.evaluations=1"
    ).split()
    words = ("run", "--margin=1", *study)
    code, planned, err = launch("plan", "--json", *study, cwd=tmp_path)
    assert code == 0, err
    plan = json.loads(planned)
    assert plan["members"] == 2 * 3 and plan["fresh_members"] == 2 * 7
    most = plan["seconds"] * (2 * 3 + 2 * 7) / (2 * 3)
    assert plan["most_seconds"] == pytest.approx(most, abs=0.2)
    assert not (tmp_path / "w").exists()
    code, out, err = launch(*words, cwd=tmp_path)
    assert code == 0 and is_progress(err), err
    for stage in ("cnn screening", "cnn fresh-6"):
        assert f"{stage}, 1 of 1, cnn: compiled in" in err
    said = " ".join(out.split())
    assert "is the best of 2 schemes; over all runs worse than he_normal: zeros" in said
    assert "on 6 fresh seeds" in said
    began = time.monotonic()
    code, document, _ = launch(*words, "--json", cwd=tmp_path)
    (heat,) = json.loads(document)["programs"]
    assert code == 0 and heat["decision"]["kind"] == "BEST"
    assert heat["decision"]["contrasts"][0]["kind"] == "WORSE"
    assert time.monotonic() - began < 60
    code, again, _ = launch("report", "--workdir=w", cwd=tmp_path)
    assert code == 0 and again == out
    page = (tmp_path / "w" / "report.html").read_text()
    assert (
        "he_normal is the best of 2 schemes" in page and "screening/report.html" in page
    )
    code, status, _ = launch("status", "--workdir=w", "--json", cwd=tmp_path)
    shown = json.loads(status)
    assert code == 0 and shown["done"]
    assert [row["stage"] for row in shown["programs"]] == ["fresh-6", "screening"]
    code, _, err = launch("run", "--margin=2", *study, cwd=tmp_path)
    assert code == 73 and "holds another race" in err
    # Ctrl-C between two stages leaves one that has begun and has no records.
    (program,) = {path.parent for path in (tmp_path / "w").glob("*/screening")}
    (program / "fresh-9-0.1").mkdir()
    manifest = (program / "screening" / "manifest.json").read_text()
    (program / "fresh-9-0.1" / "manifest.json").write_text(manifest)
    code, again, err = launch("report", "--workdir=w", cwd=tmp_path)
    assert code == 0 and again == out, err
