"""How a network is going to be trained: as far as it is known, or as a study says."""

from typing import NamedTuple

from init_study.study import Program, Study
from init_study.study.choices import UNTUNED_LEARNING_RATES


class Training(NamedTuple):
    """How it is going to be trained, as far as that is known.

    Attributes:
        optimizer: `sgd`, `adam` or `adamw`; None if it is not known.
        learning_rate: of the first step.
        learning_rates: that are to be compared, every scheme at each.
        weight_decay: as of `study.Study`.
        clip: norm to which gradients are cut, if they are.
        epsilon: of Adam.
        batch_size, steps, seeds: numbers of each.
        momentum: of sgd.
        warmup: steps during which the rate rises to its peak.
        schemes: how many are compared.
        examples: how many there are to train on.
        untuned: the rate that is usual without tuning.
    """

    optimizer: str | None = None
    learning_rate: float | None = None
    learning_rates: tuple[float, ...] = ()
    weight_decay: float = 0.0
    clip: float | None = None
    epsilon: float = 1e-8
    batch_size: int | None = None
    steps: int | None = None
    seeds: int | None = None
    momentum: float | None = None
    warmup: int | None = None
    schemes: int | None = None
    examples: int | None = None
    untuned: float | None = None


def training_of(
    study: Study,
    program: Program,
    scheme: str | None = None,
    examples: int | None = None,
) -> Training:
    """Say how a program of a study trains, in the words of an audit.

    Of the grid it takes the rate nearest to the one that is usual without tuning: the
    ends of a grid are there to be too small and too large.

    Args:
        study: that the program is of.
        program: of the study.
        scheme: of the study, where each has a learning rate of its own; without it no
            rate is known there.
        examples: how many the data set has to train on.

    Example:
        >>> study = Study(schemes=["he_normal", "zeros"], learning_rates=(0.01, 0.1))
        >>> training = training_of(study, study.programs()[0])
        >>> training.learning_rate, training.schemes, training.seeds
        (0.1, 2, 5)
    """
    rate = study.untuned(program.optimizer) if study.learning_rates else None
    every = study.pairing == "every"
    if not every:
        own = dict(zip(study.schemes, study.learning_rates, strict=False))
        rate = None if scheme is None else own.get(scheme)
    warmup = 0
    if program.schedule == "cosine":
        # As the optimizer's schedule counts them.
        warmup = min(round(program.warmup * program.steps), program.steps - 1)
    return Training(
        optimizer=program.optimizer,
        learning_rate=None if rate is None else rate / (warmup + 1),
        learning_rates=study.grid if every else (),
        weight_decay=program.weight_decay,
        batch_size=program.batch_size,
        steps=program.steps,
        seeds=study.fresh_seeds or len(study.seeds),
        momentum=program.momentum if program.optimizer == "sgd" else None,
        warmup=warmup,
        schemes=len(study.schemes),
        examples=examples,
        untuned=study.untuned_learning_rate
        or UNTUNED_LEARNING_RATES[program.optimizer],
    )
