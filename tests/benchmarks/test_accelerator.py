"""A pass over an accelerator's items keeps what it has, whatever happens to one."""

import json
import os
import signal
import sys
import time
from collections import Counter

import pytest
from calling import ROOT, finish, start, wait_until

from benchmarks.accelerator_items import FORMS, PARTS, grid, list_items
from benchmarks.accelerator_jobs import Clock, Settings, overlap
from benchmarks.accelerator_pass import Pass, measure_all
from benchmarks.accelerator_table import summarize_rows, table

COMMAND = ("-m", "benchmarks.accelerator")
TINY = ("--cases=tiny", "--members=2", "--turn=0.02", "--turns=2", "--parallel=1")
# What kills the process of one execution as the kernel would, before it begins.
KILLER = """
import os, signal, sys
if "benchmarks.held" in sys.orig_argv and "--execution=xla/2" in sys.orig_argv:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def environment(*folders):
    paths = os.pathsep.join(map(str, (*folders, ROOT)))
    return {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": paths}


def measure(*flags, limit=100, folder=()):
    command = [sys.executable, *COMMAND, *TINY, *flags]
    return finish(command, limit, check=False, cwd=ROOT, env=environment(*folder))


def test_every_execution_comes_once_the_known_ones_first():
    executions = grid(64)
    assert executions[:3] == ("patches/16", "patches/64", "patches/4")
    pairs = {(form, width) for form in FORMS for width in (1, 4, 16, 64)}
    found = [(form, int(width)) for form, width in (e.split("/") for e in executions)]
    assert len(found) == len(pairs) and {*found} == pairs
    assert grid(2)[0] == "patches/2"
    assert {one.split("/")[1] for one in grid(2)} == {"1", "2"}


def test_peers_studies_and_precision_come_before_the_rest_of_the_executions():
    items = list_items(["small", "lenet"], grid(64), PARTS)
    parts = [item.part for item in items]
    assert [*dict.fromkeys(parts)] == ["ours", "peers", "study", "precision"]
    assert [str(item) for item in items[:2]] == [
        "ours small patches/16",
        "ours lenet patches/16",
    ]
    assert parts.index("peers") == 4
    assert set(Counter(items).values()) == {1}
    assert Counter(parts)["ours"] == 2 * len(grid(64))
    assert {i.part for i in list_items(["small"], grid(4), ["study"])} == {"study"}


def test_what_does_not_fit_into_the_time_is_not_begun(tmp_path):
    items = list_items(["small"], ["xla/1"], ["ours", "study"])
    rows = []
    work = Pass(
        settings=Settings(2, 0.1, 1, 100.0, 8, tmp_path),
        # Nobody compiles anything in two seconds.
        clock=Clock(time.monotonic() + 2.0, []),
        parallel=2,
        executions=["xla/1"],
        note=rows.append,
        waiting=list(items),
    )
    assert measure_all(work) == "the rest would take too long"
    assert [row["name"] for row in rows] == [item.name for item in items]
    for row in rows:
        assert row["problem"].startswith("not begun: 2 s are left, about ")


def test_pauses_are_no_part_of_what_they_cut():
    # Half a second of the first, one of the second, nothing of the third.
    pauses = [(1.0, 2.0), (5.0, 9.0), (20.0, 30.0)]
    assert overlap(pauses, began=1.5, end=6.0) == 1.5


def study_row(name, digest, alone=False):
    about = {"wall_seconds": 5.0, "seconds": 5.0, "sha256": {"records.jsonl": digest}}
    return {"part": "study", "case": "digits", "name": name, "alone": alone, **about}


def timed_row(name, median, **others):
    rate = {"median": median, "min": median, "max": median, "n": 1}
    row = {"part": "ours", "case": "tiny", "alone": False, "seconds": 1.0}
    return row | {"name": name, "rate": rate} | others


def test_the_summary_compares_what_ended():
    rows = [
        timed_row("xla/1", 20.0),
        timed_row("patches/1", 30.0),
        timed_row(
            "flax_vmap",
            15.0,
            part="peers",
            ratio={"median": 2.0, "min": 2.0, "max": 2.0, "n": 1},
            against="patches/1",
        ),
        {**timed_row("xla/2", 1.0), "rate": None, "problem": "ended with -9: a | b"},
        study_row("plain/1", "a", alone=True),
        study_row("plain/2", "b"),
        study_row("deterministic/1", "c", alone=True),
        study_row("deterministic/2", "c"),
        study_row("other/1", "d"),
        {"part": "ours", "case": "tiny", "name": "xla/4", "alone": False},
    ]
    found = summarize_rows(rows)
    assert found["best"] == {"tiny": {"execution": "patches/1", "rate": 30.0}}
    assert found["ratios"]["tiny"]["flax_vmap"]["median"] == 2.0
    same = {name: study["same_records"] for name, study in found["studies"].items()}
    assert same == {"plain": False, "deterministic": True, "other": None}
    text = table({"rows": rows, "summary": found, "ended": "SIGTERM"})
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {9} and "ended with -9: a / b" in text
    assert "1 of 10 items did not begin" in text


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--seconds=0", "--seconds=0 is too little"),
        ("--seconds=soon", "could not convert"),
        ("--cases=tinny", "Did you mean 'tiny'"),
        ("--parts=peer", "Did you mean 'peers'"),
        ("--executions=patches", "no chunk width"),
        ("--json=no/such/folder.json", "its folder is not there"),
    ],
)
def test_a_flag_that_cannot_be_used_is_one_line(flag, said):
    done = measure(flag)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ") and said in line


def test_a_process_that_dies_costs_its_own_row(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    path = tmp_path / "speed.json"
    done = measure(
        *("--parts=ours", "--executions=xla/2,patches/2"),
        *("--parallel=2", f"--json={path}"),
        folder=(tmp_path,),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(path.read_text())
    died, ran = sorted(document["rows"], key=lambda row: row["name"], reverse=True)
    assert died["problem"].startswith("ended with -9") and not died.get("rate")
    assert ran["rate"]["n"] == 2 and "problem" not in ran
    # What every timed row has.
    assert ran["compile_seconds"] > 0 and ran["temporary_bytes"] > 0
    assert ran["argument_bytes"] > 0 and ran["peak_bytes_in_use"] is None
    assert document["summary"]["best"]["tiny"]["execution"] == "patches/2"
    assert document["ended"] == "complete"


def test_what_is_not_ready_in_time_is_given_up(tmp_path):
    path = tmp_path / "speed.json"
    flags = ("--parts=ours", "--executions=patches/2", "--limit=0.2")
    done = measure(*flags, f"--json={path}")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(path.read_text())["rows"]
    assert row["problem"] == "not ready within 0.2 s"


def test_a_signal_keeps_the_rows_and_ends_the_processes(tmp_path):
    path = tmp_path / "speed.json"
    process = start(
        *(*TINY, "--parts=ours", f"--json={path}"),
        launcher=COMMAND,
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
    )
    wait_until(path.exists)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 75, err
    left = finish(["pgrep", "-s", process.pid], check=False).stdout
    assert left == ""
    document = json.loads(path.read_text())
    assert document["ended"] == "SIGTERM" and "ended: SIGTERM" in out
    rows = document["rows"]
    assert [row["name"] for row in rows[:1]] == ["patches/2"] and rows[0]["rate"]
    assert Counter(row["name"] for row in rows) == Counter(grid(2))
    assert rows[-1]["problem"] == "not begun: SIGTERM"
    assert [file.name for file in tmp_path.iterdir()] == ["speed.json"]


def test_a_short_time_is_kept_and_every_item_has_a_row(tmp_path):
    path = tmp_path / "speed.json"
    done = measure("--seconds=5", f"--json={path}", limit=60)
    assert done.returncode == 0, done.stderr
    document = json.loads(path.read_text())
    items = list_items(["tiny"], grid(2), PARTS)
    without_torch = {str(item) for item in items if "torch" not in item.name}
    rows = document["rows"]
    names = {f"{row['part']} {row['case']} {row['name']}" for row in rows}
    assert without_torch <= names and len(names) == len(rows)
    assert all("problem" in row for row in rows if not row.get("rate"))
    assert document["ended"] != "complete"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_parts_have_their_figures(tmp_path):
    path = tmp_path / "speed.json"
    flags = ("--executions=patches/2", "--seconds=500", "--steps=8", f"--json={path}")
    done = measure(*flags, limit=600)
    assert done.returncode == 0, done.stderr
    document = json.loads(path.read_text())
    by_name = {row["name"]: row for row in document["rows"]}
    for name in ("flax_vmap", "flax_vmap_own", "flax_loop", "float32", "deterministic"):
        assert by_name[name]["ratio"]["n"] >= 1, by_name[name]
        assert by_name[name]["against"] == "patches/2"
    studies = document["summary"]["studies"]
    assert {*studies} == {"plain", "deterministic"}
    for study in studies.values():
        assert study["same_records"] is True and study["wall_seconds"] > 0
