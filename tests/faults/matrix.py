"""The rows of the fault matrix, and how they are run and told."""

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from faults.chances import seed_trial, statement_trials
from faults.damage import checkpoint_trial, record_trial
from faults.disks import full_trial, place_trial
from faults.drift import again_trial, drift_trial, setting_trial
from faults.forks import import_all, kill_all
from faults.hostile import attack_trial, injection_trial
from faults.hosts import host_trial
from faults.kills import kill_trial
from faults.members import device_trial, diverging_trial, memory_trial
from faults.odd_input import name_trial, odd_trial
from faults.room import FAILED, LOST, PASSED, SKIPPED, WRONG, Room, Trial, Trials, each
from faults.steps import step_trial
from faults.stops import crowd_trial, orphan_trial, signal_trial
from faults.waves import wave_damage_trial, wave_disk_trial, wave_kill_trial
from init_study.store import write_atomically


class Row(NamedTuple):
    """A row of the matrix.

    Attributes:
        what: is done to a study, in words.
        trials: do it.
        short, long: how many trials there are in the short and in the long form.
    """

    what: str
    trials: Trials
    short: int
    long: int


ROWS: dict[str, Row] = {
    "R1": Row("kill -9 at any moment and in every write", each(kill_trial), 4, 210),
    "R2": Row("SIGINT, SIGTERM, SIGHUP, once and twice", each(signal_trial), 3, 60),
    "R3": Row("the parent killed; SIGSTOP and SIGCONT", each(orphan_trial), 2, 10),
    "R4": Row("a full disk", each(full_trial), 3, 40),
    "R5": Row("a damaged checkpoint", each(checkpoint_trial), 4, 400),
    "R6": Row("damaged records and documents", each(record_trial), 8, 600),
    "R7": Row("members that diverge", each(diverging_trial), 1, 24),
    "R8": Row("too little memory", each(memory_trial), 1, 24),
    "R9": Row("other numbers of devices", each(device_trial), 1, 20),
    "R10": Row("other code, data, versions, settings", each(drift_trial), 4, 24),
    "R11": Row("several processes in one folder", each(crowd_trial), 1, 50),
    "R12": Row("a place where nothing can be written", each(place_trial), 16, 32),
    "R13": Row("flags and studies that nobody means", each(odd_trial), 12, 500),
    "R14": Row("files that are meant to do harm", each(attack_trial), 21, 42),
    "R15": Row("names that climb out", each(name_trial), 2, 100),
    "R16": Row("markup and formulas in names", each(injection_trial), 1, 14),
    "R17": Row("the restored state, and all after it", each(step_trial), 1, 49),
    "R18": Row("the same from the manifest, elsewhere", each(again_trial), 1, 12),
    "R19": Row("clocks, locales, no git, no HOME", each(setting_trial), 4, 28),
    "R20": Row("statements under simulated laws", statement_trials, 3, 300),
    "R21": Row("seeds of members, layers, schemes", each(seed_trial), 1, 15),
    "R22": Row("kill -9 of a run in waves", each(wave_kill_trial), 3, 100),
    "R23": Row("a damaged wave", each(wave_damage_trial), 4, 120),
    "R24": Row("a full disk under waves", each(wave_disk_trial), 2, 20),
    "R25": Row("a host of two is lost or stopped", each(host_trial), 3, 60),
}


def run_rows(
    counts: Mapping[str, Sequence[int]],
    seed: int,
    results: list[dict[str, Any]],
    rows: Mapping[str, Row] | None = None,
    received: Sequence[int] = (),
) -> Iterator[dict[str, Any]]:
    """Run rows, and give the result of each as it ends.

    Args:
        counts: the numbers of the trials of each row.
        seed: of all that is drawn.
        results: filled as trials end, so that what is half done is known.
        rows: of the table; all by default.
        received: signals that came: what they raise is lost where Python calls back
            from the middle of something, as in a collection of garbage.
    """
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    import_all()
    try:
        room = Room(folder)
        for name, numbers in counts.items():
            row = (rows or ROWS)[name]
            result = empty_result(name, row.what)
            results.append(result)
            began = time.monotonic()
            for number, trial in row.trials(room, numbers, seed):
                note(result, trial, number, seed)
                result["seconds"] = round(time.monotonic() - began, 1)
                if received:
                    raise KeyboardInterrupt
            result["complete"] = True
            yield result
    finally:
        kill_all()
        shutil.rmtree(folder, ignore_errors=True)


def empty_result(name: str, what: str) -> dict[str, Any]:
    """The result of a row of which nothing is done."""
    numbers = dict.fromkeys(
        ("tried", "passed", "lost", "silently_wrong", "not_passed", "skipped"), 0
    )
    words = {"row": name, "what": what}
    more = {"seconds": 0.0, "complete": False, "kinds": {}, "notes": [], "failures": []}
    return {**words, **numbers, **more}


def note(result: dict[str, Any], trial: Trial, number: int, seed: int) -> None:
    """Add a trial to the result of its row."""
    fields = {
        PASSED: "passed",
        LOST: "lost",
        WRONG: "silently_wrong",
        FAILED: "not_passed",
        SKIPPED: "skipped",
    }
    result[fields[trial.verdict]] += 1
    result["kinds"] = dict(Counter(result["kinds"]) + Counter(trial.kinds))
    if trial.verdict == SKIPPED:
        result["notes"].append(trial.seen)
        return
    result["tried"] += 1
    if trial.verdict != PASSED:
        name = result["row"]
        command = f"python -m tests.faults --rows={name} --seed={seed} --trial={number}"
        result["failures"].append(
            {"verdict": trial.verdict, "command": command, "seen": trial.seen}
        )


def line_of(result: Mapping[str, Any]) -> str:
    """Say in a line what came of a row."""
    kinds = "".join(f", {n} {kind}" for kind, n in result["kinds"].items())
    return (
        f"{result['row']:4} {result['passed']}/{result['tried']} passed, "
        f"{result['lost']} lost, {result['silently_wrong']} silently wrong, "
        f"{result['seconds']:.0f} s{kinds}: {result['what']}"
        f"{'' if result['complete'] else ' (not complete)'}"
    )


def is_clean(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every row is complete, and every trial of it passed."""
    return bool(results) and all(
        r["complete"] and r["passed"] == r["tried"] for r in results
    )


def table_of(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of a Markdown table."""
    yield "| row | fault | trials | passed | lost | silently wrong |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for r in results:
        what = r["what"] + "".join(f"; {n} {kind}" for kind, n in r["kinds"].items())
        skipped = f" ({r['skipped']} skipped)" if r["skipped"] else ""
        yield (
            f"| {r['row']} | {what} | {r['tried']}{skipped} | {r['passed']} | "
            f"{r['lost']} | {r['silently_wrong']} |"
        )


def write_results(path: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Write the file of results."""
    write_atomically(path, json.dumps(results, indent=1) + "\n")
