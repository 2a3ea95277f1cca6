"""The stages of a race: each a run of its own, within a budget."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from init_study.answers import Outcomes, final_outcomes
from init_study.answers.choosing import validation_chance
from init_study.study import Program, Study

# The run of one stage: (study, folder) to its records and manifest; None if stopped.
TrainStage = Callable[[Study, Path], tuple[pd.DataFrame, Mapping[str, Any]] | None]


class StageStopped(Exception):
    """Tell why a race does not go on for now."""


class StageClock:
    """An estimate of what a stage will take, by what the ones before took."""

    def __init__(self, budget: float | None) -> None:
        self.began, self.budget = time.monotonic(), budget
        self.seconds, self.member_steps = 0.0, 0

    def allows(self, member_steps: int) -> bool:
        """Tell whether so many steps of one member fit into what is left."""
        if self.budget is None or not self.member_steps:
            return True
        needed = member_steps * self.seconds / self.member_steps
        return time.monotonic() - self.began + needed <= self.budget


class Stage(NamedTuple):
    """How the stages of one program are run.

    Attributes:
        train: runs a stage.
        clock: the budget.
        folder: of the program; a stage is a folder in it.
        program: whose stages they are.
    """

    train: TrainStage
    clock: StageClock
    folder: Path
    program: Program

    def run(self, name: str, study: Study) -> tuple[Outcomes, Mapping[str, Any]]:
        """Run a stage, or read it if it is done.

        Returns: outcomes, and what the manifest says of the data.

        Raises: StageStopped if the run was stopped, or would not fit into the budget.
        """
        member_steps = len(study.members()) * self.program.steps
        if not self.clock.allows(member_steps):
            raise StageStopped(f"the budget does not allow the stage {name}")
        began, is_new = time.monotonic(), not (self.folder / name).exists()
        trained = self.train(study, self.folder / name)
        if trained is None:
            raise StageStopped("it was stopped")
        if is_new:
            self.clock.seconds += time.monotonic() - began
            self.clock.member_steps += member_steps
        records, manifest = trained
        data = manifest["data"][self.program.data_name]
        (program,) = study.programs()
        ours = records.loc[records["program"] == program.id]
        final = ours.loc[ours["step"] == program.steps]
        return final_outcomes(final, study, validation_chance(data)), data
