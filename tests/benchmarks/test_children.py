"""What a benchmark has started ends with it, however it ends."""

import os
import signal
import subprocess
import sys

import pytest
from calling import ROOT, start

from benchmarks import children
from init_study.interrupts import EXIT_CODES

# A process that waits, of a process that waits. If all else fails they end by a clock.
WAIT = "import signal; signal.alarm(100); signal.pause()"
CHILD = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {WAIT!r}])
print("ready", flush=True)
{WAIT}
"""
PARENT = f"""
import os, sys
from benchmarks import children
child = children.begin([sys.executable, "-c", {CHILD!r}])
print(os.getpid(), flush=True)
sys.stdin.readline()
children.end(child)
sys.stdin.readline()
"""


@pytest.fixture
def parent():
    """A process with a child and a grandchild, and its number."""
    process = start(launcher=("-c", PARENT), cwd=ROOT, stdin=subprocess.PIPE)
    said = sorted(process.stdout.readline().strip() for _ in range(2))
    assert said[1] == "ready", process.communicate()
    return process, int(said[0])


def test_a_killed_benchmark_leaves_no_process(parent):
    process, number = parent
    os.kill(number, signal.SIGKILL)
    # The pipe ends when the last process that holds it does.
    assert process.communicate(timeout=60) == ("", "")


def test_a_process_is_ended_with_what_it_has_started(parent):
    process, number = parent
    process.stdin.write("\n")
    process.stdin.flush()
    # The one that began them all is still there.
    os.kill(number, 0)
    assert process.communicate("\n", timeout=60) == ("", "")
    assert process.returncode == 0


def test_waiting_for_a_process_ends_with_a_signal_or_the_limit():
    command = [sys.executable, "-c", WAIT]
    with pytest.raises(children.Interrupted):
        children.finish(command, received=[signal.SIGTERM])
    with pytest.raises(subprocess.TimeoutExpired):
        children.finish(command, limit=0.0)
    command = [sys.executable, "-c", "print('here'); raise SystemExit(3)"]
    done = children.finish(command, 60.0, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (3, "here\n")


@pytest.mark.parametrize("number", EXIT_CODES)
@pytest.mark.parametrize(
    "module",
    ["", ".growth", ".accelerator", ".first_use", ".worker", ".layers", ".keeping"],
)
def test_a_signal_while_a_benchmark_is_imported(module, number, tmp_path):
    fake = tmp_path / "absl" / "__init__.py"
    fake.parent.mkdir()
    fake.write_text("import time\nprint('here', flush=True)\ntime.sleep(100)\n")
    process = start(
        launcher=("-m", f"benchmarks{module}"),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert process.stdout.readline() == "here\n"
    process.send_signal(number)
    assert process.communicate() == ("", "stopped\n")
    assert process.returncode == EXIT_CODES[number]
