"""R25: of two hosts that share a run one is killed or stopped, and the other ends."""

import functools
import random
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cluster.meeting import free_port

from faults.forks import Ended, Fork
from faults.kills import MOMENTS, file_count, watch_writes
from faults.room import (
    FAILED,
    LOST,
    PASSED,
    SMALL,
    WITH_FRESH,
    WRONG,
    Room,
    Trial,
    difference,
    leftovers,
)
from faults.waves import JOINING, any_member, joined_difference, same_answers
from init_study import store
from init_study.errors import ExitCode

# Seconds in which the other host ends, as docs/howto/clusters.md promises: a loss is
# noticed, what is saved is given some time, and a busy machine a little more.
_NOTICING, _SAVING, _MORE = 25.0, 30.0, 5.0
# In most trials less is waited for. A fork of ours has imported all, and is there soon.
_HASTY, _HASTY_SAVING, _HASTY_COMING = 6.0, 10.0, 12.0


class Shared(NamedTuple):
    """What an undisturbed run takes that hosts share.

    Attributes:
        workdir: of it.
        files: that it leaves.
        places: where each host writes, in its order.
    """

    workdir: Path
    files: int
    places: tuple[tuple[str, ...], ...]


def begin_hosts(
    room: Room,
    words: tuple[str, ...],
    cwd: Path,
    befores: Sequence[Callable[[], None]],
) -> list[Fork]:
    """Begin a run on as many hosts as there are things to be done first on one."""
    port = free_port()
    return [
        room.begin(
            *("run", *words, "--workdir=w", "--distributed"),
            *(f"--coordinator=localhost:{port}", f"--processes={len(befores)}"),
            f"--process={process}",
            cwd=cwd,
            before=before,
        )
        for process, before in enumerate(befores)
    ]


@functools.cache
def shared(room: Room, words: tuple[str, ...], hosts: int) -> Shared:
    """Share a run that nothing happens to; it gives what one host gives."""
    cwd = room.new("shared")
    notes = [cwd / f"places{host}" for host in range(hosts)]
    running = begin_hosts(
        room, words, cwd, [functools.partial(_note_writes, note) for note in notes]
    )
    ended = [one.wait() for one in running]
    assert [one.code for one in ended] == [0] * hosts, [one.err for one in ended]
    assert list((cwd / "w").glob(f"{store.WAVES}/*-{hosts - 1:04d}"))
    differs = joined_difference(cwd / "w", room.undisturbed(words) / "w")
    assert not differs, differs
    places = tuple(tuple(note.read_text().splitlines()) for note in notes)
    return Shared(cwd / "w", file_count(cwd / "w"), places)


def _note_writes(note: Path) -> None:
    watch_writes(note=note)


class _Fault(NamedTuple):
    """What is done to one of the hosts.

    Attributes:
        how: in a word or two.
        victim: which host.
        is_hasty: whether the hosts wait for less long than those of users.
    """

    how: str
    victim: int
    is_hasty: bool

    @property
    def limit(self) -> float:
        """Seconds in which all hosts have to end."""
        hasty = _HASTY_COMING + _HASTY_SAVING
        return (hasty if self.is_hasty else _NOTICING + _SAVING) + _MORE

    def __str__(self) -> str:
        return f"host {self.victim} {self.how}{'' if self.is_hasty else ', unhurried'}"


