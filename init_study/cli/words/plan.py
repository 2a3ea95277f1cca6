"""What would run: programs, members, cost, and what is done."""

from pathlib import Path
from typing import Any

from init_study import store
from init_study.answers.words import count
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.races import race_rules
from init_study.cli.terminal import table_text
from init_study.engine.estimate import estimate
from init_study.plan import Plan, ProgramPlan
from init_study.race import check_rules, race_document
from init_study.study import Study

_SUMMED = ("members", "compilations", "seconds", "disk_bytes")
_APART = (
    *("feed", "images_per_second", "reading_share", "prepared_bytes"),
    *("readings", "readings_share"),
)
_SUMMARY = (
    "{members} members, {compilations} compilations, about {seconds:.0f} s, "
    "{disk_bytes} bytes in {workdir}"
)
_FRESH_SUMMARY = (
    "{members} members, {compilations} compilations, about {seconds:.0f} s; with fresh "
    "seeds of what learns, at most {fresh_members} members, about {most_seconds:.0f} s "
    "in all; {disk_bytes} bytes in {workdir}"
)
_RACE_SUMMARY = (
    "screening: {members} members, about {seconds:.0f} s; with fresh seeds, at most "
    "{fresh_members} members, about {most_seconds:.0f} s in all; rates beyond the grid "
    "come on top; in {workdir}"
)


def answer(invocation: Invocation) -> Answer:
    """Say what a run, or with `--until=decided` a race, would take."""
    if invocation.flags.until:
        return _race_answer(invocation)
    study = invocation.the_study()
    store.check_workdir(invocation.the_workdir(), study)
    plan = invocation.make_plan(study)
    overview = plan_overview(plan, invocation.the_workdir())
    if not study.fresh_seeds:
        return Answer(overview, _text(overview, _SUMMARY))
    overview |= _with_fresh(overview, study, study.fresh_seeds)
    return Answer(overview, _text(overview, _FRESH_SUMMARY))


def _with_fresh(overview: dict[str, Any], study: Study, seeds: int) -> dict[str, Any]:
    """Count what fresh seeds add where every scheme learns."""
    fresh = len(overview["programs"]) * len(study.schemes) * seeds
    most = round(overview["seconds"] * (1 + fresh / overview["members"]), 1)
    return {"fresh_members": fresh, "most_seconds": most}


def _race_answer(invocation: Invocation) -> Answer:
    rules = race_rules(invocation.flags)
    assert rules is not None, "asked for with --until"
    protocol, study = rules.protocol, invocation.the_study()
    check_rules(study, protocol, rules.margin)
    race = race_document(study, protocol, rules.margin)
    store.check_race(invocation.the_workdir(), race)
    study = study.replace(seeds=protocol.screening)
    workdir = invocation.the_workdir()
    begun = (workdir / one.id / "screening" for one in study.programs())
    done = {
        name: step for part in begun for name, step in store.last_steps(part).items()
    }
    overview = plan_overview(invocation.make_plan(study), workdir, done)
    overview |= _with_fresh(overview, study, protocol.looks[-1])
    return Answer(overview, _text(overview, _RACE_SUMMARY))


def plan_overview(
    plan: Plan, workdir: Path, done: dict[str, int] | None = None
) -> dict[str, Any]:
    """Count members, chunks, compilations and cost, of each program and in all.

    A few steps of each program are really taken, to know what one costs.

    Args:
        plan: of the study.
        workdir: where it would run.
        done: the last step with records by program; by default that of the folder.
    """
    done = store.last_steps(workdir) if done is None else done
    rows = [_row(plan, one, done.get(one.program.id, 0)) for one in plan.programs]
    totals = {key: round(sum(row[key] for row in rows), 1) for key in _SUMMED}
    study = plan.study
    return {
        "study": study.to_dict(),
        "study_hash": study.hash,
        "workdir": str(workdir),
        **totals,
        "programs": rows,
    }


def _row(plan: Plan, program_plan: ProgramPlan, step: int) -> dict[str, Any]:
    cost, steps = estimate(plan, program_plan), program_plan.program.steps
    read = program_plan.readings
    return {
        "program": program_plan.label,
        "members": len(plan.members),
        "steps": steps,
        "done": step,
        "chunks": -(-len(plan.members) // cost.execution.chunk_width),
        "compilations": 0 if step == steps else 3 if read.steps else 2,
        "execution": str(cost.execution),
        "waves": cost.waves,
        "parameters": program_plan.network.num_parameters,
        "seconds": round(cost.seconds * (1 - step / steps), 1),
        "member_steps_per_second": round(cost.member_steps_per_second, 1),
        "bytes_per_member": cost.bytes_per_member,
        "device_bytes": cost.device_bytes,
        "disk_bytes": cost.disk_bytes,
        "feed": program_plan.feed,
        "images_per_second": cost.images_per_second and round(cost.images_per_second),
        "reading_share": round(cost.reading_share, 4),
        "prepared_bytes": cost.prepared_bytes,
        "readings": list(read.steps),
        "readings_share": round(read.share, 4),
    }


def _text(overview: dict[str, Any], summary: str) -> str:
    """Write the table, and a line for what is read as it goes: data, members."""
    rows = overview["programs"]
    narrow = [{k: v for k, v in row.items() if k not in _APART} for row in rows]
    reading = [
        f"{row['program']}: {row['feed']}, reads {row['images_per_second']} images a "
        f"second, {row['reading_share']} of the time that training takes; "
        f"{row['prepared_bytes']} bytes of images on the disk"
        for row in rows
        if row["feed"] != "resident"
    ]
    named = ", ".join(overview["study"].get("instruments", ()))
    reading += [
        f"{row['program']}: {named} read {count(len(row['readings']), 'time')}, about "
        f"{row['readings_share']:.1%} of the time that training takes"
        for row in rows
        if row["readings"]
    ]
    return "\n".join([table_text(overview | {"programs": narrow}, summary), *reading])
