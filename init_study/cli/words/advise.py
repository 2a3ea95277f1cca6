"""Which scheme to try first on a model or a study, before anything is trained."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from init_study import store
from init_study.advice.advising import ProgramAdvice, advise_program
from init_study.advice.measured import measure_advice, quality_text
from init_study.advice.settings import read_settings
from init_study.advice.verifying import Verified, verified_lines
from init_study.advice.wording import advice_text
from init_study.answers.verdicts.heats import read_heats
from init_study.answers.verdicts.protocol import Protocol
from init_study.api.arguments import RaceRules, parse_seconds
from init_study.api.compare import train_or_race
from init_study.cli.invocation import Answer, Invocation, asked_study, run_folder
from init_study.cli.settings_races import race_settings
from init_study.cli.training import going_on, stopped, train_study
from init_study.errors import UserError
from init_study.study import Study

# Of the network alone; what the study compares is not what is advised on.
_ANY_SCHEME = "module"


def answer(invocation: Invocation) -> Answer:
    """Rank what the network admits, and with `--verify` race it."""
    flags = invocation.flags
    if flags.settings is not None:
        return race_settings(invocation, Path(flags.settings))
    seconds = parse_seconds("--verify", flags.verify)
    if seconds is None:
        _refuse_flags_of_races(invocation)
    study, is_chosen = _advised_study(invocation)
    plan = invocation.make_plan(study)
    table = read_settings()
    chosen = plan.schemes if is_chosen else None
    advice = [
        advise_program(study, program, table.settings, chosen)
        for program in plan.programs
    ]
    quality = measure_advice(table.settings)
    received: list[signal.Signals] = []
    verified: list[Verified] = []
    if seconds is not None:
        verified = _verified(invocation, study, advice, seconds, received)
    lines = quality_text(quality)
    text = advice_text(advice, lines, [one.text for one in verified])
    document = {
        "programs": [_plain(one) for one in advice],
        "quality": {
            "ways": {name: way._asdict() for name, way in quality.ways.items()},
            "better": quality.better,
            "said": lines,
        },
        "verified": [one._asdict() for one in verified],
    }
    found = Answer(document, text)
    return stopped(invocation, received, found) if received else found


def _advised_study(invocation: Invocation) -> tuple[Study, bool]:
    """Find the study, and whether its schemes are those to be ranked."""
    study = asked_study(invocation, None)
    if invocation.is_given("study.schemes"):
        return study, True
    return study.replace(schemes=(_ANY_SCHEME,), pairing="every"), False


def _verified(
    invocation: Invocation,
    study: Study,
    advice: Sequence[ProgramAdvice],
    seconds: float,
    received: list[signal.Signals],
) -> list[Verified]:
    """Race what was ranked, and say of each program whether the advice held."""
    names = dict.fromkeys(one.scheme for each in advice for one in each.ranking)
    raced = study.replace(schemes=tuple(names), fresh_seeds=0)
    workdir = run_folder(raced, "-advised")
    if invocation.is_given("workdir"):
        workdir = invocation.the_workdir()

    def train_stage(part: Study, folder: Path, stage: str) -> bool:
        return train_study(invocation, part, folder, received, stage)

    rules = RaceRules(Protocol(margin=1.0), None, seconds)
    with going_on(invocation):
        train_or_race(raced, workdir, invocation.make_plan, train_stage, rules)
    if not (workdir / store.DECISION).exists():
        return []
    firsts = [one.ranking[0].scheme for one in advice]
    return verified_lines(firsts, read_heats(workdir))


def _refuse_flags_of_races(invocation: Invocation) -> None:
    for flag in ("workdir", "execution", "checkpoint_every", "accept_drift"):
        if invocation.is_given(flag):
            raise UserError(
                f"--{flag} is for what trains, and advice trains nothing; leave it "
                "out, or race the advice: --verify=20m"
            )


def _plain(advice: ProgramAdvice) -> dict[str, Any]:
    return {
        "program": advice.program,
        "ranking": [
            {
                "scheme": one.scheme,
                "score": one.score,
                **one.evidence._asdict(),
            }
            for one in advice.ranking
        ],
        "refused": dict(advice.refused),
        "profile": [dict(row) for row in advice.profile],
        "findings": [one._asdict() for one in advice.findings],
        "near": [one._asdict() for one in advice.near],
    }
