"""The launcher as a user meets it: words, flags, errors, signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from init_study.store import load

ROOT = Path(__file__).resolve().parents[1]
TINY = (
    "--study.schemes=he_normal,zeros --study.learning_rates=0.1,0.3 --study.seeds=3 "
    "--study.depth=1 --study.width=2 --study.batch_size=4 --study.steps=6 "
    "--study.evaluations=2"
).split()


def start(*words, cwd, limit=200, **options):
    """The process, killed for certain if a test forgets it."""
    # In the foreground, `timeout` passes a signal on once.
    kill = ["timeout", "--foreground", "-s", "KILL", str(limit)]
    return subprocess.Popen(
        [*kill, sys.executable, ROOT / "launch.py", *map(str, words)],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def launch(*words, cwd, limit=200):
    process = start(*words, cwd=cwd, limit=limit)
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder where the tiny study has been run; (folder, standard output)."""
    cwd = tmp_path_factory.mktemp("launch")
    code, out, err = launch(*TINY, cwd=cwd)
    assert code == 0, err
    assert err == "", "quiet when not a terminal"
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
    code, again, _ = launch(*TINY, cwd=cwd)
    assert code == 0 and again == out
    assert (workdir / "records.jsonl").read_bytes() == records


@pytest.mark.parametrize("word", ["report", "status", "plan", "list"])
def test_json_is_one_document_and_nothing_else(finished, word):
    cwd, _ = finished
    code, out, err = launch(word, "--json", *TINY, cwd=cwd)
    assert code == 0, err
    document = json.loads(out)
    if word == "plan":
        assert document["compilations"] == 0 and document["members"] == 12
        assert document["programs"][0]["done"] == 6
    if word == "status":
        assert document["done"] is True
    if word == "report":
        assert len(document["programs"]) == 1
    if word == "list":
        kinds = ["studies", "results", "models", "datasets", "initializers"]
        kinds += ["schemes"]
        assert list(document) == kinds
        assert all(line for kind in document.values() for line in kind.values())


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rnu", "Did you mean 'run'"),
        ("run twice", "one word too many"),
        ("--study.depht=3", "study.depth"),
        ("--study=firstlook", "Did you mean 'first_look'"),
        ("--study=none.json", "No such file"),
        ("--study.depth=0", "study.depth=0 is too small"),
        ("--study.depth=deep", "is not a whole number"),
        ("--study.learning_rates=-0.1", "-0.1 is not a positive"),
        ("--study.learning_rates=nan", "nan is not a positive"),
        ("--study.seeds=0", "seeds has no value"),
        ("--study.schemes=he_norml", "Did you mean 'he_normal'"),
        ("--study.model=cnnn", "Did you mean 'cnn'"),
        ("--study.model=nowhere:Net", "does not import"),
        ("--study.dataset=digit", "Did you mean 'digits'"),
        ("--study.augmentation=flap", "Did you mean 'flip'"),
        ("--study.batch_size=100000", "batch_size=100000"),
        ("--study.model=lenet --study.depth=default --study.width=default", "16×16"),
        ("--workdir=a_file", "is a file"),
        ("--workdir=full", "other files"),
        ("status --workdir=nowhere", "holds no run"),
        ("gain --q=0", "q=0.0 is not"),
        ("gain --activation=rely", "Did you mean 'relu'"),
        ("list --kind=model", "Did you mean 'models'"),
        ("export --to=records.xls", "not a .csv or .parquet"),
        ("run --until=decided --study.seeds=3", "leave out --study.seeds"),
        ("run --until=decided --budget=20x", "write 90s, 20m or 2h"),
        ("run --until=decided --looks=5,some", "not whole numbers"),
        ("plan --until=decided --looks=9,5", "not rising numbers"),
        ("run --until=decided --margin=0", "margin=0.0"),
        ("run --until=decided --study.schemes=he_normal", "two at least"),
        ("claims --study.depth=4", "claims have studies of their own"),
        ("claims --workdir=full", "other files"),
        ("published --only=he_by_dept", "Did you mean 'he_by_depth'"),
        ("report --watch --workdir=nowhere", "holds no run"),
        ("report --figures=pdf --workdir=nowhere", "holds no run"),
        ("report --figures=gif", "figures"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(words, said, tmp_path):
    (tmp_path / "a_file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = launch(*words.split(), cwd=tmp_path)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    assert said in err
    assert sorted(tmp_path.rglob("*")) == before


def test_scalars_figures_and_a_watched_page(finished):
    cwd, _ = finished
    (workdir,) = (cwd / "runs").iterdir()
    assert launch("--tensorboard", *TINY, cwd=cwd)[0] == 0
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
    words = (f"--workdir={workdir}", *TINY, "--study.steps=7")
    code, _, err = launch(*words, cwd=cwd)
    assert code == 2 and "steps: [7] here, [6] there" in err


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


def test_a_race_ends_with_a_verdict_and_again_only_reads(tmp_path):
    words = (
        "run --until=decided --workdir=w --looks=5,6 --margin=1 --study.depth=1 "
        "--study.schemes=he_normal,zeros --study.learning_rates=0.1 --study.width=4 "
        "--study.steps=60 --study.evaluations=1"
    ).split()
    code, planned, err = launch("plan", "--json", *words[1:], cwd=tmp_path)
    assert code == 0, err
    plan = json.loads(planned)
    assert plan["members"] == 2 * 3 and plan["fresh_members"] == 2 * 6
    assert plan["most_seconds"] == pytest.approx(3 * plan["seconds"], abs=0.2)
    assert not (tmp_path / "w").exists()
    code, out, err = launch(*words, cwd=tmp_path)
    assert code == 0 and err == "", err
    said = " ".join(out.split())
    assert (
        "cnn: he_normal is the best of 2 schemes; worse than he_normal: zeros" in said
    )
    assert "on 5 fresh seeds" in said
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
    assert [row["stage"] for row in shown["programs"]] == ["fresh-5-0.1", "screening"]
    code, _, err = launch(*words, "--margin=2", cwd=tmp_path)
    assert code == 2 and "holds another race" in err
    # Ctrl-C between two stages leaves one that has begun and has no records.
    (program,) = {path.parent for path in (tmp_path / "w").glob("*/screening")}
    (program / "fresh-9-0.1").mkdir()
    manifest = (program / "screening" / "manifest.json").read_text()
    (program / "fresh-9-0.1" / "manifest.json").write_text(manifest)
    code, again, err = launch("report", "--workdir=w", cwd=tmp_path)
    assert code == 0 and again == out, err


LONG = [*TINY, "--study.steps=100000", "--study.evaluations=100000"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)]
)
def test_a_signal_saves_and_says_how_to_go_on(number, code, tmp_path):
    process = start(*LONG, "--workdir=w", cwd=tmp_path)
    records = tmp_path / "w" / "records.jsonl"
    wait_until(lambda: records.exists() and records.read_bytes().count(b"\n") > 2)
    process.send_signal(number)
    _, err = process.communicate()
    assert f"go on with: python {ROOT / 'launch.py'}" in err
    assert process.returncode == code
    (program,) = (tmp_path / "w" / "checkpoints").iterdir()
    assert [p for p in program.iterdir() if p.name.isdigit()]


def test_a_second_process_is_kept_out(tmp_path):
    first = start(*LONG, "--workdir=w", cwd=tmp_path, start_new_session=True)
    try:
        wait_until((tmp_path / "w" / "records.jsonl").exists)
        code, _, err = launch(*LONG, "--workdir=w", cwd=tmp_path)
        assert code == 2 and "in use by process" in err
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()


def wait_until(condition, seconds=100):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
