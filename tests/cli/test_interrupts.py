"""A signal stops a run that can be gone on with; two runs share no folder."""

import os
import signal
from pathlib import Path

import pytest
from calling import ROOT, launch, start, tiny, wait_until

from init_study.cli import training
from init_study.cli.command_line import read_command_line
from init_study.cli.invocation import Invocation, make_invocation
from init_study.control import Outcome
from init_study.engine.progress import Progress
from init_study.execution import Execution

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


def test_signals_are_noted_while_there_is_something_to_save(monkeypatch):
    """From the first step on; not while executions are timed, for fresh seeds again."""
    before = signal.getsignal(signal.SIGTERM)
    noted = []

    def run(plan, workdir, command, control, part):
        for doing in ("choosing", "compiling", "training", "choosing", "training"):
            control.watch(Progress(1, 1, "", 1, Execution(1, "xla"), doing, 1, 9))
            noted.append(signal.getsignal(signal.SIGTERM) != before)
        assert not control.stop_requested()
        signal.raise_signal(signal.SIGTERM)
        assert control.stop_requested()
        return Outcome(True, 1, 1.0)

    monkeypatch.setattr(training, "run_with_fresh_seeds", run)
    monkeypatch.setattr(Invocation, "make_plan", lambda self, study: None)
    argv = ["launch.py", "run", "--verbosity=-2"]
    call = make_invocation("run", read_command_line(argv[1:]).values, argv)
    received = []
    finished = training.train_study(call, call.the_study(), Path("w"), received)
    assert noted == [False, False, True, False, True]
    assert not finished, "whatever would follow does not begin"
    assert received == [signal.SIGTERM] and signal.getsignal(signal.SIGTERM) == before


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
