"""One process that trains by some of the ways, whenever it is told to.

    python -m benchmarks.worker --case=tiny --ways=ours --members=8

Talks in JSON lines. It first says of each way whether it runs, and in how many steps
per turn. Then each line on its input, `go WAY` or `go WAY BEGIN END` (on the clock of
`time.monotonic`), is one turn, answered by what was done, wall and CPU seconds.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO

from absl import app, flags

from benchmarks.cases import find_case, step_gflop

_CASE = flags.DEFINE_string("case", "tiny", "Name in cases.CASES.")
_WAYS = flags.DEFINE_list("ways", [], "Of ways_jax or ways_torch, in full.")
_MEMBERS = flags.DEFINE_integer("members", 8, "Nets to train.", 1)
_STEPS = flags.DEFINE_integer("steps", 0, "Per turn; 0: as many as fit.", 0)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Of a turn.", 0.0)
_THREADS = flags.DEFINE_integer("threads", 1, "Of PyTorch.", 1)
_EXECUTION = flags.DEFINE_string("execution", "", "Of this engine; empty: default.")
_PRECISION = flags.DEFINE_string(
    "precision", None, "Of this engine's products; unset: the device's own."
)
_FASTEST = flags.DEFINE_float(
    "fastest", 0.0, "Member-steps per second of the fastest way that is known.", 0.0
)
_PROBE = flags.DEFINE_list(
    "probe", [], "Cases: say what JAX is here, and nothing else."
)

Way = Callable[[int], float]
# A way that is so many times slower than the fastest takes one step and no turn.
_TOO_SLOW = 30


def main(_: list[str]) -> None:
    """Set the ways up, then take turns until the input ends."""
    answers = own_stdout()
    if _PROBE.value:
        answer(answers, _probe(_PROBE.value))
        return
    ready: dict[str, tuple[Way, int]] = {}
    for name in _WAYS.value:
        try:
            way = make(name)
            if _STEPS.value:
                way(1)  # Compiles.
                found = Calibrated(_STEPS.value)
            else:
                found = calibrate(way, _SECONDS.value, _FASTEST.value / _TOO_SLOW)
        # A peer that cannot run is a result, whatever the reason.
        except Exception as error:
            answer(answers, {"way": name, "error": in_one_line(error)})
            continue
        ready[name] = way, found.steps
        answer(answers, {"way": name, **found._asdict()})
    for line in sys.stdin:
        _, name, *window = line.split()
        answer(answers, take_turn(*ready[name], [float(at) for at in window]))


class Calibrated(NamedTuple):
    """How a way is measured.

    Attributes:
        steps: of a turn.
        rate: member-steps per second, about; 0 where it is not known.
        once: the only turn of a way that is too slow for more, as of `take_turn`.
    """

    steps: int
    rate: float = 0.0
    once: dict[str, float] | None = None


def calibrate(way: Way, seconds: float, least: float = 0.0) -> Calibrated:
    """Find the number of steps that takes about so many seconds; it also warms up.

    Args:
        way: to take them.
        seconds: of a turn.
        least: member-steps per second; a way that is slower takes one step more, which
            is all that is measured of it.
    """
    began = time.monotonic()
    done = way(1)
    took = time.monotonic() - began
    if done / took < least:
        # Most of it may have been compilation.
        turn = take_turn(way, 1, [])
        if (rate := turn["done"] / turn["seconds"]) < least:
            return Calibrated(1, rate, turn)
    # Slow even if none of it was compilation: not worth a second try.
    elif took > 20 * max(seconds, 1.0):
        return Calibrated(1, done / took)
    steps = 1
    while True:
        began = time.monotonic()
        done = way(steps)
        took = max(time.monotonic() - began, 1e-6)
        if took > seconds / 4:
            return Calibrated(max(1, round(steps * seconds / took)), done / took)
        steps = max(steps + 1, min(8 * steps, math.ceil(steps * seconds / 2 / took)))


def take_turn(way: Way, steps: int, window: list[float]) -> dict[str, float]:
    """Train so many steps once, or again and again for as long as the window lasts."""
    begin, end = window or [0.0, 0.0]
    time.sleep(max(0.0, begin - time.monotonic()))
    began, cpu_began = time.monotonic(), time.process_time()
    done = way(steps)
    while time.monotonic() < end:
        done += way(steps)
    return {
        "done": done,
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu_began,
    }


def in_one_line(error: Exception) -> str:
    """Name the error, and give the first line of what it says."""
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}"


def make(name: str) -> Way:
    """Make a way, and import only the library that it needs.

    Neither library waits in the other's process.
    """
    case, members = find_case(_CASE.value), _MEMBERS.value
    if not name.startswith("torch"):
        if name == "ours":
            from benchmarks.ours import ours

            return ours(case, members, _EXECUTION.value, _PRECISION.value)
        from benchmarks.ways_jax import PEERS

        return PEERS[name](case, members, _SECONDS.value)
    from benchmarks import ways_torch

    ways_torch.prepare_torch(_THREADS.value)
    kind, *variant = name.split("/")
    if kind == "torch_func_vmap":
        return ways_torch.torch_func_vmap(case, members)
    if kind == "torch_graphs":
        return ways_torch.torch_graphs(case, members, int(variant[0]))
    compiled = kind == "torch_compile"
    return ways_torch.torch_loop(case, members, variant[0], compiled=compiled)


def _probe(cases: list[str]) -> dict[str, Any]:
    import jax

    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device": device.device_kind,
        "devices": len(jax.devices()),
        "step_gflop": {name: step_gflop(find_case(name)) for name in cases},
    }


def own_stdout() -> TextIO:
    """Take stdout for the answers; all else that is printed goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def answer(answers: TextIO, values: dict[str, Any]) -> None:
    """Give one answer, a line of JSON."""
    print(json.dumps(values), file=answers, flush=True)


if __name__ == "__main__":
    app.run(main)
