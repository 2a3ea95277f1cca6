"""What it costs that nothing is lost: checkpoints, and checksums of all that is kept.

    python -m benchmarks.keeping --study=first_look --steps=1000 --repeats=3

A study is run with checkpoints as they come by default, with one every `--often`
seconds, and with none but the last, in turns, each in a process of its own. Programs
are compiled before the first turn. Prints as a Markdown table, median (least to
greatest): seconds of a run; beside one without checkpoints; the share of it that saving
kept the run from its work; and the share of computing checksums of arrays and of lines.
"""

import functools
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from absl import flags, logging

from benchmarks import children
from benchmarks.machine import cpu_name
from benchmarks.starting import check_file, keep, start
from init_study.control import Control
from init_study.engine.devices import prepare_jax
from init_study.host import usable_cores
from init_study.plan import make_plan
from init_study.run import run
from init_study.store import checkpoints, lines, read_manifest
from init_study.study.files import load_study

_STUDY = flags.DEFINE_string(
    "study", "first_look", "A study of experiments/, or a file."
)
_STEPS = flags.DEFINE_integer("steps", 0, "Of the study; 0: as many as it has.", 0)
_OFTEN = flags.DEFINE_float("often", 5.0, "Seconds between two checkpoints.", 0)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns of each way.", 1)
_JSON = flags.DEFINE_string("json", None, "File for all figures.")
_TURN = flags.DEFINE_string("turn", None, "Run once in this process, print JSON.")
_CACHE = flags.DEFINE_string("cache", None, "Of compiled programs, for a turn.")

_EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
_WAYS = ("by default", "often", "none")
_NEVER = 1e9


def main(_: list[str]) -> None:
    """Print the table, or what one process measures."""
    if _TURN.value:
        print(json.dumps(_measure(_TURN.value)))
        return
    check_file(_JSON.value)
    load_study(_STUDY.value, _EXPERIMENTS)
    turns: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as cache:
        _turn("none", cache)
        while len(turns) < _REPEATS.value:
            turns.append({way: _turn(way, cache) for way in _WAYS})
            keep(_JSON.value, turns)
    print(
        f"{cpu_name()}, {usable_cores()} cores; {_STUDY.value}, n={len(turns)}\n\n"
        "| checkpoints | how many | seconds | beside none | saving | sums |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for way in _WAYS:
        print(_row(way, turns))


def _turn(way: str, cache: str) -> dict[str, float]:
    own = [f"--{f.name}={f.value}" for f in (_STUDY, _STEPS, _OFTEN)]
    command = [sys.executable, "-m", "benchmarks.keeping", *own]
    command += [f"--turn={way}", f"--cache={cache}"]
    made = children.finish(command, stdout=subprocess.PIPE)
    made.check_returncode()
    return json.loads(made.stdout.splitlines()[-1])


def _measure(way: str) -> dict[str, float]:
    """Run the study once, and time what keeping takes of it."""
    # At absl's own default Orbax tells of every step of every save.
    logging.set_verbosity(logging.WARNING)
    prepare_jax(_CACHE.value)
    study = load_study(_STUDY.value, _EXPERIMENTS)
    if _STEPS.value:
        study = study.replace(steps=_STEPS.value)
    every = {"by default": None, "often": _OFTEN.value, "none": _NEVER}[way]
    spent: dict[str, float] = defaultdict(float)
    _watch(spent, "sums", checkpoints, "_checksums")
    for name in ("_sealed", "_checked"):
        _watch(spent, "sums", lines, name)
    _watch(spent, "save", checkpoints.Checkpoints, "save")
    plan = make_plan(study)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run(plan, Path(folder), "a benchmark", Control(checkpoint_every=every))
        seconds = time.perf_counter() - began
        session = read_manifest(Path(folder))["sessions"][-1]
    return {"seconds": seconds, "saving": session["spent"]["saving"], **spent}


def _watch(spent: dict[str, float], name: str, place: Any, function: str) -> None:
    """Have the calls of a function counted, and timed."""
    watched: Callable[..., Any] = getattr(place, function)

    @functools.wraps(watched)
    def call(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return watched(*arguments)
        finally:
            spent[name] += time.perf_counter() - began
            spent[f"{name} calls"] += 1

    setattr(place, function, call)


def _row(way: str, turns: list[dict[str, dict[str, float]]]) -> str:
    own = [turn[way] for turn in turns]
    none = [turn["none"]["seconds"] for turn in turns]
    beside = [one["seconds"] / other for one, other in zip(own, none, strict=True)]
    shares = [
        _spread([100 * one[part] / one["seconds"] for one in own], 2)
        for part in ("saving", "sums")
    ]
    saves = median(one["save calls"] for one in own)
    return (
        f"| {way} | {saves:.0f} | {_spread([one['seconds'] for one in own], 1)} "
        f"| {_spread(beside, 3)} | {shares[0]} % | {shares[1]} % |"
    )


def _spread(values: list[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{median(values):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


if __name__ == "__main__":
    start(main)
