"""A signal stops a run that can be gone on with; two runs share no folder."""

import os
import signal

import pytest
from calling import ROOT, launch, start, tiny, wait_until

LONG = [*tiny(steps="100000", evaluations="100000"), "--workdir=w"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 75),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 75, marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_says_how_to_go_on(number, code, tmp_path):
    process = start(*LONG, cwd=tmp_path)
    records = tmp_path / "w" / "records.jsonl"
    wait_until(lambda: records.exists() and records.read_bytes().count(b"\n") > 2)
    process.send_signal(number)
    out, err = process.communicate()
    assert out == "" and f"go on with: python {ROOT / 'launch.py'}" in err
    assert process.returncode == code
    (program,) = (tmp_path / "w" / "checkpoints").iterdir()
    assert [p for p in program.iterdir() if p.name.isdigit()]


def test_a_second_process_is_kept_out(tmp_path):
    first = start(*LONG, cwd=tmp_path, start_new_session=True)
    try:
        wait_until((tmp_path / "w" / "records.jsonl").exists)
        code, _, err = launch(*LONG, cwd=tmp_path)
        assert code == 73 and "in use by process" in err
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()


def test_ctrl_c_while_nothing_runs_is_no_traceback(call, monkeypatch):
    def interrupted(invocation):
        raise KeyboardInterrupt

    monkeypatch.setattr("init_study.cli.launcher.answer", interrupted)
    assert call("list") == (130, "", "stopped\n")
