"""One pass over the items: several compile at once, one at a time is timed."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks import accelerator_jobs as jobs
from benchmarks.accelerator_items import Item
from benchmarks.accelerator_jobs import Clock, Job, Over, Settings
from benchmarks.summary import spread

Row = dict[str, Any]

# Seconds of an item of which nothing is known yet.
_GUESSES = {"tiny": 3.0}
_GUESS = 15.0
# A turn this much longer than asked for is taken once.
_ONCE_ABOVE = 10
_FAILURES = (TimeoutError, EOFError, RuntimeError)


@dataclass
class Pass:
    """What is left to do, what runs, and what came out.

    Attributes:
        settings: of all items.
        clock: says when to stop.
        parallel: processes that compile at once.
        executions: of this engine; the first where none has been timed.
        note: called with each row as it comes.
        waiting: items that have not begun.
        preparing: jobs that compile, or have and wait for their turn.
        references: this engine as it is fastest so far, by case: what peers are
            timed against, turn by turn.
        rows: what came out.
    """

    settings: Settings
    clock: Clock
    parallel: int
    executions: Sequence[str]
    note: Callable[[Row], None]
    waiting: list[Item]
    preparing: list[Job] = field(default_factory=list)
    references: dict[str, Job] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


def measure_all(work: Pass) -> str:
    """Measure item by item; every item has a row in the end.

    Returns: `complete`, or why there is less.
    """
    try:
        while work.waiting or work.preparing:
            _fill(work)
            jobs.take_answers(work.preparing, work.settings, work.clock)
            ready = [job for job in work.preparing if job.about]
            for job in (job for job in ready if not _must_wait(work, job)):
                _finish(work, job)
                break
    except Over as over:
        for job in work.preparing:
            _note(work, job.item, {"seconds": job.seconds, "problem": str(over)})
        for item in work.waiting:
            _note(work, item, {"problem": f"not begun: {over}"})
        return str(over)
    finally:
        jobs.stop([*work.preparing, *work.references.values()])
    too_long = any("seconds" not in row for row in work.rows)
    return "the rest would take too long" if too_long else "complete"


def _fill(work: Pass) -> None:
    """Start what fits into the time that is left, in order."""
    while work.waiting and len(work.preparing) < work.parallel:
        work.clock.check()
        item = work.waiting[0]
        # What is ready comes first; it takes less than what runs alone.
        if item.alone and any(job.about for job in work.preparing):
            return
        del work.waiting[0]
        left, need = work.clock.left(), _expected(work.rows, item)
        if need > left:
            problem = f"not begun: {left:.0f} s are left, about {need:.0f} are needed"
            _note(work, item, {"problem": problem})
            continue
        beside = 0 if item.alone else len(work.preparing)
        job = jobs.start(item, _execution(work, item), beside, work.settings)
        if item.alone:
            _run_alone(work, job)
            return
        work.preparing.append(job)


def _expected(rows: Sequence[Row], item: Item) -> float:
    """Guess an item's seconds: as others of its kind, else as all that there are."""
    done = [row for row in rows if "seconds" in row]
    a_study = item.part == "study"
    alike = [row for row in done if (row["part"] == "study") == a_study]
    same = [row for row in alike if row["case"] == item.case]
    took = [row["seconds"] for row in same or alike]
    return statistics.median(took) if took else _GUESSES.get(item.case, _GUESS)


def _execution(work: Pass, item: Item) -> str:
    if item.part == "ours":
        return item.name
    best = work.references.get(item.case)
    return (best.execution if best else work.executions[0]) * (item.part == "precision")


def _run_alone(work: Pass, job: Job) -> None:
    since = jobs.pause(work.preparing)
    try:
        while not job.about:
            jobs.take_answers([job], work.settings, work.clock)
        _note(work, job.item, _of_job(job))
    except Over as over:
        _note(work, job.item, _of_job(job) | {"problem": str(over)})
        raise
    finally:
        jobs.stop([job])
        jobs.go_on(work.preparing, since)


def _must_wait(work: Pass, job: Job) -> bool:
    """Say whether what a peer is timed against is still to come."""
    if job.item.part not in ("peers", "precision") or "error" in job.about:
        return False
    others = [other.item for other in work.preparing]
    coming = any(one.part == "ours" and one.case == job.item.case for one in others)
    return coming and job.item.case not in work.references


def _finish(work: Pass, job: Job) -> None:
    """Time a job that is ready, while all others are paused, and note its row."""
    work.preparing.remove(job)
    row: Row = {}
    since = jobs.pause(work.preparing)
    try:
        if "error" not in job.about and job.item.part != "study":
            _make_room(work, job)
            _take_turns(work, job, row)
    except _FAILURES as error:
        row["problem"] = str(error)
    except Over as over:
        row["problem"] = str(over)
        raise
    finally:
        jobs.go_on(work.preparing, since)
        job.rate = (row.get("rate") or {}).get("median", 0.0)
        _keep_the_best(work, job, failed="problem" in row)
        _note(work, job.item, _of_job(job) | row)


def _take_turns(work: Pass, job: Job, row: Row) -> None:
    """Fill a row with rates, with ratios to this engine in the same rounds."""
    case, limit, clock = job.item.case, work.settings.limit, work.clock
    against = None if job.item.part == "ours" else work.references.get(case)
    if against and job.execution not in ("", against.execution):
        against = None
    row |= {"against": against.execution if against else None}
    row["steps"] = jobs.ask(job, "calibrate", limit, clock)["steps"]
    rates: list[float] = []
    ratios: list[float] = []
    for _ in range(work.settings.turns):
        own = _turn_of_reference(work, case) if against else None
        turn = jobs.ask(job, "turn", limit, clock)
        rates.append(turn["done"] / turn["seconds"])
        ratios += [own / rates[-1]] if own else []
        row |= {"rates": rates, "rate": spread(rates), "ratio": spread(ratios)}
        if turn["seconds"] > _ONCE_ABOVE * work.settings.turn:
            break
    row |= jobs.ask(job, "memory", limit, clock)


def _turn_of_reference(work: Pass, case: str) -> float | None:
    """Take a turn of this engine; one that fails is no reference any more."""
    job = work.references.get(case)
    if job is None:
        return None
    try:
        turn = jobs.ask(job, "turn", work.settings.limit, work.clock)
    except _FAILURES:
        jobs.stop([work.references.pop(case)])
        return None
    return turn["done"] / turn["seconds"]


def _make_room(work: Pass, job: Job) -> None:
    """End references, those of other cases first, until the job fits beside them."""
    room, held = job.about.get("room"), work.references
    for case in sorted(held, key=lambda case: case == job.item.case):
        need = sum(one.about["need"] for one in (job, *held.values()))
        if room is not None and need > room:
            jobs.stop([held.pop(case)])


def _keep_the_best(work: Pass, job: Job, failed: bool) -> None:
    best = work.references.get(job.item.case)
    better = job.rate > (best.rate if best else 0.0)
    if job.item.part == "ours" and better and not failed:
        jobs.stop([best] if best else [])
        work.references[job.item.case] = job
    else:
        jobs.stop([job])


def _of_job(job: Job) -> Row:
    """Give what a job has answered, as part of its row."""
    about = dict(job.about)
    problem = {"problem": about.pop("error")} if "error" in about else {}
    seconds = {"seconds": job.seconds, "beside": job.beside}
    return {"execution": job.execution or None, **seconds, **about, **problem}


def _note(work: Pass, item: Item, found: Row) -> None:
    row = item._asdict() | found
    work.rows.append(row)
    with suppress(BrokenPipeError):
        work.note(row)
