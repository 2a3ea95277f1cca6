"""From records to a comparison of schemes: each at its own best learning rate.

The rate of a scheme, and which scheme comes first, are chosen on validation accuracy
alone. Test accuracy is what they are then compared by, and no run is judged at a rate
that it helped to choose: each seed is taken at the rate that the others chose, or fresh
seeds are judged that no choice has seen. A member that diverged is a result: where
members are chosen or paired it counts as chance, and it stays in every count.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from init_study.answers.at_rates import AtRate, at_rates
from init_study.answers.choosing import (
    comparable,
    fresh_runs,
    judged_runs,
    ranking,
    stuck_runs,
    validation_chance,
)
from init_study.answers.outcomes import final_outcomes
from init_study.answers.statistics import Interval, improvement
from init_study.answers.verdicts.selection import (
    Selection,
    Standing,
    not_confirmed,
    select,
)
from init_study.store import NO_WAVES, Waves, WavesDone
from init_study.study import Program, Study


class Passes(NamedTuple):
    """Passes through the network, a batch each, that a scheme makes before training.

    Attributes:
        forward: passes forward, at most.
        backward: passes back, at most.

    Example:
        >>> Passes(forward=2, backward=2).steps
        2.0
    """

    forward: int = 0
    backward: int = 0

    @property
    def steps(self) -> float:
        """Training steps of the same cost: a pass back is as much as two forward."""
        return (self.forward + 2 * self.backward) / 3


class Row(NamedTuple):
    """One scheme of a comparison.

    Attributes:
        scheme: its name.
        rates: at every learning rate of the grid, the smallest first.
        best: at the rate of the highest mean validation accuracy.
        untuned: at the rate that is usual without tuning.
        at_edge: whether the best rate is the smallest or largest of several, so that
            a better one may lie beyond; not said of a scheme that never learned.
        standing: beside the others, by `told`.
        passes: what the scheme spends on a run before its first step.
        runs: test accuracy of every seed at its best rate, a diverged run as chance.
        judged: the same, each seed at the rate that the other seeds chose.
        fresh: of the fresh seeds at the best rate; none if there are none.
        better: probability that a run of the first scheme is better than one of this,
            ties split; None for the first itself.
    """

    scheme: str
    rates: tuple[AtRate, ...]
    best: AtRate
    untuned: AtRate
    at_edge: bool
    standing: Standing
    passes: Passes
    runs: tuple[float, ...]
    judged: tuple[float, ...]
    fresh: tuple[float, ...]
    better: Interval | None

    @property
    def told(self) -> tuple[float, ...]:
        """The runs that are spoken of, which chose nothing: fresh ones, or `judged`."""
        return self.fresh or self.judged

    @property
    def optimism(self) -> float:
        """The mean of the runs at the best rate, less that of the judged runs."""
        return float(np.mean(self.runs) - np.mean(self.judged))


class Comparison(NamedTuple):
    """The schemes of one program, compared.

    Attributes:
        program: its id.
        label: the axes in which the study varies.
        dataset: its name.
        step: the last step with records, of waves their mean; None if there is none.
        steps: that the program takes.
        seeds: of every scheme at every rate.
        fresh_seeds: of schemes that learned, at their best rates; none before all are.
        num_test: test examples.
        chance: test accuracy of always answering the most frequent training class.
        validation_chance: validation accuracy of that answer.
        untuned_rate: the rate that is usual without tuning.
        first: the scheme of the highest mean validation accuracy; None if unfinished
            or if it learned nothing.
        selection: which schemes may be the best; None if unfinished.
        rows: by falling validation accuracy; empty if the program is not finished.
        waves: how far they are; None where members are together.
    """

    program: str
    label: str
    dataset: str
    step: int | None
    steps: int
    seeds: tuple[int, ...]
    fresh_seeds: tuple[int, ...]
    num_test: int
    chance: float
    validation_chance: float
    untuned_rate: float
    first: str | None
    selection: Selection | None
    rows: tuple[Row, ...]
    waves: WavesDone | None = None

    @property
    def num_seeds(self) -> int:
        """How many seeds every scheme has at every rate."""
        return len(self.seeds)

    @property
    def told_seeds(self) -> tuple[int, ...]:
        """The seeds of `Row.told`, of schemes that learned."""
        return self.fresh_seeds or self.seeds

    @property
    def best(self) -> str | None:
        """The scheme that is shown to be the best; None if it is not decided.

        It is chosen on validation data, and shown on test data.
        """
        if self.selection is None or len(self.rows) < 2 or self.first is None:
            return None
        return self.first if self.selection.is_best(self.first) else None

    @property
    def best_word(self) -> str:
        """`best` where that holds over all runs, else `typically best`; or nothing."""
        if self.best is None or self.selection is None:
            return ""
        whole = self.selection.is_best(self.best, over_all_runs=True)
        return "best" if whole else "typically best"


def compare_runs(
    records: pd.DataFrame, manifest: Mapping[str, Any], waves: Waves = NO_WAVES
) -> tuple[Comparison, ...]:
    """Compare the schemes of each program of a study, finished or not.

    Args:
        records: of `store.load`.
        manifest: of `store.read_manifest`.
        waves: of `store.waves_done`. A program that is there is not finished.

    Example:
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> comparison.label, comparison.num_seeds, comparison.best
        ('cnn', 5, 'he_normal')
    """
    study = Study.from_dict(manifest["study"])
    return tuple(
        _compare_program(
            records.loc[records["program"] == program.id],
            study,
            program,
            manifest["data"][program.data_name],
            manifest.get("programs", {}).get(program.id, {}).get("passes", {}),
            waves.get(program.id),
        )
        for program in study.programs()
    )


def _compare_program(
    records: pd.DataFrame,
    study: Study,
    program: Program,
    data: Mapping[str, Any],
    passes: Mapping[str, Mapping[str, int]],
    waves: WavesDone | None,
) -> Comparison:
    in_grid = records["seed"].isin(study.seeds)
    records, fresh = records.loc[in_grid], records.loc[~in_grid]
    step = None if records.empty else int(records["step"].max())
    unfinished = Comparison(
        program=program.id,
        label=study.label(program),
        dataset=program.dataset,
        step=waves.step if waves else step,
        steps=program.steps,
        seeds=study.seeds,
        fresh_seeds=(),
        num_test=data["test"],
        chance=data["chance"],
        validation_chance=validation_chance(data),
        untuned_rate=study.untuned(program.optimizer),
        first=None,
        selection=None,
        rows=(),
        waves=waves,
    )
    if waves or step != program.steps:
        return unfinished
    outcomes = final_outcomes(
        records.loc[records["step"] == step], study, validation_chance(data)
    )
    stuck = stuck_runs(outcomes, data)
    order = ranking(outcomes)
    runs = {study.schemes[i]: judged_runs(outcomes, i, data["chance"]) for i in order}
    last = fresh.loc[fresh["step"] == step]
    confirmed = fresh_runs(last, list(runs), study.fresh, data["chance"])
    selection = _select(runs, confirmed, data)
    told = {name: judged for name, (_, judged) in runs.items()} | confirmed
    standings = {standing.scheme: standing for standing in selection.standings}
    rows = tuple(
        _row(
            at_rates(outcomes, stuck, study.schemes.index(name), study),
            standings.get(name) or not_confirmed(name, len(study.seeds)),
            at_best,
            own,
            confirmed.get(name),
            next(iter(told.values())),
            unfinished.untuned_rate,
            Passes(**passes.get(name, {})),
        )
        for name, (at_best, own) in runs.items()
    )
    return unfinished._replace(
        first=None if rows[0].best.failed else rows[0].scheme,
        selection=selection,
        rows=rows,
        fresh_seeds=study.fresh if confirmed else (),
    )


def _select(
    runs: Mapping[str, tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]],
    confirmed: Mapping[str, Float[np.ndarray, " fresh"]],
    data: Mapping[str, Any],
) -> Selection:
    """Find the set of the best, by fresh seeds where there are any."""
    if confirmed:
        return select(confirmed, data["chance"], data["test"])
    chosen, judged = ({name: r[k] for name, r in runs.items()} for k in (0, 1))
    return select(judged, data["chance"], data["test"], chosen)


def _row(
    rates: tuple[AtRate, ...],
    standing: Standing,
    at_best: Float[np.ndarray, " seeds"],
    judged: Float[np.ndarray, " seeds"],
    fresh: Float[np.ndarray, " fresh"] | None,
    first: Float[np.ndarray, " any"],
    untuned_rate: float,
    passes: Passes,
) -> Row:
    means = comparable(np.array([at_rate.validation.mean for at_rate in rates]))
    best = int(means.argmax())
    tried = [i for i, at_rate in enumerate(rates) if at_rate.diverged.n]
    told = judged if fresh is None else fresh
    return Row(
        scheme=standing.scheme,
        rates=rates,
        best=rates[best],
        untuned=next(r for r in rates if r.learning_rate == untuned_rate),
        at_edge=len(tried) > 1
        and best in (tried[0], tried[-1])
        and not rates[best].failed,
        standing=standing,
        passes=passes,
        runs=tuple(at_best.tolist()),
        judged=tuple(judged.tolist()),
        fresh=() if fresh is None else tuple(fresh.tolist()),
        better=None if standing.difference is None else improvement(first, told),
    )
