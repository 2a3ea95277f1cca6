"""How fast members train whose data are read as it goes, beside data on the devices.

    python -m benchmarks.feeding --sizes=32,224 --members=8 --repeats=5

Cuttings of a photograph that comes with scikit-learn are written as JPEGs of each size
and prepared; then a small CNN trains on them from the devices (`resident`), from the
prepared array (`mapped`) and from the JPEGs (`decoded`), turn by turn in one run.
Prints a Markdown table: member-steps per second (median and range), the ratio to
`resident` of the same turn, images that the feed alone reads in a second, and the time
for that as a share of training.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from absl import app, flags
from sklearn.datasets import load_sample_image

from init_study.data import load_dataset
from init_study.engine.devices import place_members, prepare_jax
from init_study.engine.feeding import Supply
from init_study.engine.population import initial_population
from init_study.engine.running import Running, prepare_program
from init_study.plan import Given, Plan, make_plan
from init_study.study import Study

_SIZES = flags.DEFINE_list("sizes", ["32", "224"], "Height and width of the images.")
_MEMBERS = flags.DEFINE_integer("members", 8, "Nets to train, of two seeds.", 2)
_IMAGES = flags.DEFINE_integer("images", 2000, "JPEGs to be written.", 200)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns that are timed.", 1)
_SECONDS = flags.DEFINE_float("seconds", 4.0, "Of a turn, about.", 0.1)
_FEEDS = ("resident", "mapped", "decoded")
_BATCH = 64


class Way(NamedTuple):
    """A population and the feed that it trains from."""

    plan: Plan
    population: Running
    state: Any


def main(_: list[str]) -> None:
    """Print the table, row by row."""
    prepare_jax(None)
    print(
        f"{_MEMBERS.value} members, batches of {_BATCH}, n={_REPEATS.value}\n\n"
        "| pixels | feed | member-steps/s | × resident | images/s alone | share |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for size in map(int, _SIZES.value):
        with tempfile.TemporaryDirectory() as folder:
            write_jpegs(Path(folder) / "jpegs", size, _IMAGES.value)
            ways = {feed: make_way(Path(folder), size, feed) for feed in _FEEDS}
            for row in compare(ways, size):
                print(row, flush=True)


def write_jpegs(folder: Path, size: int, count: int) -> None:
    """Write cuttings of a photograph, in two classes.

    Args:
        folder: made.
        size: height and width.
        count: of the files.
    """
    photograph = PIL.Image.fromarray(load_sample_image("china.jpg"))
    draw = np.random.default_rng(0)
    for i in range(count):
        place = folder / "ab"[i % 2] / f"{i}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        side = int(draw.integers(120, 400))
        left, top = draw.integers(0, (640 - side, 427 - side))
        box = (left, top, left + side, top + side)
        photograph.resize((size, size), box=box).save(place, quality=90)


def make_way(folder: Path, size: int, feed: str) -> Way:
    """Prepare the images, and a population that trains on them."""
    study = Study(
        schemes="he_normal",
        learning_rates=tuple(0.001 * (1 + n) for n in range(_MEMBERS.value // 2)),
        seeds=2,
        dataset="jpegs",
        pooling="stride",
        batch_size=_BATCH,
        steps=100_000,
        evaluations=1000,
        feed=feed,
    )
    dataset = load_dataset(
        f"folder:{folder / 'jpegs'}",
        image_size=size,
        cache_dir=folder / feed,
        store_pixels=feed != "decoded",
    )
    plan = make_plan(study, given=Given(datasets={"jpegs": dataset}))
    program = plan.programs[0]
    population = prepare_program(plan, program)
    rows = np.zeros((2, _BATCH), np.int32)
    state = initial_population(program, plan.schemes, plan.members, rows)
    width = program.execution.chunk_width
    return Way(plan, population, place_members(state, population.mesh, width))


def compare(ways: dict[str, Way], size: int) -> list[str]:
    """Let the ways take turns, and make their rows of the table."""
    speeds: dict[str, list[float]] = {feed: [] for feed in ways}
    alone = {feed: images_per_second(ways[feed]) for feed in ("mapped", "decoded")}
    # The first turn compiles.
    for turn in range(_REPEATS.value + 1):
        for feed, way in ways.items():
            ways[feed], speed = _take_turn(way)
            if turn:
                speeds[feed].append(speed)
    rows = []
    for feed, own in speeds.items():
        ratios = [a / b for a, b in zip(own, speeds["resident"], strict=True)]
        wanted = median(own) / _MEMBERS.value * 2 * _BATCH
        share = f"{wanted / alone[feed]:.3f}" if feed in alone else "–"
        read = f"{alone[feed]:,.0f}" if feed in alone else "–"
        rows.append(
            f"| {size} | {feed} | {median(own):,.0f} ({min(own):,.0f}–{max(own):,.0f}) "
            f"| {median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) "
            f"| {read} | {share} |"
        )
    return rows


def _take_turn(way: Way) -> tuple[Way, float]:
    """Train for a while; the speed in member-steps per second."""
    supply = Supply(way.population.feeding, 0)
    state, steps, most = way.state, 0, 1
    stop = time.perf_counter() + _SECONDS.value
    # What is read before the first step is no part of the speed.
    shared, first, count = supply.take(most)
    began = time.perf_counter()
    while True:
        started = time.perf_counter()
        places = jnp.int32(first), jnp.int32(count)
        population = way.population
        state = population.compiled.train(state, population.hyper, shared, *places)
        jax.block_until_ready(state)
        steps += count
        now = time.perf_counter()
        if now > stop:
            speed = steps * _MEMBERS.value / (now - began)
            return way._replace(state=state), speed
        most = max(1, min(4 * most, int(0.5 * count / (now - started))))
        shared, first, count = supply.take(most)


def images_per_second(way: Way) -> float:
    """Read steps for a while, and do nothing with them."""
    blocks = way.population.feeding.shared(0)
    jax.block_until_ready(next(blocks)[0])
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS.value / 2:
        shared, count = next(blocks)
        jax.block_until_ready(shared)
        steps += count
    return steps * 2 * _BATCH / (time.perf_counter() - began)


if __name__ == "__main__":
    app.run(main)
