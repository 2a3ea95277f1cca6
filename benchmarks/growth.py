"""How seconds and bytes grow with members, depth, width, batch, images and schemes.

    python -m benchmarks.growth --json=growth.json

Doubles one thing at a time, the others as they are in a small CNN, and fits a power law
to what this engine takes: y = c · xᵃ. Seconds are of the processor, so that other work
on the machine counts little. Beside each exponent stands the one that the arithmetic
has: twice the width is four times the multiplications.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks import children
from benchmarks.cases import BATCH_SIZE, NUM_CLASSES, Case
from benchmarks.crews import ROOT
from benchmarks.machine import cpu_name, versions
from benchmarks.ours import Population, compile_train, place_population, way_of
from benchmarks.power_laws import fitted, growth_table
from benchmarks.starting import check_file, keep, start
from init_study.engine.devices import place_members
from init_study.errors import UserError, unknown
from init_study.host import usable_cores
from init_study.interrupts import EXIT_CODES, noted_signals
from init_study.models import CNN
from init_study.train import no_sums

_SECONDS_OF_A_POINT = 0.3
_RUN_LIMIT = 600.0


class Net(NamedTuple):
    """What grows, one thing at a time."""

    members: int = 8
    depth: int = 4
    width: int = 16
    batch: int = BATCH_SIZE
    images: int = 8


class Axis(NamedTuple):
    """One thing that grows.

    Attributes:
        values: that it takes.
        arithmetic: the exponent that the number of multiplications has.
    """

    values: tuple[int, ...]
    arithmetic: int


AXES = {
    "members": Axis((2, 4, 8, 16, 32, 64, 128, 256, 512, 1024), 1),
    "depth": Axis((4, 8, 16, 32, 64), 1),
    "width": Axis((8, 16, 32, 64, 128), 2),
    "batch": Axis((16, 32, 64, 128, 256, 512), 1),
    "images": Axis((8, 16, 32, 64), 2),
    "schemes": Axis((1, 2, 5, 10, 20, 40), 1),
}
_AXES = flags.DEFINE_list("axes", list(AXES), "What grows.")
_MOST = flags.DEFINE_integer("most", 0, "Values up to this one; 0: all.", 0)
_JSON = flags.DEFINE_string("json", None, "File for all figures.")


def main(_: list[str]) -> int:
    """Measure axis by axis, a line as each point ends; the file is whole after each."""
    axes = _checked()
    records: list[dict[str, Any]] = []
    with noted_signals() as received:
        for name, values in axes.items():
            points: list[dict[str, Any]] = []
            for value in values:
                if received:
                    break
                try:
                    points.append({name: value} | _measure(name, value, received))
                except children.Interrupted:
                    break
                print(_line(name, points[-1]), file=sys.stderr, flush=True)
                _save([*records, _record(name, points)])
            records.append(_record(name, points))
            if received:
                break
    print(
        f"{cpu_name()}, {usable_cores()} cores; a CNN of "
        f"{', '.join(f'{k} {v}' for k, v in Net()._asdict().items())}; exponents with "
        f"intervals at 95 %\n\n{growth_table(records)}"
    )
    return EXIT_CODES[received[0]] if received else 0


def _checked() -> dict[str, tuple[int, ...]]:
    """List the values of each axis that is asked for.

    Raises: UserError for a flag that cannot be used.
    """
    found = {}
    for name in _AXES.value:
        if name not in AXES:
            raise unknown("axis", name, AXES, ", ".join(AXES))
        values = AXES[name].values
        found[name] = tuple(v for v in values if not _MOST.value or v <= _MOST.value)
        if not found[name]:
            raise UserError(f"--most={_MOST.value}: {name} begins at {values[0]}")
    if not found:
        raise UserError(f"--axes is empty; give at least one of {', '.join(AXES)}")
    check_file(_JSON.value)
    return found


def _measure(axis: str, value: int, received: Sequence[Any]) -> dict[str, float]:
    if axis == "schemes":
        return measure_run(value, received)
    return measure_population(Net()._replace(**{axis: value}))


def measure_population(net: Net) -> dict[str, float]:
    """Measure one population: compiling, a step of all members, what else it does.

    Args:
        net: and how many members, of which batches.
    """
    module = CNN(NUM_CLASSES, depth=net.depth, width=net.width)
    case = Case("growth", module, (net.images, net.images, 1))
    population = place_population(case, net.members, batch_size=net.batch)
    train, compiling = _cpu(lambda: compile_train(population))
    memory = train.memory_analysis()
    way = way_of(population, train)
    return {
        "compile": compiling,
        "step": _marginal(way),
        "evaluate": _repeated(lambda: _evaluate(population)),
        "measure": _repeated(lambda: _measure_layers(population)),
        "bytes": float(memory.argument_size_in_bytes + memory.temp_size_in_bytes),
    }


def _evaluate(population: Population) -> Any:
    width = population.plan.execution.chunk_width
    sums = place_members(no_sums(population.members), population.mesh, width)
    data, *bounds = next(population.feeding.held("validation"))
    member = population.start, sums
    return population.compiled.evaluate(member, data, *map(jnp.int32, bounds))


def _measure_layers(population: Population) -> Any:
    member, feeding = (population.start, population.hyper), population.feeding
    return population.compiled.measure(member, feeding.first, feeding.first_steps)


def measure_run(schemes: int, received: Sequence[Any] = ()) -> dict[str, float]:
    """Measure a whole run of a few steps by what its manifest says, and its page.

    Args:
        schemes: how many, each with two seeds and one rate.
        received: signals, as they come: the first ends the run.

    Raises: children.Interrupted after a signal.
    """

    def launched(*words: str) -> float:
        return _launch(words, received)

    texts = ",".join(f"normal({0.01 * (place + 1):.2f})" for place in range(schemes))
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "run"
        launched(
            "run",
            f"--workdir={workdir}",
            f"--study.schemes={texts}",
            *("--study.depth=4", "--study.steps=8", "--study.seeds=0,1"),
            *("--study.learning_rates=0.01", "--study.fresh_seeds=0"),
            "--cache_dir=",
        )
        manifest = json.loads((workdir / "manifest.json").read_text())
        (session,) = manifest["sessions"]
        page = launched("report", f"--workdir={workdir}")
        size = (workdir / "report.html").stat().st_size
    return {**session["spent"], "page": page, "bytes": float(size)}


def _launch(words: Sequence[str], received: Sequence[Any]) -> float:
    """Run the launcher, and give the seconds that it took.

    Raises: UserError with its last line if it fails, or takes too long;
        children.Interrupted after a signal.
    """
    began = time.monotonic()
    try:
        done = children.finish(
            [sys.executable, str(ROOT / "launch.py"), *words],
            _RUN_LIMIT,
            received,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"launch.py {words[0]}: over {_RUN_LIMIT:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"launch.py {words[0]}: {said[-1]}")
    return time.monotonic() - began


def _marginal(way: Callable[[int], float]) -> float:
    """Find the processor seconds of a step, without what a call costs once."""
    way(1)
    _, one = _cpu(lambda: way(1))
    steps = max(2, min(64, round(_SECONDS_OF_A_POINT / max(one, 1e-4))))
    fewer = min(_cpu(lambda: way(1))[1] for _ in range(3))
    more = min(_cpu(lambda: way(1 + steps))[1] for _ in range(3))
    return max(more - fewer, 1e-9) / steps


def _repeated(function: Callable[[], Any]) -> float:
    jax.block_until_ready(function())
    return min(_cpu(lambda: jax.block_until_ready(function()))[1] for _ in range(3))


def _cpu(function: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    found = function()
    return found, time.process_time() - began


def _record(axis: str, points: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "axis": axis,
        "arithmetic": AXES[axis].arithmetic,
        "points": points,
        "exponents": fitted(axis, points),
    }


def _line(axis: str, point: dict[str, Any]) -> str:
    rest = ", ".join(f"{k} {v:.3g}" for k, v in point.items() if k != axis)
    return f"{axis} {point[axis]}: {rest}"


def _save(records: list[dict[str, Any]]) -> None:
    about = {"machine": {"cpu": cpu_name(), "cores": usable_cores()}}
    keep(_JSON.value, {**about, "versions": versions(), "axes": records})


if __name__ == "__main__":
    start(main)
