"""How long the first use takes: what is traced, compiled and drawn in a new process.

    python -m benchmarks.first_use --model=resnet18 --schemes=he_normal,zero_gamma

Each turn is a process of its own, without a cache of compiled programs. Prints seconds
of the clock and of the processor, median (least to greatest), as a Markdown table: of
`initialize`, scheme by scheme on the same module, and of the word `show`.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax
from absl import app, flags

from benchmarks import children
from init_study import initialize
from init_study.errors import UserError
from init_study.models import build_model
from init_study.schemes import parse_scheme

_MODEL = flags.DEFINE_string("model", "resnet18", "A model, or module:NAME.")
_SCHEMES = flags.DEFINE_list(
    "schemes", ["he_normal", "lecun_normal"], "One after the other on one module."
)
_SIZE = flags.DEFINE_integer("size", 32, "Height and width of the 8 images.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Processes.", 1)
_TURN = flags.DEFINE_bool("turn", False, "Measure in this process, print JSON.")

Seconds = tuple[float, float]


def main(_: list[str]) -> None:
    """Print the table, or what one process measures."""
    if _TURN.value:
        print(json.dumps(_measure()))
        return
    if not _SCHEMES.value:
        raise UserError("--schemes is empty; give at least one, e.g. he_normal")
    _check_names()
    turns = [_turn() for _ in range(_REPEATS.value)]
    print(f"{_MODEL.value}, {_SIZE.value}×{_SIZE.value} images, n={len(turns)}\n")
    print("| step | seconds | processor seconds |\n| --- | --- | --- |")
    for place, first in enumerate(turns[0]):
        columns = zip(*(turn[place][1] for turn in turns), strict=True)
        print(f"| {first[0]} | {' | '.join(_spread(values) for values in columns)} |")


def _check_names() -> None:
    """Refuse a wrong name before anything is measured.

    Raises: UserError with the nearest name.
    """
    build_model(_MODEL.value, 10, {})
    for text in _SCHEMES.value:
        parse_scheme(text)


def _turn() -> list[tuple[str, Seconds]]:
    """Measure in a new process, and the word `show` in another one."""
    own = [f"--{flag.name}={_text(flag.value)}" for flag in (_MODEL, _SCHEMES, _SIZE)]
    command = [sys.executable, "-m", "benchmarks.first_use", "--turn", *own]
    found = json.loads(_run(command).splitlines()[-1])
    word = [sys.executable, "-m", "init_study", "show", "--cache_dir="]
    word += [f"--scheme={_SCHEMES.value[0]}", f"--model={_MODEL.value}"]
    word += [f"--study.image_size={_SIZE.value}"]
    return [*found, ("show", _seconds(lambda: _run(word), resource.RUSAGE_CHILDREN))]


def _measure() -> list[tuple[str, Seconds]]:
    module = build_model(_MODEL.value, 10, {})
    images = jax.random.normal(jax.random.key(1), (8, _SIZE.value, _SIZE.value, 3))

    def use(text: str) -> None:
        made = initialize(module, images, text, jax.random.key(0))
        jax.block_until_ready(made)

    return [
        (f"initialize, {text}", _seconds(lambda text=text: use(text)))
        for text in _SCHEMES.value
    ]


def _seconds(call: Callable[[], Any], whose: int = resource.RUSAGE_SELF) -> Seconds:
    """Time a call, by the clock and by the processor."""

    def used() -> float:
        usage = resource.getrusage(whose)
        return usage.ru_utime + usage.ru_stime

    start, before = time.perf_counter(), used()
    call()
    return time.perf_counter() - start, used() - before


def _run(command: list[str]) -> str:
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    made = children.finish(command, env=environment, stdout=subprocess.PIPE)
    made.check_returncode()
    return made.stdout


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _spread(values: tuple[float, ...]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def _start() -> None:
    try:
        app.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _start()
