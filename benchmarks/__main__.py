"""The same members trained by this engine and by what one would use instead.

    python -m benchmarks --cases=tiny,small --json=speed.json --repeats=5 --members=8

Each way runs in worker processes of its own, which take turns: round by round, one way
at a time. Compilation and warm-up are not counted. Prints member-steps per second as a
Markdown table; the JSON file has every way and variant. Ways:

    ours             the engine, on all devices
    flax_loop        plain Flax, a jitted step, one member after the other
    flax_vmap        plain Flax, a jitted step of all members by vmap
    flax_scan        plain Flax, the steps in lax.scan, one member after the other
    torch_loop       PyTorch, eager, one member after the other; best of two memory
                     layouts, and of one thread and all
    torch_processes  one such process of one thread per core, side by side
    torch_func_vmap  PyTorch, all members by torch.func
    matmul           no training: the rate of a float32 matrix product
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from absl import app, flags

from benchmarks import crews
from benchmarks.cases import BATCH_SIZE, CASES, find_case
from benchmarks.crews import WAYS, Settings, Turn
from benchmarks.machine import cpu_name, versions
from benchmarks.summary import markdown, summarize
from init_study.errors import UserError, unknown
from init_study.execution import parse_execution
from init_study.host import usable_cores

_CASES = flags.DEFINE_list("cases", list(CASES), "Names in cases.CASES.")
_WAYS = flags.DEFINE_list("ways", list(WAYS), "What to compare.")
_MEMBERS = flags.DEFINE_integer("members", 8, "Nets to train.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each way.", 1)
_STEPS = flags.DEFINE_integer("steps", 0, "Of a turn; 0: as many as fit.", 0)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Of a turn, about.", 0.01)
_LIMIT = flags.DEFINE_float("limit", 180.0, "Seconds until a way is given up.", 1.0)
_EXECUTION = flags.DEFINE_string(
    "execution", "", "How this engine runs, FORM/WIDTH; by default its own choice."
)
_JSON = flags.DEFINE_string("json", None, "File for all figures.")

_TORCH_MISSING = (
    "PyTorch is not installed, its ways are left out: "
    "pip install -r requirements-bench.txt"
)
# A turn this much longer than asked for is measured once and not again.
_ONCE_ABOVE = 10


def main(_: list[str]) -> None:
    """Measure case by case; the file is complete after each."""
    if not _CASES.value:
        raise UserError(f"--cases is empty; give at least one of {', '.join(CASES)}")
    for name in _CASES.value:
        find_case(name)
    if _EXECUTION.value:
        parse_execution(_EXECUTION.value)
    for way in _WAYS.value:
        if way not in WAYS:
            raise unknown("way", way, WAYS, ", ".join(WAYS))
    ways = [way for way in WAYS if way in _WAYS.value]
    if importlib.util.find_spec("torch") is None and {*ways} & {*crews.TORCH_WAYS}:
        print(_TORCH_MISSING, file=sys.stderr)
        ways = [way for way in ways if way not in crews.TORCH_WAYS]
    found = crews.probe(_CASES.value, _LIMIT.value)
    records: list[dict[str, Any]] = []
    for name in _CASES.value:
        records.append(measure(name, ways, found))
        if _JSON.value:
            Path(_JSON.value).write_text(json.dumps(records, indent=1) + "\n")
    machine = records[0]["machine"]
    print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['devices']} × "
        f"{machine['device']}; {_MEMBERS.value} members, batch {BATCH_SIZE}, member-"
        f"steps/s, median of {_REPEATS.value} (least to greatest)\n"
    )
    print(markdown(records))


def measure(case: str, ways: list[str], found: dict[str, Any]) -> dict[str, Any]:
    """Measure all ways on one case, in turns."""
    settings = Settings(
        case,
        _MEMBERS.value,
        _STEPS.value,
        _SECONDS.value,
        _LIMIT.value,
        _EXECUTION.value,
    )
    problems: dict[str, str] = {}
    ready: list[crews.Crew] = []
    try:
        for group in crews.make_groups(ways, found["platform"], usable_cores()):
            crew, failed = crews.set_up(group, settings)
            problems |= failed
            ready += [crew] if crew else []
        turns = take_turns(ready, settings, problems)
    finally:
        crews.stop([worker for crew in ready for worker in crew.workers])
    steps = {way: count for crew in ready for way, count in crew.steps.items()}
    gflop = found["step_gflop"][case]
    return {
        "case": case,
        "members": settings.members,
        "steps": steps.get("ours"),
        "steps_by_way": steps,
        "batch_size": BATCH_SIZE,
        "gflop_per_member_step": gflop,
        **summarize(turns, problems, gflop, found["platform"]),
        "machine": _machine(found),
        "versions": versions(),
    }


def take_turns(
    ready: list[crews.Crew], settings: Settings, problems: dict[str, str]
) -> dict[str, dict[int, Turn]]:
    """Take all turns, and give them by way and round.

    A way that fails is noted in `problems` and dropped.
    """
    turns: dict[str, dict[int, Turn]] = {
        way: {} for crew in ready for way in crew.steps
    }
    for repeat in range(_REPEATS.value):
        for crew in ready:
            for way in crew.steps:
                slow = any(
                    turn.seconds > _ONCE_ABOVE * settings.seconds
                    for turn in turns[way].values()
                )
                if slow or way in problems:
                    continue
                try:
                    turns[way][repeat] = crews.take_turn(crew, way, settings)
                except (TimeoutError, EOFError, BrokenPipeError) as error:
                    crews.stop(crew.workers)
                    problems |= {name: f"{way}: {error}" for name in crew.steps}
    return turns


def _machine(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "cpu": cpu_name(),
        "cores": usable_cores(),
        **{key: found[key] for key in ("platform", "device", "devices")},
    }


def _run() -> None:
    try:
        app.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _run()
