"""The evidence that claims are judged by: the runs of studies, and exact checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from init_study.answers.choosing import validation_chance
from init_study.answers.outcomes import Outcomes, final_outcomes
from init_study.errors import UserError
from init_study.study import Program, Study

# What is measured in every layer, see `instruments`, in words.
LAYER_METRICS = {
    "weight_square": "mean square of the weights",
    "zero_weights": "share of weights that are exactly zero",
    "distinct": "share of distinct filters",
    "signal": "mean square of the outputs",
    "spread": "variance of the outputs over images",
    "gradient": "mean square of the loss gradient at the outputs",
    "weight_gradient": "mean square of the loss gradient by the weights",
    "dead": "share of dead units",
    "flat": "share of saturated or inactive outputs",
}


@dataclass(frozen=True, eq=False)
class Measured:
    """The files of one study's run, read.

    Attributes:
        study: the study.
        manifest: of its run.
        records, layers: as of `store.load` and `store.load_layers`.
    """

    study: Study
    manifest: Mapping[str, Any]
    records: pd.DataFrame
    layers: pd.DataFrame

    @cached_property
    def outcomes(self) -> dict[str, Outcomes]:
        """Outcomes after the last step, by the program's id."""
        return {p.id: self._outcomes(p) for p in self.study.programs()}

    def _outcomes(self, program: Program) -> Outcomes:
        ours = self.records.loc[self.records["program"] == program.id]
        final = ours.loc[ours["step"] == program.steps]
        data = self.manifest["data"][program.data_name]
        return final_outcomes(final, self.study, validation_chance(data))


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that claims are judged by.

    Attributes:
        studies: by name.
        checks: by name, the numbers of all their cases.
        missing: why a check could not be made, by name.
    """

    studies: Mapping[str, Measured]
    checks: Mapping[str, tuple[float, ...]]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Runs:
    """The seeds of one scheme in one program of a study, at one rate.

    Attributes:
        study: its name in the evidence.
        scheme: one of its schemes.
        where: the program: values of the axes in which the study varies.
        rate: None for the rate with the best mean validation accuracy.
    """

    study: str
    scheme: str
    where: tuple[tuple[str, Any], ...] = ()
    rate: float | None = None

    @property
    def text(self) -> str:
        """The runs in words, e.g. `he_normal (depths, depth 4, its best rate)`."""
        place = [f"{axis} {value}" for axis, value in self.where]
        rate = "its best rate" if self.rate is None else f"rate {self.rate:g}"
        return f"{self.scheme} ({', '.join([self.study, *place])}, {rate})"

    def program(self, measured: Measured) -> Program:
        """Find the program of the runs.

        Raises: UserError unless exactly one program of the study fits.
        """
        found = [
            program
            for program in measured.study.programs()
            if all(getattr(program, axis) == value for axis, value in self.where)
        ]
        if len(found) != 1:
            raise UserError(f"{self.text}: {len(found)} programs fit, one must")
        return found[0]

    def place(self, measured: Measured) -> tuple[int, int]:
        """Find the places of scheme and rate in the arrays of outcomes.

        Raises: UserError for a scheme or a rate that the study does not have.
        """
        study, rates = measured.study, measured.study.grid
        if self.scheme not in study.schemes or self.rate not in (None, *rates):
            raise UserError(f"{self.text} is no part of the study")
        scheme = study.schemes.index(self.scheme)
        if self.rate is not None:
            return scheme, rates.index(self.rate)
        validation = measured.outcomes[self.program(measured).id].validation[scheme]
        return scheme, int(np.round(validation.mean(-1), 12).argmax())

    def outcomes(self, evidence: Evidence) -> tuple[Outcomes, Mapping[str, Any]]:
        """Find the outcomes after the last step, `[seeds]`, and what the data are."""
        measured = evidence.studies[self.study]
        program = self.program(measured)
        found = measured.outcomes[program.id]
        ours = Outcomes(*(part[self.place(measured)] for part in found))
        return ours, measured.manifest["data"][program.data_name]

    def curve(self, evidence: Evidence, split: str, metric: str) -> pd.DataFrame:
        """Arrange a metric by seed (rows, in the study's order) and step (columns)."""
        measured = evidence.studies[self.study]
        table = self._of(measured, measured.records)
        wanted = (table["split"] == split) & (table["metric"] == metric)
        return _by_seed(table.loc[wanted], "step", measured.study)

    def layer_values(
        self, evidence: Evidence, metric: str, first: bool
    ) -> Float[np.ndarray, "seeds layers"]:
        """Find the values of every layer, before the first step or after the last."""
        measured = evidence.studies[self.study]
        table = self._of(measured, measured.layers)
        step = 0 if first else self.program(measured).steps
        wanted = (table["step"] == step) & (table["metric"] == metric)
        return _by_seed(table.loc[wanted], "layer", measured.study).to_numpy()

    def _of(self, measured: Measured, table: pd.DataFrame) -> pd.DataFrame:
        _, place = self.place(measured)
        rate = measured.study.grid[place]
        return table.loc[
            (table["program"] == self.program(measured).id)
            & (table["scheme"] == self.scheme)
            & (table["learning_rate"] == rate)
        ]


def runs(study: str, scheme: str, rate: float | None = None, **where: Any) -> Runs:
    """Describe `Runs`, the program by keywords.

    Example:
        >>> runs("depths", "he_normal", depth=4).text
        'he_normal (depths, depth 4, its best rate)'
    """
    return Runs(study, scheme, tuple(where.items()), rate)


def _by_seed(table: pd.DataFrame, columns: str, study: Study) -> pd.DataFrame:
    if table.empty:
        raise UserError(f"study {study.name!r} has no such numbers")
    pivot = table.pivot(index="seed", columns=columns, values="value")
    return pivot.reindex(list(study.seeds))
