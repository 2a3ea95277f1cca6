"""Where the time of a step goes, part by part, on the machine at hand.

    python -m benchmarks.layers --case=resnet20

Trains one member on one CPU device under JAX's profiler and adds up what each compiled
operation took, by the part of a step that it belongs to. Beside the milliseconds of
the convolutions stand the GFLOP per second that they come to, counted as a plain
convolution does them, and beside the rest the memory that its operands and results
take, per second; both beside what a matrix product and a large sum reach here.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from jax import lax

from benchmarks.cases import BATCH_SIZE, CASES, find_case
from benchmarks.machine import cpu_name, versions
from benchmarks.ours import Population, compile_train, place_population, way_of
from benchmarks.starting import check_file, keep, start
from benchmarks.step_parts import PARTS, Part, parts_of, read_events
from benchmarks.ways_jax import matmul
from init_study.engine.devices import place_members
from init_study.errors import UserError
from init_study.execution import parse_execution
from init_study.train import EVALUATION_BATCH, no_sums

_CASE = flags.DEFINE_string("case", "resnet20", f"One of {', '.join(CASES)}.")
_EXECUTION = flags.DEFINE_string(
    "execution", "", "How this engine runs, FORM/WIDTH; by default its own choice."
)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Of profiled steps, about.", 0.01)
_JSON = flags.DEFINE_string("json", None, "File for all figures.")

# Numbers of each operand of the large sum: no cache holds them.
_LARGE = 2**25


def main(_: list[str]) -> None:
    """Profile the steps of a case, and print the table."""
    case = find_case(_CASE.value)
    if _EXECUTION.value:
        parse_execution(_EXECUTION.value)
    check_file(_JSON.value)
    # One device, whose operations follow one another.
    jax.config.update("jax_num_cpu_devices", 1)
    if jax.default_backend() != "cpu":
        raise UserError(
            f"profiles are read on a CPU alone, and JAX runs on {jax.default_backend()}"
            "; set JAX_PLATFORMS=cpu"
        )
    population = place_population(case, 1, _EXECUTION.value)
    document = profile(population)
    print(table(document))
    keep(_JSON.value, document)


def profile(population: Population) -> dict[str, Any]:
    """Measure the parts of a step, what comes between steps, and the machine."""
    train = compile_train(population)
    way = way_of(population, train)
    way(1)
    step = _seconds(lambda: way(2)) / 2
    steps = max(2, round(_SECONDS.value / step))
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            way(steps)
        events = read_events(Path(folder))
    parts = parts_of(events, train.as_text(), steps, population.plan.network)
    return {
        "case": population.plan.label,
        "execution": str(population.plan.execution),
        "batch_size": BATCH_SIZE,
        "steps": steps,
        "step_ms": 1e3 * step,
        "parts": [part._asdict() for part in parts],
        "evaluation_ms": 1e3 * _evaluation(population),
        "evaluation_batch": EVALUATION_BATCH,
        "measuring_ms": 1e3 * _measuring(population),
        "matmul_gflops": _matmul_rate(),
        "memory_gbs": _memory_rate(),
        "machine": {"cpu": cpu_name()},
        "versions": versions(),
    }


def _evaluation(population: Population) -> float:
    """Time the evaluation of a batch."""
    width = population.plan.execution.chunk_width
    sums = place_members(no_sums(1), population.mesh, width)
    data, start, stop = next(population.feeding.held("validation"))
    bounds, member = (jnp.int32(start), jnp.int32(stop)), (population.start, sums)
    evaluate = population.compiled.evaluate
    batches = -(-(stop - start) // EVALUATION_BATCH)
    return _seconds(lambda: evaluate(member, data, *bounds)) / batches


def _measuring(population: Population) -> float:
    """Time the measuring of every layer."""
    member, feeding = (population.start, population.hyper), population.feeding
    measure = population.compiled.measure
    return _seconds(lambda: measure(member, feeding.first, feeding.first_steps))


def _matmul_rate() -> float:
    way = matmul(find_case("tiny"), 1, 1.0)
    way(1)
    return max(_rate(way) for _ in range(5))


def _rate(way: Callable[[int], float]) -> float:
    began = time.monotonic()
    return way(4) / (time.monotonic() - began)


def _memory_rate() -> float:
    """Measure GB per second of a sum of two large arrays; three are moved."""
    left, right = jnp.ones((2, _LARGE))

    @jax.jit
    def sums(left: Any, right: Any) -> Any:
        # In place, as a step's operations write into memory that is there already.
        return lax.fori_loop(0, 4, lambda _, x: x + 0.5 * right, left)

    return 4 * 3 * 4 * _LARGE / _seconds(lambda: sums(left, right)) / 1e9


def _seconds(function: Callable[[], Any], repeats: int = 3) -> float:
    """Find the least seconds of a call, compiled before."""
    jax.block_until_ready(function())
    found = []
    for _ in range(repeats):
        began = time.monotonic()
        jax.block_until_ready(function())
        found.append(time.monotonic() - began)
    return min(found)


def table(document: dict[str, Any]) -> str:
    """Write the figures as a Markdown table."""
    parts = [Part(**part) for part in document["parts"]]
    profiled = sum(part.ms for part in parts)
    rows = [
        f"| {PARTS[part.name]} | {part.ms:.1f} | {part.ms / profiled:.0%} | "
        f"{_or_dash(part.gflops)} | {_or_dash(part.gbs)} |"
        for part in parts
    ]
    return "\n".join(
        (
            f"{document['case']} as {document['execution']}: one member, batch "
            f"{document['batch_size']}, one device of {document['machine']['cpu']}; "
            f"{document['step_ms']:.1f} ms a step, {profiled:.1f} ms of them in "
            f"operations; {document['steps']} steps profiled",
            "",
            "| part | ms a step | share | GFLOP/s | GB/s |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            f"| a matrix product, a large sum | | | {document['matmul_gflops']:.0f} | "
            f"{document['memory_gbs']:.1f} |",
            "",
            f"Evaluating {document['evaluation_batch']} images takes "
            f"{document['evaluation_ms']:.1f} ms, measuring every layer "
            f"{document['measuring_ms']:.1f} ms.",
        )
    )


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    start(main)
