"""The fault matrix: its flags, what it tells, and that it finds what is wrong."""

import json
import os
import random
import signal
import sys

import pytest
from calling import ROOT, finish, start, wait_until

from faults.__main__ import main
from faults.damages import CONTENT
from faults.forks import Ended
from faults.matrix import ROWS, Row, is_clean, run_rows, table_of
from faults.room import FAILED, LOST, PASSED, SKIPPED, WRONG, Trial, each, judged

PROGRAM = [sys.executable, "-m", "tests.faults"]


@pytest.fixture(autouse=True)
def nothing_to_import(monkeypatch):
    """Trials of these tests start no process that needs it."""
    monkeypatch.setattr("faults.matrix.import_all", lambda: None)


def ended(code=0, err=""):
    return Ended(code, "", err, False, 1.0)


@pytest.mark.parametrize(
    ("flag", "named"),
    [("--rows=R1,R99", "R99"), ("--n=0", "0"), ("--n=x", "x"), ("--none", "--none")],
)
def test_wrong_flags_are_one_line(flag, named, capsys):
    with pytest.raises(SystemExit) as end:
        main([flag])
    assert end.value.code == 64
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and named in said


def test_all_rows_are_there():
    assert list(ROWS) == [f"R{i}" for i in range(1, 26)]
    assert all(0 < row.short <= row.long for row in ROWS.values())


def test_what_is_wrong_is_counted_and_can_be_repeated():
    verdicts = [PASSED, LOST, WRONG, FAILED, SKIPPED, PASSED]

    def trial(room, rng, number):
        return Trial(verdicts[number], "seen", ("kind",))

    results = []
    rows = {"R5": Row("what", each(trial), 1, 1)}
    (result,) = run_rows({"R5": range(6)}, 3, results, rows)
    assert results == [result] and not is_clean(results)
    names = ("tried", "passed", "lost", "silently_wrong", "not_passed", "skipped")
    assert [result[name] for name in names] == [5, 2, 1, 1, 1, 1]
    commands = [failure["command"] for failure in result["failures"]]
    assert commands[1] == "python -m tests.faults --rows=R5 --seed=3 --trial=2"
    assert "| R5 | what; 6 kind | 5 (1 skipped) | 2 | 1 | 1 |" in table_of(results)


def test_a_trial_that_breaks_has_not_passed():
    def trial(room, rng, number):
        raise RuntimeError("it broke")

    (result,) = run_rows({"R5": [0]}, 0, [], {"R5": Row("what", each(trial), 1, 1)})
    assert result["not_passed"] == 1 and "it broke" in result["failures"][0]["seen"]


def test_another_number_is_silently_wrong(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_text('{"loss": 0.25}\n')
    here, there = tmp_path / "here", tmp_path / "there"
    assert judged(ended(), here, there).verdict == PASSED
    assert judged(ended(74), here, there).verdict == LOST
    (here / ".manifest.json.12").touch()
    assert judged(ended(), here, there).verdict == FAILED
    (here / "records.jsonl").write_text('{"loss": 0.26}\n')
    assert judged(ended(), here, there).verdict == WRONG


def test_a_refusal_is_one_line_without_a_traceback():
    assert ended(65, "error: w/records.jsonl is damaged\n").refusal
    assert not ended(65, "error: one\nerror: two\n").refusal
    assert not ended(1, "error: one\n").refusal
    assert not ended(70, "Traceback (most recent call last):\nerror: x\n").refusal


@pytest.mark.parametrize("how", CONTENT)
def test_a_damage_changes_what_is_there(how):
    content = b'{"a": 1.25}\n{"b": 2}\n{"c": 3}\n'
    changed = {CONTENT[how](content, random.Random(seed)) for seed in range(20)}
    assert changed - {content}


def test_a_row_as_a_process(tmp_path):
    """Names that climb out: the cheapest row."""
    file = tmp_path / "results.json"
    process = [*PROGRAM, "--rows=R15", "--n=1", f"--json={file}"]
    done = finish(process, check=False, cwd=ROOT)
    (row,) = json.loads(file.read_text())
    assert row["tried"] == 1 and row["complete"]
    assert done.returncode == (row["passed"] != 1)
    assert done.stdout.startswith("R15 ")
    table = finish([*PROGRAM, f"--table={file}"], cwd=ROOT)
    assert "| R15 | names that climb out" in table.stdout


def test_what_is_half_done_is_written(tmp_path):
    file, work = tmp_path / "results.json", tmp_path / "work"
    work.mkdir()
    process = start(
        *("--rows=R15", "--n=100000", f"--json={file}"),
        launcher=("-m", "tests.faults"),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(work)},
    )
    wait_until(lambda: len(list(work.glob("faults-*/trial*"))) > 0)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    (row,) = json.loads(file.read_text())
    assert process.returncode == 1 and not row["complete"]
    assert list(work.iterdir()) == []
