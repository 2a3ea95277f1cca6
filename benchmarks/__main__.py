"""The same members trained by this engine and by what one would use instead.

    python -m benchmarks --cases=tiny,small --json=speed.json --repeats=5 --members=8

Each way runs in worker processes of its own, which take turns: round by round, one way
at a time. Compilation and warm-up are not counted. Prints member-steps per second as a
Markdown table, a row as each case ends; the JSON file has every way and variant.
Ctrl-C, SIGTERM and SIGHUP keep what there is. A way that is 30 times slower than
another takes one step and no more. Ways:

    ours             the engine, on all devices
    flax_loop        plain Flax, a jitted step, one member after the other
    flax_vmap        plain Flax, a jitted step of all members by vmap
    flax_scan        plain Flax, the steps in lax.scan, one member after the other
    torch_loop       PyTorch, eager, one member after the other; best of two memory
                     layouts, and of one thread and all
    torch_processes  one such process of one thread per core, side by side
    torch_compile    the same, loss and gradients compiled by torch.compile
    torch_func_vmap  PyTorch, all members by torch.func
    matmul           no training: the rate of a float32 matrix product
"""

import importlib.util
import sys
import time
from collections.abc import Sequence
from typing import Any

from absl import flags

from benchmarks import crews
from benchmarks.cases import BATCH_SIZE, CASES, find_case
from benchmarks.crews import Settings, Turn
from benchmarks.groups import TORCH_WAYS, WAYS, make_groups
from benchmarks.machine import cpu_name, versions
from benchmarks.starting import check_file, keep, start
from benchmarks.summary import header, problems_of, row_of, summarize
from init_study.errors import UserError, unknown
from init_study.execution import parse_execution
from init_study.host import usable_cores
from init_study.interrupts import EXIT_CODES, noted_signals

_CASES = flags.DEFINE_list("cases", list(CASES), "Names in cases.CASES.")
_WAYS = flags.DEFINE_list("ways", list(WAYS), "What to compare.")
_MEMBERS = flags.DEFINE_integer("members", 8, "Nets to train.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each way.", 1)
_STEPS = flags.DEFINE_integer("steps", 0, "Of a turn; 0: as many as fit.", 0)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Of a turn, about.", 0.01)
_LIMIT = flags.DEFINE_float("limit", 180.0, "Seconds until a way is given up.", 0.01)
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


def main(_: list[str]) -> int:
    """Measure case by case; the file is complete after each."""
    ways = _checked()
    with noted_signals() as received:
        try:
            found = crews.probe(_CASES.value, _LIMIT.value, received)
        except crews.Interrupted:
            print(f"ended by {received[0].name}; nothing was measured")
            return EXIT_CODES[received[0]]
        except TimeoutError as error:
            raise UserError(
                f"--limit={_LIMIT.value:g}: JAX itself gave {error}; give more seconds"
            ) from None
        machine = _machine(found)
        print(
            f"{machine['cpu']}, {machine['cores']} cores, {machine['devices']} × "
            f"{machine['device']}; {_MEMBERS.value} members, batch {BATCH_SIZE}, "
            f"member-steps/s, median of {_REPEATS.value} (least to greatest)\n\n"
            f"{header()}",
            flush=True,
        )
        records: list[dict[str, Any]] = []
        for name in _CASES.value:
            record = measure(name, ways, found, received)
            records.append(record)
            print(row_of(record), flush=True)
            keep(_JSON.value, records)
            if received:
                break
        for line in problems_of(records):
            print(f"\n{line}")
    if received:
        left = ", ".join(_CASES.value[len(records) :]) or "none"
        print(f"\nended by {received[0].name}; not begun: {left}")
        return EXIT_CODES[received[0]]
    return 0 if any(record["measured"] for record in records) else 1


def _checked() -> list[str]:
    """Make sure that every flag can be used, and list the ways that can run here.

    Raises: UserError for the first that cannot.
    """
    if not _CASES.value:
        raise UserError(f"--cases is empty; give at least one of {', '.join(CASES)}")
    for name in _CASES.value:
        find_case(name)
    if _EXECUTION.value:
        parse_execution(_EXECUTION.value)
    check_file(_JSON.value)
    for way in _WAYS.value:
        if way not in WAYS:
            raise unknown("way", way, WAYS, ", ".join(WAYS))
    ways = [way for way in WAYS if way in _WAYS.value]
    if importlib.util.find_spec("torch") is None and {*ways} & {*TORCH_WAYS}:
        print(_TORCH_MISSING, file=sys.stderr)
        ways = [way for way in ways if way not in TORCH_WAYS]
    if not ways:
        raise UserError(f"no way is left of --ways={','.join(_WAYS.value)}")
    return ways


def measure(
    case: str, ways: list[str], found: dict[str, Any], received: Sequence[Any]
) -> dict[str, Any]:
    """Measure all ways on one case, in turns; what there is of it after a signal."""
    settings = Settings(
        case,
        _MEMBERS.value,
        _STEPS.value,
        _SECONDS.value,
        _LIMIT.value,
        _EXECUTION.value,
        received,
    )
    problems: dict[str, str] = {}
    ready: list[crews.Crew] = []
    turns: dict[str, dict[int, Turn]] = {}
    try:
        _set_up_all(ready, ways, settings, problems, found["platform"])
        take_turns(ready, settings, problems, turns)
    except crews.Interrupted:
        # What was not measured has a dash.
        pass
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
        "measured": any(turns.values()),
        "ended": received[0].name if received else "",
        **summarize(turns, problems, gflop, found["platform"]),
        "machine": _machine(found),
        "versions": versions(),
    }


def _set_up_all(
    ready: list[crews.Crew],
    ways: list[str],
    settings: Settings,
    problems: dict[str, str],
    platform: str,
) -> None:
    """Start all processes, those that run into `ready`; say of each when it is set up.

    Raises: crews.Interrupted after a signal.
    """
    began = time.monotonic()
    for group in make_groups(ways, platform, usable_cores()):
        rates = [rate for crew in ready for rate in _trained(crew.rates).values()]
        crew, failed = crews.set_up(group, settings, max(rates, default=0.0))
        problems |= failed
        ready += [crew] if crew else []
        begins = f"[{time.monotonic() - began:.0f} s] {settings.case}:"
        if crew:
            print(f"{begins} {', '.join(crew.steps)}: set up", file=sys.stderr)
        for way, problem in failed.items():
            print(f"{begins} {way}: {problem}", file=sys.stderr)


def _trained(rates: dict[str, float]) -> dict[str, float]:
    """Leave out the matrix product, which trains nothing."""
    return {way: rate for way, rate in rates.items() if way != "matmul"}


def take_turns(
    ready: list[crews.Crew],
    settings: Settings,
    problems: dict[str, str],
    turns: dict[str, dict[int, Turn]],
) -> None:
    """Take all turns, into `turns` by way and round.

    A way that fails is noted in `problems` and dropped; of one that is far behind the
    step of its setting up is all there is.

    Raises: crews.Interrupted after a signal.
    """
    turns |= {
        way: {0: crew.once[way]} if way in crew.once else {}
        for crew in ready
        for way in crew.steps
    }
    for repeat in range(_REPEATS.value):
        for crew in ready:
            for way in (way for way in crew.steps if way not in crew.once):
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


def _machine(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "cpu": cpu_name(),
        "cores": usable_cores(),
        **{key: found[key] for key in ("platform", "device", "devices")},
    }


if __name__ == "__main__":
    start(main)
