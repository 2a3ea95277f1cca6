"""What would run and what has run, as plain tables."""

import json
from pathlib import Path
from typing import Any

from init_study import store
from init_study.engine.estimate import estimate
from init_study.engine.tuning import fastest, time_candidates
from init_study.plan import Plan
from init_study.study import Study


def plan_overview(plan: Plan, workdir: Path) -> dict[str, Any]:
    """Per program and in all: members, chunks, compilations, cost, what is done.

    A few steps of each program are really taken, to know what one costs.
    """
    done = store.last_steps(workdir)
    rows = []
    for program_plan in plan.programs:
        cost = estimate(plan, program_plan)
        steps = program_plan.program.steps
        step = done.get(program_plan.program.id, 0)
        rows.append(
            {
                "program": program_plan.label,
                "members": len(plan.members),
                "steps": steps,
                "done": step,
                "chunks": -(-len(plan.members) // cost.execution.chunk_width),
                "compilations": 0 if step == steps else 2,
                "execution": str(cost.execution),
                "parameters": program_plan.network.num_parameters,
                "seconds": round(cost.seconds * (1 - step / steps), 1),
                "member_steps_per_second": round(cost.member_steps_per_second, 1),
                "bytes_per_member": cost.bytes_per_member,
                "device_bytes": cost.device_bytes,
                "disk_bytes": cost.disk_bytes,
            }
        )
    summed = ("members", "compilations", "seconds", "disk_bytes")
    totals = {key: round(sum(row[key] for row in rows), 1) for key in summed}
    study = plan.study
    return {
        "study": study.to_dict(),
        "study_hash": study.hash,
        "workdir": str(workdir),
        **totals,
        "programs": rows,
    }


def tuning_overview(plan: Plan) -> dict[str, Any]:
    """Per program and execution: how fast it is here and what it needs."""
    members, rows = len(plan.members), []
    for program_plan in plan.programs:
        timings = time_candidates(plan, program_plan)
        best = fastest(timings, members)
        widest = max(timing.devices for timing in timings)
        rows += [
            {
                "program": program_plan.label,
                "execution": str(timing.execution),
                "devices": timing.devices,
                "member_steps_per_second": round(1 / timing.seconds_per_member_step, 1),
                "compile_seconds": round(timing.compile_seconds, 1),
                "bytes_per_member": timing.member_bytes,
                "device_bytes": timing.device_bytes(members),
                "chosen": timing.execution == best and timing.devices == widest,
                "problem": timing.problem,
            }
            for timing in timings
        ]
    return {"members": members, "programs": rows}


def status_overview(workdir: Path) -> dict[str, Any]:
    """Per program: the last step with records, and whether it is done. Of a race, of
    every stage that has begun.

    Raises: UserError if the folder holds no run.
    """
    if (workdir / store.RACE).exists():
        return _race_status(workdir)
    manifest = store.read_manifest(workdir)
    study = Study.from_dict(manifest["study"])
    steps = store.last_steps(workdir)
    rows = [
        {
            "program": study.label(program),
            "members": len(study.members()),
            "step": steps.get(program.id, 0),
            "steps": program.steps,
            "done": steps.get(program.id, 0) == program.steps,
        }
        for program in study.programs()
    ]
    return {
        "study": study.name,
        "workdir": str(workdir),
        "done": all(row["done"] for row in rows),
        "programs": rows,
        "sessions": manifest["sessions"],
    }


def _race_status(workdir: Path) -> dict[str, Any]:
    plan = json.loads((workdir / store.RACE).read_text())
    folders = sorted(path.parent for path in workdir.glob(f"*/*/{store.MANIFEST}"))
    stages = [status_overview(folder) for folder in folders]
    rows = [
        {"stage": folder.name, **row}
        for folder, stage in zip(folders, stages, strict=True)
        for row in stage["programs"]
    ]
    return {
        "study": plan["study"]["name"],
        "workdir": str(workdir),
        # Written when there is nothing left to run.
        "done": (workdir / store.DECISION).exists() and all(r["done"] for r in rows),
        "programs": rows,
        "sessions": [session for stage in stages for session in stage["sessions"]],
    }
