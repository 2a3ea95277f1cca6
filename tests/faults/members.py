"""R7, R8 and R9: members that diverge, too little memory, other devices."""

import json
import os
import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calling import tiny

from faults.kills import measured, watch_writes
from faults.room import (
    FAILED,
    PASSED,
    SMALL,
    WRONG,
    Room,
    Trial,
    data_of,
    difference,
    gone_on,
)
from init_study import store

_SEEDS = {"fresh_seeds": "0", "evaluations": "3", "seeds": "2"}
_DIVERGED = "train/diverged_step"


def diverging_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Have members diverge: the bits of the others stay, side by side as well."""
    width = (1, 2, 4)[number % 3]
    how = (f"--execution=xla/{width}", "--checkpoint_every=0")
    study = {"schemes": "he_normal,torch", "learning_rates": "0.1,0.3"}
    poisoned = [dict(study), dict(study)]
    poisoned[0]["learning_rates"] = rng.choice(("0.1,1e30", "1e30,0.3", "0.1,3e38"))
    poisoned[1]["schemes"] = rng.choice(
        ("he_normal,normal(1e20)", "normal(1e30),torch")
    )
    changed = poisoned[rng.randrange(2)]
    whole = room.undisturbed((*tiny(**_SEEDS, **study), *how)) / "w"
    cwd = room.new()
    ended = room.call("run", *tiny(**_SEEDS, **changed), *how, "--workdir=w", cwd=cwd)
    done = f"{changed}, width {width}: {ended.seen}"
    if ended.code or ended.is_traceback:
        return Trial(FAILED, f"{done} {ended.err[-500:]}")
    right, found = _by_member(whole), _by_member(cwd / "w")
    common = set(right) & set(found)
    wrong = [name for name in common if right[name] != found[name]]
    silent = [
        name
        for name in set(found) - common
        if "he_normal" in name and found[name][-1][_DIVERGED] == "nan"
    ]
    if not common or wrong or silent:
        return Trial(WRONG, f"{done}: {wrong} changed; {silent} are not told")
    gone = len(found) - len(common)
    return Trial(PASSED, done, ("members that diverged",) * gone)


def _by_member(workdir: Path) -> dict[str, list[dict[str, Any]]]:
    names = [member.name for member in store.read_study(workdir).members()]
    lines = [json.loads(x) for x in (workdir / store.RECORDS).read_text().splitlines()]
    return {
        name: [{m: v[i] for m, v in line["values"].items()} for line in lines]
        for i, name in enumerate(names)
    }


def memory_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Leave too little memory: narrower from the first step on, or refused."""
    real = number % 3 == 2
    fake, more = int(10 ** rng.uniform(4.5, 8.5)), rng.randint(1, 1500) << 20
    room_for = more if real else fake
    words = (*tiny(fresh_seeds="0", evaluations="3"), "--checkpoint_every=0")
    given = ("--execution=xla/8",) if number % 2 else ()
    cwd = room.new()
    before = _real_limit(room_for) if real else _fake_limit(room_for)
    ended = room.call("run", *words, *given, "--workdir=w", cwd=cwd, before=before)
    done = f"{'really' if real else 'said to have'} {room_for >> 10} KiB: {ended.seen}"
    kind = "real limits" if real else "fake limits"
    # What the kernel refuses, XLA may answer by ending the process.
    if ended.code and not real and not ended.refusal:
        return Trial(FAILED, f"{done} {ended.err[-500:]}")
    if ended.code and not real and data_of(cwd / "w"):
        return Trial(FAILED, f"{done}: after it had begun")
    if ended.code:
        again = room.call("run", *words, *given, "--workdir=w", cwd=cwd)
        if again.code:
            return Trial(FAILED, f"{done}; then {again.seen}")
    (frozen,) = store.read_manifest(cwd / "w")["programs"].values()
    execution = f"{frozen['convolution']}/{frozen['chunk_width']}"
    whole = room.undisturbed((*words, f"--execution={execution}")) / "w"
    differs = difference(cwd / "w", whole)
    return Trial(
        WRONG if differs else PASSED, f"{done}; {execution} {differs}", (kind,)
    )


def _fake_limit(size: int) -> Callable[[], None]:
    def limit() -> None:
        from init_study.engine import devices

        devices.available_bytes = lambda: size

    return limit


def _real_limit(more: int) -> Callable[[], None]:
    def limit() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))

    return limit


def device_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Go on with 1, 4, 2 and 1 devices, killed in between."""
    writes = measured(room, SMALL).writes
    cwd, done = room.new(), []
    counts = [1, 4, 2, 1] if number % 2 == 0 else rng.choices([1, 2, 3, 4, 8], k=4)
    places = sorted(rng.choices(range(writes), k=3))
    for count, at in zip(counts, [*places, None], strict=True):

        def before(count: int = count, at: int | None = at) -> None:
            _have(count, by_flag=number % 3 == 2)
            watch_writes(at, "before")

        ended = room.call("run", *SMALL, "--workdir=w", cwd=cwd, before=before)
        done.append(f"{count} devices: {ended.code}")
        if ended.code > 0:
            return Trial(FAILED, f"{', '.join(done)}; {ended.seen}")
    return gone_on(room, SMALL, cwd, ", ".join(done))


def _have(count: int, by_flag: bool) -> None:
    from init_study.engine import devices

    devices.usable_cores = lambda: count
    if by_flag:
        flag = f"--xla_force_host_platform_device_count={count}"
        os.environ["XLA_FLAGS"] = flag
