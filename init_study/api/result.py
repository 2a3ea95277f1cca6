"""The result of a comparison, for a notebook: read from the files of its folder."""

import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from init_study import store
from init_study.answers import Comparison, compare_runs
from init_study.answers.run_table import comparison_text
from init_study.answers.verdicts.decision import Decision
from init_study.answers.verdicts.decision_table import race_text
from init_study.answers.verdicts.heats import Heat, read_heats
from init_study.api.trained import read_member
from init_study.errors import UserError, unknown
from init_study.plan import Plan
from init_study.report import write_report
from init_study.study import Member, Study

if TYPE_CHECKING:
    import pandas as pd


class Result:
    """A finished comparison.

    Printing it gives the table and the answer; Jupyter shows them with a figure.

    Attributes:
        workdir: the folder of its records, checkpoints and page.
        study: what was compared.

    Example:
        >>> from init_study import compare
        >>> images = np.random.default_rng(0).normal(size=(60, 4, 4, 1))
        >>> labels = (images.mean((1, 2, 3)) > 0).astype(int)
        >>> recipe = {"schemes": "zeros", "learning_rates": 0.1, "seeds": 1, "steps": 2}
        >>> found = compare("linear", (images, labels), batch_size=8, **recipe)
        >>> sorted(found.frame["split"].unique())
        ['test', 'train', 'validation']
    """

    def __init__(
        self,
        workdir: Path,
        study: Study,
        make_plan: Callable[[Study], Plan],
        temporary: bool = False,
    ) -> None:
        self.workdir, self.study, self._make_plan = workdir, study, make_plan
        if temporary:
            weakref.finalize(self, shutil.rmtree, workdir, ignore_errors=True)

    @property
    def frame(self) -> "pd.DataFrame":
        """All records, a number a row; of a race with a column for its stage."""
        import pandas as pd

        if not self._is_race():
            return store.load(self.workdir)
        parts = []
        for run in self._runs():
            stage = run.relative_to(self.workdir).as_posix()
            parts.append(store.load(run).assign(stage=stage))
        return pd.concat(parts, ignore_index=True)

    @property
    def verdict(self) -> Decision | Comparison | dict[str, Any]:
        """The decision of a race, or the comparison of a run; of several by label.

        Raises: UserError if a race came to no verdict.
        """
        found: dict[str, Any] = {}
        if self._is_race():
            for heat in self._heats():
                if heat.decision is None:
                    raise UserError(f"{heat.label}: no verdict, {heat.stopped}")
                found[heat.label] = heat.decision
        else:
            found = {one.label: one for one in self._comparisons()}
        return next(iter(found.values())) if len(found) == 1 else found

    def report(self) -> Path:
        """Write the page of the comparison, and give its path."""
        return write_report(self.workdir)

    def params(
        self,
        scheme: str,
        seed: int,
        learning_rate: float | None = None,
        program: str | None = None,
    ) -> Any:
        """Give a trained member back as the variables of the user's own module.

        Args:
            scheme: one of the study's.
            seed: of the member; in a race a fresh or a screening one.
            learning_rate: by default the one that the scheme is judged at.
            program: its label, where there are several.

        Returns: what `initialize` gives: Linen's variables, an NNX or Equinox module,
            Haiku's parameters and state.

        Raises: UserError for a member that is not there.
        """
        labels = [self.study.label(one) for one in self.study.programs()]
        if program is not None and program not in labels:
            raise unknown("program", program, labels, ", ".join(labels))
        if scheme not in self.study.schemes:
            names = self.study.schemes
            raise unknown("scheme of this study", scheme, names, ", ".join(names))
        for run in self._runs():
            study = Study.from_dict(store.read_manifest(run)["study"])
            plan = self._make_plan(study)
            for one in plan.programs:
                label = self.study.label(one.program)
                own = self._rate(scheme, label)
                rate = own if learning_rate is None else float(learning_rate)
                member = Member(scheme=scheme, learning_rate=rate, seed=seed)
                if member in plan.members and program in (None, label):
                    found = read_member(study, one.program, run, member)
                    params = found.pop("params")
                    return one.network.own_variables(params, found)
        raise UserError(
            f"no run of scheme {scheme!r} and seed {seed} at "
            f"{'its best rate' if learning_rate is None else learning_rate}; schemes: "
            f"{', '.join(self.study.schemes)}"
        )

    def __repr__(self) -> str:
        if not self._is_race():
            return comparison_text(self._comparisons()).rstrip()
        stops = [
            f"{heat.label}: no verdict, {heat.stopped}"
            for heat in self._heats()
            if heat.decision is None
        ]
        return "\n".join([race_text(self._heats()), *stops]).strip()

    def _repr_html_(self) -> str:
        from init_study.report.notebook import notebook_html

        return notebook_html(self.workdir)

    def _is_race(self) -> bool:
        return (self.workdir / store.RACE).exists()

    def _runs(self) -> Iterator[Path]:
        """List the folders of its runs; of a race the fresh seeds first."""
        if not self._is_race():
            fresh = store.fresh_runs_in(self.workdir).values()
            return iter((self.workdir, *fresh))
        found = sorted(p.parent for p in self.workdir.glob(f"*/*/{store.MANIFEST}"))
        return iter(sorted(found, key=lambda run: run.name == "screening"))

    def _heats(self) -> tuple[Heat, ...]:
        return read_heats(self.workdir)

    def _comparisons(self) -> tuple[Comparison, ...]:
        waves, manifest = (
            store.waves_done(self.workdir),
            store.read_manifest(self.workdir),
        )
        return compare_runs(store.load(self.workdir), manifest, waves)

    def _rate(self, scheme: str, label: str) -> float:
        if self._is_race():
            for heat in self._heats():
                if heat.label == label and scheme in heat.choices:
                    return heat.choices[scheme].rate
        else:
            for one in self._comparisons():
                rates = {row.scheme: row.best.learning_rate for row in one.rows}
                if one.label == label and scheme in rates:
                    return rates[scheme]
        return self.study.learning_rates[0]