def host_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Kill or stop one of two hosts, and go on with one, two or three.

    One of four trials sends SIGTERM and two kill, as files come; one kills in a write.
    Each sixth kills hosts that wait as long as those of users.
    """
    words = WITH_FRESH if number % 5 == 4 else SMALL
    how = ("stopped", "killed", "killed in a write", "killed")[number % 4]
    is_early = how == "stopped" and rng.random() < 0.3
    is_hasty = is_early or (how != "stopped" and number % 6 != 5)
    fault = _Fault(how, rng.randrange(2), is_hasty)
    whole, cwd = shared(room, words, 2), room.new()
    befores = [_be_hasty if is_hasty else _wait_as_users_do] * 2
    if how == "killed in a write":
        befores[fault.victim] = _dying(whole.places[fault.victim], rng)
    began = time.monotonic()
    running = begin_hosts(room, words, cwd, befores)
    victim = running[fault.victim]
    if not is_hasty:
        # Until both are there, one waits for the other for ten minutes.
        _wait(running, lambda: (cwd / "w" / store.MANIFEST).exists())
    if how == "killed in a write":
        _wait(running, lambda: victim.poll() is not None)
    else:
        files, end = rng.randint(0, whole.files), rng.uniform(0, 0.5)
        _wait(running, lambda: file_count(cwd / "w") >= files)
        end += time.monotonic()
        _wait(running, lambda: time.monotonic() > end)
        victim.send(signal.SIGTERM if how == "stopped" else signal.SIGKILL)
    limit = time.monotonic() - began + fault.limit
    ended = [one.wait(limit) for one in running]
    done = f"{fault}: {'; '.join(one.seen for one in ended)}"
    if problem := _problem(room, words, cwd, fault, ended):
        return Trial(FAILED, f"{done}: {problem} {[e.err[-400:] for e in ended]}")
    # Who has ended before is not killed.
    kinds = [str(fault)] if ended[fault.victim].code else []
    return _on_others(room, rng, words, cwd, done, kinds)


def _wait_as_users_do() -> None:
    pass


def _be_hasty() -> None:
    from init_study.cluster import hosts

    hosts._PATIENCE, hosts._GRACE = _HASTY, _HASTY_SAVING
    hosts._ANSWERING = hosts._ARRIVING = _HASTY_COMING


def _dying(places: Sequence[str], rng: random.Random) -> Callable[[], None]:
    """Have a host die at a write: at any, or at one that it makes for all hosts."""
    among = JOINING if rng.random() < 0.4 else ""
    count = sum(bool(re.search(among, place)) for place in places)
    # Some of the last are not made each time.
    at = rng.randrange(count * 9 // 10) if count > 1 else 0
    when = rng.choice(MOMENTS)

    def before() -> None:
        _be_hasty()
        watch_writes(at, when, among=among)

    return before


def _wait(running: Sequence[Fork], condition: Callable[[], bool]) -> None:
    """Wait for something, or until one host has ended, or for a minute."""
    end = time.monotonic() + 60
    while not condition() and all(one.poll() is None for one in running):
        if time.monotonic() > end:
            break
        time.sleep(0.005)


def _problem(
    room: Room,
    words: tuple[str, ...],
    cwd: Path,
    fault: _Fault,
    ended: Sequence[Ended],
) -> str:
    """What is wrong with how the hosts ended; empty if nothing is."""
    victim, other = ended[fault.victim], ended[1 - fault.victim]
    if victim.hung or other.hung:
        return "one does not end"
    if any(one.is_traceback for one in ended):
        return "a traceback"
    if 0 in (victim.code, other.code) and joined_difference(
        cwd / "w", room.undisturbed(words) / "w"
    ):
        return "exit 0, and the run is not whole"
    if other.code not in (0, ExitCode.TRY_AGAIN):
        return "another exit code"
    if fault.how == "stopped":
        # One that is stopped before it has come tells nobody.
        is_said = [_is_told(one) or (fault.is_hasty and one.refusal) for one in ended]
        fine = victim.code in (0, ExitCode.TRY_AGAIN, -signal.SIGTERM)
        return "" if fine and all(is_said) else "what stopped it is not said"
    if other.code and f"process {fault.victim}" not in other.refusal:
        return "no line names who is lost"
    return "" if victim.code in (0, -signal.SIGKILL, other.code) else "it is not killed"


def _is_told(ended: Ended) -> bool:
    """Whether a host that was stopped says so, and nothing but that."""
    said = [x for x in ended.err.splitlines() if x.startswith(("stopped", "error"))]
    return not ended.code or (len(said) == 1 and said[0].startswith("stopped"))


def _on_others(
    room: Room,
    rng: random.Random,
    words: tuple[str, ...],
    cwd: Path,
    done: str,
    kinds: Sequence[str],
) -> Trial:
    """Go on with as many hosts, or others, and judge what comes of it."""
    plain, hosts = room.undisturbed(words) / "w", rng.choice((1, 2, 2, 3))
    if hosts == 1:
        ended = [room.call("run", *words, "--workdir=w", cwd=cwd)]
    else:
        running = begin_hosts(room, words, cwd, [_wait_as_users_do] * hosts)
        ended = [one.wait() for one in running]
    done = f"{done}; then {hosts} hosts: {[one.seen for one in ended]}"
    if any(one.code for one in ended):
        return Trial(LOST, done, tuple(kinds))
    if differs := joined_difference(cwd / "w", plain):
        return Trial(WRONG, f"{done}; {differs} differs", tuple(kinds))
    if left := leftovers(cwd / "w"):
        return Trial(FAILED, f"{done}; left {left}", tuple(kinds))
    # As it began, or on other hosts, it may have other waves.
    there = shared(room, words, 2).workdir
    if hosts == 2 and (differs := difference(cwd / "w", there)):
        return Trial(WRONG, f"{done}; {differs} differs", tuple(kinds))
    trial = Trial(PASSED, done, (*kinds, f"then {hosts} hosts"))
    return same_answers(room, words, cwd, any_member(plain, rng), trial)
