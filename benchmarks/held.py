"""One process that makes one way ready, and does no more until it is told to.

    python -m benchmarks.held --case=tiny --ways=ours --members=8

Its flags are those of `benchmarks.worker`, its answers JSON lines, too. The first says
what compiling took and what memory the way needs, or why it does not run. A line
`calibrate` finds the steps of a turn, `turn` takes one, `memory` says what the device
holds. So many processes can compile at once and one at a time can be timed.
"""

import sys
import time
from typing import Any

from absl import app, flags

from benchmarks.cases import find_case
from benchmarks.worker import (
    Way,
    answer,
    calibrate,
    in_one_line,
    make,
    own_stdout,
    take_turn,
)


def main(_: list[str]) -> None:
    """Make the way ready, then do what each line says until the input ends."""
    given, answers = flags.FLAGS, own_stdout()
    (name,) = given.ways
    steps = 0
    try:
        way, about = prepare(name)
        answer(answers, about | {"compiled_at": time.monotonic()})
        for line in sys.stdin:
            found: dict[str, Any] = {}
            match line.strip():
                case "calibrate":
                    steps = calibrate(way, given.seconds).steps
                    found = {"steps": steps}
                case "turn":
                    found = take_turn(way, steps, [])
                case "memory":
                    found = memory(name)
            answer(answers, found)
    # A way that cannot run is a result, whatever the reason.
    except Exception as error:
        answer(answers, {"error": in_one_line(error)})


def prepare(name: str) -> tuple[Way, dict[str, Any]]:
    """Make a way, and find what it took.

    Raises: MemoryError for a population that does not fit on the devices.
    """
    given, began = flags.FLAGS, time.monotonic()
    if name != "ours":
        way = make(name)
        way(1)
        return way, {"compile_seconds": time.monotonic() - began, "need": 0}
    import jax

    from benchmarks.ours import prepare_ours
    from init_study.engine.devices import bytes_per_device, prepare_jax

    # Before JAX counts its devices.
    prepare_jax(None)
    case, device = find_case(given.case), jax.devices()[0]
    # Before the population takes some of it, which `need` counts as well.
    room = bytes_per_device(device.platform)
    ready = prepare_ours(case, given.members, given.execution, given.precision)
    if room is not None and ready.need > room:
        raise MemoryError(f"needs {ready.need:,} of {room:,} bytes on a device")
    about = ready._asdict() | {
        "room": room,
        "platform": device.platform,
        "device": device.device_kind,
        "devices": jax.device_count(),
    }
    return about.pop("way"), about


def memory(name: str) -> dict[str, int | None]:
    """Find what the first device holds and has held; None where it does not say."""
    if name.startswith("torch"):
        import torch

        on_gpu = torch.cuda.is_available()
        held = torch.cuda.memory_allocated() if on_gpu else None
        most = torch.cuda.max_memory_allocated() if on_gpu else None
        return {"bytes_in_use": held, "peak_bytes_in_use": most}
    import jax

    found = jax.local_devices()[0].memory_stats() or {}
    return {name: found.get(name) for name in ("bytes_in_use", "peak_bytes_in_use")}


if __name__ == "__main__":
    app.run(main)
