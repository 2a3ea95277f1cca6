"""R2, R3 and R11: signals, parents that die, and several processes at once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from calling import ROOT

from faults.forks import Ended, Fork
from faults.kills import measured
from faults.room import (
    FAILED,
    SMALL,
    WITH_FRESH,
    WRONG,
    Room,
    Trial,
    data_of,
    difference,
    gone_on,
)

_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGHUP: 75}
# A call to the devices and a save take less, on a machine that has other things to do.
_SOON = 30.0


def signal_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Signal a run at any moment, once or twice, and go on.

    Every fourth compiles anew; every third gets a second signal.
    """
    words = WITH_FRESH if number % 5 == 4 else SMALL
    seconds = measured(room, words).seconds
    sent, twice = list(_CODES)[number % 3], number % 3 == 2 or rng.random() < 0.2
    cwd = room.new()
    cold = (f"--cache_dir={cwd / 'cold'}",) if number % 4 == 3 else ()
    process = room.begin("run", *words, *cold, "--workdir=w", cwd=cwd)
    delay = rng.uniform(0, seconds)
    _wait(process, delay)
    process.send(sent)
    began = time.monotonic()
    if twice:
        _wait(process, rng.uniform(0.0, 0.3))
        process.send(sent)
    ended = process.wait(delay + (5.0 if twice else _SOON) + 10.0)
    took = time.monotonic() - began
    done = f"{sent.name}{' twice' if twice else ''} after {delay:.2f} s: {ended.seen}"
    if ended.hung or took > _SOON:
        return Trial(FAILED, f"{done}, after {took:.0f} s")
    fine = {0, _CODES[sent]} | ({-sent, 128 + sent} if twice else set())
    # Before the run begins nobody minds how it ends.
    nothing = not (cwd / "w" / "manifest.json").exists()
    if ended.code not in fine and not (nothing and ended.code == -sent):
        return Trial(FAILED, done)
    if ended.is_traceback:
        return Trial(FAILED, f"{done}: {ended.err[-600:]}")
    if not ended.code and difference(cwd / "w", room.undisturbed(words) / "w"):
        return Trial(WRONG, f"{done}: exit 0, and it is not whole")
    return gone_on(room, words, cwd, done, sent.name)


def _wait(process: Fork, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.002)


def orphan_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Kill the parent of a run only, or stop the run for a while."""
    return (_stopped if number % 2 else _orphaned)(room, rng)


def _stopped(room: Room, rng: random.Random) -> Trial:
    cwd = room.new()
    process = room.begin("run", *SMALL, "--workdir=w", cwd=cwd)
    _until_held(process, cwd)
    process.send(signal.SIGSTOP)
    time.sleep(rng.uniform(0, 2))
    second = room.call("run", *SMALL, "--workdir=w", cwd=cwd)
    process.send(signal.SIGCONT)
    first = process.wait()
    done = f"SIGSTOP; meanwhile {second.seen}; SIGCONT; {first.seen}"
    over = not second.code and not difference(cwd / "w", room.undisturbed(SMALL) / "w")
    if first.code or not (over or str(process.pid) in second.refusal):
        return Trial(FAILED, done)
    return gone_on(room, SMALL, cwd, done, "stopped and continued")


def _orphaned(room: Room, rng: random.Random) -> Trial:
    """A shell that waits for the launcher is killed; the launcher goes on."""
    cwd = room.new()
    line = [sys.executable, str(ROOT / "launch.py"), "run", *SMALL, "--workdir=w"]
    script = 'trap "" HUP; "$@" & echo $! >child; wait'
    with open(cwd / "said", "w") as said:
        shell = subprocess.Popen(
            ["bash", "-c", script, "bash", *line], cwd=cwd, stdout=said, stderr=said
        )
    try:
        _until_held(None, cwd)
        shell.kill()
        shell.wait()
        second = room.call("run", *SMALL, "--workdir=w", cwd=cwd)
        child = int((cwd / "child").read_text())
        gone = _is_gone_within(child, 60)
    finally:
        shell.kill()
        shell.wait()
        child = int((cwd / "child").read_text() or 0)
        if child and not _is_gone_within(child, 0):
            os.kill(child, signal.SIGKILL)
    done = f"its parent killed; meanwhile {second.seen}"
    if not gone or not (second.code == 0 or str(child) in second.refusal):
        return Trial(FAILED, done)
    return gone_on(room, SMALL, cwd, done, "parents killed")


def _is_gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        # Nobody may be there to fetch its exit code.
        if state == "Z":
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.05)


def _until_held(process: Fork | None, cwd: Path) -> None:
    """Wait until a run holds its folder."""
    end = time.monotonic() + 60
    lock = cwd / "w" / ".lock"
    while not (lock.exists() and lock.stat().st_size):
        if (process and process.poll() is not None) or time.monotonic() > end:
            raise AssertionError("it never held its folder")
        time.sleep(0.005)


def crowd_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Start several processes in one folder at once: one runs, the others say who."""
    cwd = room.new()
    if number % 2:
        # What a process that died long ago left.
        (cwd / "w").mkdir()
        (cwd / "w" / ".lock").write_text("process 4194304 on elsewhere")
    many = 8 if number % 4 == 0 else 3
    crowd = [room.begin("run", *SMALL, "--workdir=w", cwd=cwd) for _ in range(many)]
    ends = [one.wait() for one in crowd]
    done = f"{many} at once: {sorted(e.code for e in ends)}"
    ran = [one.pid for one, end in zip(crowd, ends, strict=True) if not end.code]
    sessions = _sessions(cwd / "w")
    refused = [end for end in ends if end.code]
    if not all(_names_holder(end, crowd) for end in refused):
        others = "; ".join(end.seen for end in refused)
        return Trial(FAILED, f"{done}: {others}")
    if not ran or sessions != 1:
        return Trial(FAILED, f"{done}; {sessions} of them trained")
    if not data_of(cwd / "w"):
        return Trial(FAILED, done)
    return gone_on(room, SMALL, cwd, done, f"{many} at once")


def _sessions(workdir: Path) -> int:
    from init_study import store

    return len(store.read_manifest(workdir)["sessions"])


def _names_holder(ended: Ended, crowd: list[Fork]) -> bool:
    pids = [str(one.pid) for one in crowd]
    return ended.code == 73 and any(pid in ended.refusal for pid in pids)
