"""Audits of everything that a plan would train: each program, with each scheme."""

from collections.abc import Iterator
from typing import NamedTuple

import jax

from init_study.data import batch_indices
from init_study.diagnosis.finding import Finding, look_for
from init_study.diagnosis.findings_text import leaf_rows
from init_study.diagnosis.of_study import training_of
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.engine.population import first_batches
from init_study.plan import Plan, ProgramPlan
from init_study.schemes import Batch
from init_study.train import stream


class SetUpFindings(NamedTuple):
    """What an audit found of one program with one scheme.

    Attributes:
        program: its label.
        scheme: as a text.
        findings: the gravest first.
        leaves: every parameter with its rule and its law, as of `leaf_rows`.
    """

    program: str
    scheme: str
    findings: tuple[Finding, ...]
    leaves: list[dict[str, str]]


def audit_plan(plan: Plan) -> Iterator[SetUpFindings]:
    """Audit every program and scheme of a plan, as seed 0 would draw it.

    Args:
        plan: of a study.

    Cost: of each program one compilation, of each scheme some twenty passes of a batch.
    """
    for of_program in plan.programs:
        batch = first_batch(of_program)
        examples = len(of_program.dataset.train.labels)
        for text, scheme in plan.schemes.items():
            training = training_of(plan.study, of_program.program, text, examples)
            key = stream(0, "init")
            set_up = make_set_up(of_program.network, scheme, batch, key, training)
            seen = look_at(set_up, jax.random.clone(key))
            found, leaves = look_for(TRAPS.values(), seen), leaf_rows(seen.laws)
            yield SetUpFindings(of_program.label, text, found, leaves)


def first_batch(plan: ProgramPlan) -> Batch:
    """Read the first training batch of seed 0, standardized as in training.

    Args:
        plan: of one program.
    """
    size, count = plan.program.batch_size, len(plan.dataset.train.labels)
    first = batch_indices(stream(0, "order"), 0, 1, count, size)
    return Batch(*(part[0] for part in first_batches(plan, first)))
