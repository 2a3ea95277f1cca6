"""What an accelerator does with a population, in as many seconds as there are.

    python -m benchmarks.accelerator --seconds=240 --json=accelerator.json

Measures, the most useful first: member-steps per second of this engine, convolution
form by width; beside it plain Flax and PyTorch, in turns; a study run twice, with and
without deterministic operations, and whether its records are the same; and the price of
full float32 products. Every item is a process of its own, so that one that fails or
hangs costs its own row. Some compile at once while none is timed. The file is whole
after each item; Ctrl-C, SIGTERM and SIGHUP keep what there is. It runs on a CPU, too.
"""

import importlib.util
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks import accelerator_items
from benchmarks.accelerator_items import PARTS, Item
from benchmarks.accelerator_jobs import Clock, Settings
from benchmarks.accelerator_pass import Pass, measure_all
from benchmarks.accelerator_table import line_of, summarize_rows, table
from benchmarks.cases import BATCH_SIZE, CASES, find_case
from benchmarks.machine import cpu_name, versions
from benchmarks.starting import check_file, keep, start
from init_study.errors import UserError, unknown
from init_study.execution import parse_execution
from init_study.host import usable_cores
from init_study.interrupts import EXIT_CODES, noted_signals

_CASES = flags.DEFINE_list("cases", ["small", "lenet", "resnet20"], "In cases.CASES.")
_PARTS = flags.DEFINE_list("parts", list(PARTS), "What to measure.")
_EXECUTIONS = flags.DEFINE_list(
    "executions", [], "FORM/WIDTH; by default all, the ones known to be fast first."
)
_MEMBERS = flags.DEFINE_integer("members", 64, "Nets to train.")
_SECONDS = flags.DEFINE_float("seconds", 240.0, "For all of it.")
_LIMIT = flags.DEFINE_float("limit", 150.0, "Seconds until an item is given up.")
_TURN = flags.DEFINE_float("turn", 0.7, "Seconds of a turn, about.")
_TURNS = flags.DEFINE_integer("turns", 3, "Of each item.")
_STEPS = flags.DEFINE_integer("steps", 200, "Of the study.")
_PARALLEL = flags.DEFINE_integer(
    "parallel", 0, "Items that compile at once; 0: one for every three cores, up to 5."
)
_JSON = flags.DEFINE_string("json", None, "File for all figures.")

_CORES_TO_COMPILE = 3
_MOST_AT_ONCE = 5


def main(_: list[str]) -> int:
    """Measure until all is done, or the time is up, or a signal comes."""
    began = time.monotonic()
    items = _checked()
    cores = usable_cores()
    at_once = max(1, min(_MOST_AT_ONCE, cores // _CORES_TO_COMPILE))
    with (
        noted_signals() as received,
        tempfile.TemporaryDirectory() as folder,
    ):
        work = Pass(
            settings=Settings(
                members=_MEMBERS.value,
                turn=_TURN.value,
                turns=_TURNS.value,
                limit=_LIMIT.value,
                steps=_STEPS.value,
                folder=Path(folder),
            ),
            clock=Clock(began + _SECONDS.value, received),
            parallel=_PARALLEL.value or at_once,
            executions=_executions(),
            note=lambda row: note(row),
            waiting=items,
        )

        def note(row: dict[str, Any]) -> None:
            save(work, "", began)
            if "seconds" in row:
                print(f"[{time.monotonic() - began:.0f} s] {line_of(row)}", flush=True)

        ended = measure_all(work)
        document = save(work, ended, began)
    machine = document["machine"]
    print(
        f"\n{machine['cpu']}, {machine['cores']} cores, {machine['devices']} × "
        f"{machine['device']}; {_MEMBERS.value} members, batch {BATCH_SIZE}, median of "
        f"{_TURNS.value} (least to greatest)\n\n{table(document)}"
    )
    return EXIT_CODES[received[0]] if received else 0


def _checked() -> list[Item]:
    """Make sure that every flag can be used, and list what is measured.

    Raises: UserError for the first that cannot.
    """
    for name, least in (("members", 1), ("turns", 1), ("steps", 8), ("parallel", 0)):
        _at_least(name, least)
    for name in ("seconds", "limit", "turn"):
        _at_least(name, 0.01)
    for name, valid in (("cases", CASES), ("parts", PARTS)):
        if not flags.FLAGS[name].value:
            raise UserError(f"--{name} is empty; give at least one of {list(valid)}")
    for name in _CASES.value:
        find_case(name)
    for name in _PARTS.value:
        if name not in PARTS:
            raise unknown("part", name, PARTS, ", ".join(PARTS))
    for text in _EXECUTIONS.value:
        parse_execution(text)
    check_file(_JSON.value)
    items = accelerator_items.list_items(_CASES.value, _executions(), _PARTS.value)
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed, its ways are left out", file=sys.stderr)
        items = [item for item in items if not item.name.startswith("torch")]
    return items


def _at_least(name: str, least: float) -> None:
    value = flags.FLAGS[name].value
    # Not `value < least`, which not-a-number would pass.
    if not value >= least:
        raise UserError(f"--{name}={value:g} is too little; give {least:g} or more")


def _executions() -> list[str]:
    return _EXECUTIONS.value or list(accelerator_items.grid(_MEMBERS.value))


def save(work: Pass, ended: str, began: float) -> dict[str, Any]:
    """Write all there is, whole or not at all, and give it.

    Args:
        work: with the rows so far.
        ended: why; empty while it goes on.
        began: when, on the clock of `time.monotonic`.
    """
    known = next((row for row in work.rows if "device" in row), {})
    about = {key: known.get(key) for key in ("platform", "device", "devices", "room")}
    document = {
        "ended": ended,
        "seconds": time.monotonic() - began,
        "settings": {
            "cases": _CASES.value,
            "parts": _PARTS.value,
            "batch_size": BATCH_SIZE,
            "parallel": work.parallel,
            **{k: v for k, v in work.settings._asdict().items() if k != "folder"},
        },
        "machine": {"cpu": cpu_name(), "cores": usable_cores(), **about},
        "versions": versions(),
        "rows": work.rows,
        "summary": summarize_rows(work.rows),
    }
    keep(_JSON.value, document)
    return document


if __name__ == "__main__":
    start(main)
