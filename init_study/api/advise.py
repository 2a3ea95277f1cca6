"""Advice for a module of any framework before anything is trained."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from init_study.advice.advising import ProgramAdvice, advise_program
from init_study.advice.measured import AdviceQuality, measure_advice, quality_text
from init_study.advice.settings import read_settings
from init_study.advice.verifying import Verified, verified_lines
from init_study.advice.wording import advice_text
from init_study.answers.verdicts.heats import read_heats
from init_study.api.arguments import make_study, parse_seconds
from init_study.api.compare import compare
from init_study.api.result import Result
from init_study.engine.devices import compiled_folder, prepare_jax
from init_study.plan import Plan, make_plan


@dataclasses.dataclass(frozen=True)
class Advice:
    """Advice; printing it says what to try first, and why.

    Attributes:
        of_programs: what to try, by program; one, unless a field has several values.
        quality: how good such advice was, over the settings that are shipped.
        verified: what a race said of it; empty without a budget.

    Example:
        >>> from init_study.advice.measured import measure_advice
        >>> from init_study.advice.settings import read_settings
        >>> advice = Advice((), measure_advice(read_settings().settings))
        >>> str(advice)[:23], advice.verified
        ('How good such advice is', ())
    """

    of_programs: tuple[ProgramAdvice, ...]
    quality: AdviceQuality
    verified: tuple[Verified, ...] = ()

    @property
    def first(self) -> str:
        """The scheme to try first, of the first program."""
        return self.of_programs[0].ranking[0].scheme

    def __str__(self) -> str:
        said = [one.text for one in self.verified]
        return advice_text(self.of_programs, quality_text(self.quality), said)

    __repr__ = __str__


def advise(
    module: Any,
    data: Any,
    optimizer: str = "sgd",
    budget: float | str | None = None,
    *,
    schemes: Any = None,
    learning_rates: Any = None,
    test: Any = None,
    workdir: str | os.PathLike[str] | None = None,
    train_argument: str | None = None,
    **fields: Any,
) -> Advice:
    """Say which initialization to try first, at which rates, before training.

    Args:
        module: as of `compare`.
        data: as of `compare`.
        optimizer: `sgd`, `adam` or `adamw`.
        budget: seconds or text as `"20m"`, to race the advice against the field and
            say whether it held; by default nothing is trained.
        schemes: to be ranked, as of `compare`; by default those that the network
            admits.
        learning_rates: as of `compare`.
        test: as of `compare`.
        workdir: of the race, as of `compare`.
        train_argument: as of `compare`.
        fields: further ones of `Study`.

    Raises: UserError for no parameters, a single layer, outputs that are no logits, a
        batch of one class; and as `compare`.

    Example:
        >>> import flax.linen as nn, numpy as np
        >>> images = np.random.default_rng(0).normal(size=(60, 4, 4, 1))
        >>> labels = (images.mean((1, 2, 3)) > 0).astype(int)
        >>> flat = lambda x: x.reshape(len(x), -1)
        >>> net = nn.Sequential([flat, nn.Dense(8), nn.relu, nn.Dense(2)])
        >>> found = advise(net, (images, labels), schemes=["zeros"])
        >>> found.first
        'zeros'
    """
    seconds = parse_seconds("budget", budget)
    fields = {**fields, "optimizer": optimizer}
    first = ["module"] if schemes is None else schemes
    study, given = make_study(
        module, data, first, learning_rates, test, train_argument, fields
    )
    prepare_jax(compiled_folder(None))
    advice = _of_plan(make_plan(study, None, None, given), schemes is not None)
    if seconds is None:
        return advice
    fields |= {"learning_rates": learning_rates, "train_argument": train_argument}
    fields |= {"test": test, "until": "decided", "workdir": workdir}
    ranked = _names(advice.of_programs) if schemes is None else schemes
    raced = compare(module, data, schemes=ranked, budget=seconds, **fields)
    return _verified(advice, raced)


def _of_plan(plan: Plan, is_chosen: bool) -> Advice:
    """Advise on every program; `is_chosen` if the plan's schemes are to be ranked."""
    settings = read_settings().settings
    chosen = plan.schemes if is_chosen else None
    advice = (
        advise_program(plan.study, program, settings, chosen)
        for program in plan.programs
    )
    return Advice(tuple(advice), measure_advice(settings))


def _names(advice: Sequence[ProgramAdvice]) -> list[str]:
    """List what was ranked, of all programs."""
    ranked = (one.scheme for each in advice for one in each.ranking)
    return list(dict.fromkeys(ranked))


def _verified(advice: Advice, raced: Result) -> Advice:
    """Add what a race says of the advice."""
    firsts = [one.ranking[0].scheme for one in advice.of_programs]
    lines = verified_lines(firsts, read_heats(raced.workdir))
    return dataclasses.replace(advice, verified=tuple(lines))
