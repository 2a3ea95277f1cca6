"""R4 and R12: full disks, and places where nothing can be written."""

import os
import random
import resource
from collections.abc import Callable, Sequence
from pathlib import Path

from calling import finish

from faults.forks import Ended, print_to_a_pipe
from faults.room import (
    FAILED,
    PASSED,
    SKIPPED,
    SMALL,
    WITH_FRESH,
    WRONG,
    Room,
    Trial,
    difference,
    gone_on,
)

# Bytes that one file may have: too few for the records, a checkpoint, the page.
_SIZES = (0, 300, 700, 1200, 2500, 4000, 6000, 10_000, 25_000, 60_000, 120_000)


def full_trial(
    room: Room,
    rng: random.Random,
    number: int,
    sizes: Sequence[int] = _SIZES,
) -> Trial:
    """Fill the disk under a run; with room again it ends as if nothing had been.

    Every third on a small disk of its own, where the system lets us make one. A limit
    of file size is one of `sizes`.
    """
    words = WITH_FRESH if number % 4 == 3 else SMALL
    if number % 3 == 2:
        return _small_disk(room, rng, words)
    size = rng.choice(sizes)

    def limit() -> None:
        # What it prints is no part of it.
        print_to_a_pipe()
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    cwd = room.new()
    cache = ("--cache_dir=",)
    ended = room.call("run", *words, *cache, "--workdir=w", cwd=cwd, before=limit)
    done = f"files of at most {size} bytes: {ended.seen}"
    if not (ended.code in (0, 74) or size < 2) or _tells_little(ended):
        return Trial(FAILED, f"{done} {ended.err[-700:]}")
    return gone_on(room, words, cwd, done, "limits of file size")


def _tells_little(ended: Ended) -> bool:
    """Whether it says nothing that helps, or not where there is no room."""
    return ended.is_traceback or "the disk or the network" in ended.err


def _small_disk(room: Room, rng: random.Random, words: tuple[str, ...]) -> Trial:
    cwd = room.new()
    disk = cwd / "disk"
    disk.mkdir()
    size = rng.choice((40, 60, 90, 130, 200, 280, 360)) * 1024
    if not _mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)):
        return Trial(SKIPPED, "this system mounts no disk of its own here")
    try:
        ended = room.call("run", *words, "--workdir=w", cwd=disk)
        done = f"a disk of {size} bytes: {ended.seen}"
        if ended.code not in (0, 74) or _tells_little(ended):
            return Trial(FAILED, f"{done} {ended.err[-700:]}")
        _mounted("-o", "remount,size=64m", str(disk))
        return gone_on(room, words, disk, done, "small disks")
    finally:
        finish(["umount", "-l", str(disk)], check=False)


def _mounted(*words: str) -> bool:
    return finish(["mount", *words], check=False).returncode == 0


def _read_only(cwd: Path) -> str:
    (cwd / "w").mkdir()
    if not _mounted("-t", "tmpfs", "-o", "ro", "tmpfs", str(cwd / "w")):
        # Nobody but the system writes there.
        return "/proc/w"
    return "w"


def _file(cwd: Path) -> str:
    (cwd / "w").write_text("mine")
    return "w"


def _below_a_file(cwd: Path) -> str:
    (cwd / "f").write_text("mine")
    return "f/w"


def _loop(cwd: Path) -> str:
    (cwd / "w").symlink_to(cwd / "w")
    return "w"


def _dangling(cwd: Path) -> str:
    (cwd / "w").symlink_to("/proc/nowhere/at/all")
    return "w"


def _full_of_others(cwd: Path) -> str:
    (cwd / "w").mkdir()
    (cwd / "w" / "thesis.tex").write_text("mine")
    return "w"


PLACES: dict[str, Callable[[Path], str]] = {
    "a disk that is read only": _read_only,
    "a file": _file,
    "a path below a file": _below_a_file,
    "a link to itself": _loop,
    "a link to nowhere": _dangling,
    "a folder of other files": _full_of_others,
    "a name that is too long": lambda cwd: "x" * 300,
    "a path that is too long": lambda cwd: "/".join(["x" * 200] * 30),
    "/dev/null": lambda cwd: "/dev/null",
    "/dev/full": lambda cwd: "/dev/full/w",
    "a folder of the kernel's": lambda cwd: "/proc/w",
    "a folder of devices": lambda cwd: "/sys/w",
}
# Where the run is fine all the same.
FINE = (
    "a missing parent",
    "no TMPDIR",
    "a cache that is a file",
    "no HOME to write to",
)


def place_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Name a place where nothing can be written, or can for all that."""
    names = [*PLACES, *FINE]
    name = names[number % len(names)]
    cwd = room.new()
    if name in FINE:
        return _fine(room, cwd, name)
    workdir = PLACES[name](cwd)
    before = _listed(cwd)
    try:
        ended = room.call("run", *SMALL, f"--workdir={workdir}", cwd=cwd)
        new = _listed(cwd) - before
    finally:
        finish(["umount", "-l", str(cwd / "w")], check=False)
    done = f"{name}: {ended.seen}"
    if ended.code not in (64, 73, 74) or not ended.refusal:
        return Trial(FAILED, f"{done} {ended.err[-500:]}")
    if "compiling" in ended.err:
        return Trial(FAILED, f"{done}: it compiled before it said so")
    if new:
        return Trial(FAILED, f"{done}: it wrote {sorted(map(str, new))[:3]}")
    return Trial(PASSED, done)


def _listed(cwd: Path) -> set[Path]:
    return {Path(top) / f for top, dirs, files in os.walk(cwd) for f in [*dirs, *files]}


def _fine(room: Room, cwd: Path, name: str) -> Trial:
    words, place = ["run", *SMALL], "w"
    before: Callable[[], None] = lambda: None  # noqa: E731
    if name == "a missing parent":
        place = "a/b/c/w"
    elif name == "no TMPDIR":
        before = lambda: os.environ.update(TMPDIR="/nowhere/at/all")  # noqa: E731
    elif name == "a cache that is a file":
        (cwd / "cache").write_text("mine")
        words.append("--cache_dir=cache")
    else:
        before = lambda: os.environ.update(HOME="/proc", XDG_CACHE_HOME="/proc/x")  # noqa: E731
    ended = room.call(*words, f"--workdir={place}", cwd=cwd, before=before)
    if ended.refusal:
        return Trial(PASSED, f"{name}: {ended.seen}")
    if ended.code or ended.is_traceback:
        return Trial(FAILED, f"{name}: {ended.seen} {ended.err[-500:]}")
    differs = difference(cwd / place, room.undisturbed(SMALL) / "w")
    return Trial(WRONG if differs else PASSED, f"{name}: {differs}")
