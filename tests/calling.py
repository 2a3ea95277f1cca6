"""Processes as tests start them, the launcher first: all are killed for certain."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Fields of a study that takes a second, by flag.
TINY = {
    "schemes": "he_normal,zeros",
    "learning_rates": "0.1,0.3",
    "seeds": "3",
    "depth": "1",
    "width": "2",
    "batch_size": "4",
    "steps": "6",
    "evaluations": "2",
}


def finish(command, limit=100, check=True, **options):
    """What a process did, which is killed with its children after so many seconds."""
    kill = ["timeout", "-s", "KILL", str(limit)]
    return subprocess.run(
        [*kill, *map(str, command)],
        capture_output=True,
        text=True,
        check=check,
        **options,
    )


def tiny(**changes):
    """The flags of the tiny study; None leaves one out."""
    fields = {name: value for name, value in (TINY | changes).items() if value}
    return [f"--study.{name}={value}" for name, value in fields.items()]


def begin(command, limit=200, **options):
    """A process that has begun, killed for certain if a test forgets it."""
    # In the foreground, `timeout` passes a signal on once.
    kill = ["timeout", "--foreground", "-s", "KILL", str(limit)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*kill, *map(str, command)], text=True, **pipes | options)


def start(*words, cwd, limit=200, launcher=(ROOT / "launch.py",), **options):
    """The launcher with some words, or another program of Python's."""
    return begin([sys.executable, *launcher, *words], limit, cwd=cwd, **options)


def launch(*words, cwd, limit=200, **options):
    """Exit code, standard output and standard error."""
    process = start(*words, cwd=cwd, limit=limit, **options)
    out, err = process.communicate()
    return process.returncode, out, err


def is_progress(err):
    """Whether standard error holds lines of progress and nothing else."""
    return all(line_of_progress(line) for line in err.splitlines())


def line_of_progress(line):
    marks = ("compiling", "compiled in", "trained in", " left", "timing ways to run")
    return line.startswith("check ") or any(mark in line for mark in marks)


def wait_until(condition, seconds=100):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
