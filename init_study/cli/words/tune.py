"""How fast each execution of a study's programs is on this machine."""

from typing import Any

from init_study.cli.invocation import Answer, Invocation
from init_study.cli.terminal import table_text
from init_study.engine.tuning import fastest, time_candidates
from init_study.plan import Plan


def answer(invocation: Invocation) -> Answer:
    """Time what is worth timing."""
    overview = tuning_overview(invocation.make_plan(invocation.the_study()))
    return Answer(overview, table_text(overview, "{members} members in each program"))


def tuning_overview(plan: Plan) -> dict[str, Any]:
    """Measure how fast each execution of a program is here, and what it needs."""
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
