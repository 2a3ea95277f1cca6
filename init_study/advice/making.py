"""The table of settings, made from races that are done."""

import platform
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from init_study.advice.settings import (
    COMMAND,
    RacedScheme,
    Setting,
    SettingsTable,
    describe_net,
)
from init_study.advice.starts import read_evidence
from init_study.answers.choosing import stuck_runs, validation_chance
from init_study.answers.outcomes import final_outcomes
from init_study.diagnosis.of_plan import first_batch
from init_study.keys import fixed_key
from init_study.optimizer import make_optimizer
from init_study.plan import Plan

# Of the draws that evidence is measured of. Races draw by seeds 0, 1, 2.
_KEY = 1_000


def make_setting(
    plan: Plan, family: str, records: pd.DataFrame, manifest: Mapping[str, Any]
) -> Setting:
    """Make a setting of a race that is done, and measure the evidence of its schemes.

    Args:
        plan: of its study, which has one program.
        family: of the network.
        records: as of `store.load`.
        manifest: of the run.
    """
    study, (of_program,) = plan.study, plan.programs
    network, program = of_program.network, of_program.program
    (dataset,) = study.dataset
    data = next(iter(manifest["data"].values()))
    chance = validation_chance(data)
    final = records.loc[records["step"] == records["step"].max(), :]
    outcomes = final_outcomes(final, study, chance)
    failed = stuck_runs(outcomes, data) | outcomes.diverged
    accuracy = outcomes.validation.copy()
    accuracy[failed] = chance
    means = accuracy.mean(-1)
    evidence = read_evidence(
        network,
        plan.schemes,
        first_batch(of_program),
        lambda rate: make_optimizer(program, rate),
        fixed_key(_KEY),
        program.momentum if program.optimizer == "sgd" else 0.0,
    )
    return Setting(
        name=study.name,
        family=family,
        dataset=dataset,
        described=describe_net(network, of_program.dataset.num_classes),
        chance=chance,
        schemes=tuple(
            RacedScheme(
                scheme=name,
                accuracy=float(means[i].max()),
                of_seeds=tuple(accuracy[i].max(0).tolist()),
                rate=float(study.grid[int(means[i].argmax())]),
                evidence=evidence[name],
            )
            for i, name in enumerate(study.schemes)
        ),
    )


def make_table(
    settings: Iterable[Setting], manifests: Iterable[Mapping[str, Any]]
) -> SettingsTable:
    """Put settings together, with what they cost and under what they were raced.

    Args:
        settings: of `make_setting`.
        manifests: of the same races.
    """
    found, said = tuple(settings), list(manifests)
    seconds = sum(one["seconds"] for each in said for one in each["sessions"])
    versions = sorted(
        f"{name} {version}"
        for name, version in said[0]["versions"].items()
        if version and name in ("jax", "jaxlib", "flax", "optax", "numpy")
    )
    devices = sorted({one for each in said for one in each["devices"]})
    return SettingsTable(
        found,
        {
            "command": COMMAND,
            "versions": ", ".join(versions),
            "machine": f"{', '.join(devices)}, {platform.machine()}",
            "seconds": f"{seconds:.0f}",
            "commit": str(said[0]["git"]["commit"]),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        },
    )
