"""From records to a comparison of schemes: each at its own best learning rate.

The rate of a scheme and the best scheme are chosen on validation accuracy alone. Test
accuracy is what they are then compared by. A member that diverged is a result: where
members are chosen or paired it counts as chance, and it stays in every count.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from init_study.answers.outcomes import Outcomes, final_outcomes
from init_study.answers.statistics import (
    Interval,
    Share,
    paired_interval,
    stuck_at_chance,
    t_interval,
    wilson_interval,
)
from init_study.study import Program, Study

NOTE = (
    "Each interval is for one pair of schemes; they are not adjusted for the number "
    "of comparisons."
)


class AtRate(NamedTuple):
    """One scheme at one learning rate, after the last step.

    Attributes:
        learning_rate: the rate.
        validation: accuracy of all seeds, where one that diverged counts as chance.
        test: accuracy of the seeds that did not diverge; `test.n` of them.
        diverged: share of all seeds that diverged.
        stuck: share of all seeds that did not diverge and are not above chance.
    """

    learning_rate: float
    validation: Interval
    test: Interval
    diverged: Share
    stuck: Share

    @property
    def failed(self) -> bool:
        """Whether no seed learned anything."""
        return self.diverged.k + self.stuck.k == self.diverged.n


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
        difference: of test accuracy to the best scheme, paired by seed, each at its
            own best rate; None for the best scheme itself.
        passes: what the scheme spends on a run before its first step.
        runs: test accuracy of every seed at the best rate, a diverged run as chance.
    """

    scheme: str
    rates: tuple[AtRate, ...]
    best: AtRate
    untuned: AtRate
    at_edge: bool
    difference: Interval | None
    passes: Passes
    runs: tuple[float, ...]


class Comparison(NamedTuple):
    """The schemes of one program, compared.

    Attributes:
        program: its id.
        label: the axes in which the study varies.
        dataset: its name.
        step: the last step with records; None if there is none.
        steps: that the program takes.
        num_seeds: of every scheme at every rate.
        num_test: test examples.
        chance: test accuracy of always answering the most frequent training class.
        untuned_rate: the rate that is usual without tuning.
        best: the scheme of the highest mean validation accuracy; None if unfinished
            or if it learned nothing.
        rows: by falling validation accuracy; empty if the program is not finished.
        note: what the intervals do not say.
    """

    program: str
    label: str
    dataset: str
    step: int | None
    steps: int
    num_seeds: int
    num_test: int
    chance: float
    untuned_rate: float
    best: str | None
    rows: tuple[Row, ...]
    note: str = NOTE


def compare_runs(
    records: pd.DataFrame, manifest: Mapping[str, Any]
) -> tuple[Comparison, ...]:
    """Compare the schemes of each program of a study, finished or not.

    Args:
        records: of `store.load`.
        manifest: of `store.read_manifest`.

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
        )
        for program in study.programs()
    )


def _compare_program(
    records: pd.DataFrame,
    study: Study,
    program: Program,
    data: Mapping[str, Any],
    passes: Mapping[str, Mapping[str, int]],
) -> Comparison:
    step = None if records.empty else int(records["step"].max())
    unfinished = Comparison(
        program=program.id,
        label=study.label(program),
        dataset=program.dataset,
        step=step,
        steps=program.steps,
        num_seeds=len(study.seeds),
        num_test=data["test"],
        chance=data["chance"],
        untuned_rate=study.untuned(program.optimizer),
        best=None,
        rows=(),
    )
    if step != program.steps:
        return unfinished
    outcomes = final_outcomes(
        records.loc[records["step"] == step], study, data["chance"]
    )
    rows = tuple(
        row._replace(passes=Passes(**passes.get(row.scheme, {})))
        for row in _rows(outcomes, study, unfinished)
    )
    best = None if rows[0].best.failed else rows[0].scheme
    return unfinished._replace(best=best, rows=rows)


def _rows(outcomes: Outcomes, study: Study, program: Comparison) -> tuple[Row, ...]:
    """Rank the schemes, the best first."""
    means = _comparable(outcomes.validation.mean(axis=-1))
    # argmax takes the first of equals: the smaller rate, the scheme listed first.
    best_rates = means.argmax(axis=-1)
    order = np.argsort(-means.max(axis=-1), kind="stable")
    rated = np.where(outcomes.diverged, program.chance, outcomes.test)
    at_best = [rated[scheme, rate] for scheme, rate in enumerate(best_rates)]
    return tuple(
        _row(
            study.schemes[i],
            _at_rates(outcomes, i, study, program),
            int(best_rates[i]),
            program.untuned_rate,
            None if i == order[0] else paired_interval(at_best[i], at_best[order[0]]),
            at_best[i],
        )
        for i in order.tolist()
    )


def _comparable(
    means: Float[np.ndarray, "scheme rate"],
) -> Float[np.ndarray, "scheme rate"]:
    """Make means fit for a ranking.

    Equal means are equal whatever the order of their terms, and a mean that is not a
    number never wins.
    """
    return np.nan_to_num(np.round(means, 12), nan=-1.0)


def _row(
    scheme: str,
    rates: tuple[AtRate, ...],
    best: int,
    untuned_rate: float,
    difference: Interval | None,
    runs: Float[np.ndarray, " seeds"],
) -> Row:
    at_edge = len(rates) > 1 and best in (0, len(rates) - 1) and not rates[best].failed
    return Row(
        scheme=scheme,
        rates=rates,
        best=rates[best],
        untuned=next(r for r in rates if r.learning_rate == untuned_rate),
        at_edge=at_edge,
        difference=difference,
        passes=Passes(),
        runs=tuple(runs.tolist()),
    )


def _at_rates(
    outcomes: Outcomes, scheme: int, study: Study, program: Comparison
) -> tuple[AtRate, ...]:
    stuck = stuck_at_chance(outcomes.test, program.num_test, program.chance) == 1
    stuck &= ~outcomes.diverged
    rates = []
    for i, learning_rate in enumerate(sorted(study.learning_rates)):
        diverged = outcomes.diverged[scheme, i]
        rates.append(
            AtRate(
                learning_rate=learning_rate,
                validation=t_interval(outcomes.validation[scheme, i]),
                test=t_interval(outcomes.test[scheme, i][~diverged]),
                diverged=wilson_interval(int(diverged.sum()), len(diverged)),
                stuck=wilson_interval(int(stuck[scheme, i].sum()), len(diverged)),
            )
        )
    return tuple(rates)
