"""Advice on a network before training: schemes ranked, rates, profile, and why."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from init_study.advice.agreement import rank_correlation
from init_study.advice.candidates import Candidates, find_candidates
from init_study.advice.evidence_of_start import StartEvidence
from init_study.advice.measured import accuracies, advised
from init_study.advice.ranking import rank, score
from init_study.advice.settings import (
    Setting,
    describe_net,
    distance,
    nearest_settings,
)
from init_study.advice.starts import read_evidence
from init_study.data import batch_indices
from init_study.diagnosis.finding import Finding, look_for
from init_study.diagnosis.layer_table import inspect_scheme
from init_study.diagnosis.of_study import training_of
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.engine.population import first_batches
from init_study.errors import UserError
from init_study.keys import fixed_key
from init_study.optimizer import make_optimizer
from init_study.plan import ProgramPlan
from init_study.schemes import Batch, Scheme
from init_study.study import Study
from init_study.train import stream

_IMAGES = 32
_PROFILE = ("layer", "signal", "predicted_signal", "gradient", "predicted_gradient")


class Advised(NamedTuple):
    """A scheme in its place in the ranking.

    Attributes:
        scheme: its name.
        score: of `ranking.score`.
        evidence: of its starts.
    """

    scheme: str
    score: float
    evidence: StartEvidence


class Near(NamedTuple):
    """A raced setting that is near, and what the race found there.

    Attributes:
        name: of the setting.
        distance: of `settings.distance`.
        best: the scheme that came first.
        accuracy: of it, of 1.
        first: the scheme that advice put first there.
        lost: points of accuracy that it lost.
        agreement: of the ranks, Spearman; NaN where the race found no difference.
    """

    name: str
    distance: float
    best: str
    accuracy: float
    first: str
    lost: float
    agreement: float


class ProgramAdvice(NamedTuple):
    """What to try on one program, and why.

    Attributes:
        program: its label.
        ranking: the first to try first.
        refused: why other schemes do not fit.
        profile: of the first, by layer: `signal` and `gradient`, measured and
            `predicted_`.
        findings: of an audit of the first, without what is only good to know.
        near: the nearest raced settings.
    """

    program: str
    ranking: tuple[Advised, ...]
    refused: Mapping[str, str]
    profile: tuple[Mapping[str, Any], ...]
    findings: tuple[Finding, ...]
    near: tuple[Near, ...]


def probe_batch(plan: ProgramPlan) -> Batch:
    """Read up to 32 training images, in the order of seed 0, standardized.

    Args:
        plan: of one program. Its own batch size does not count.
    """
    count = len(plan.dataset.train.labels)
    first = batch_indices(stream(0, "order"), 0, 1, count, min(_IMAGES, count))
    batch = Batch(*(part[0] for part in first_batches(plan, first)))
    return batch._replace(images=jnp.asarray(batch.images))


def advise_program(
    study: Study,
    plan: ProgramPlan,
    settings: Sequence[Setting],
    schemes: Mapping[str, Scheme] | None = None,
) -> ProgramAdvice:
    """Advise on one program of a study: no step of training is taken.

    Args:
        study: whose optimizer counts.
        plan: of the program.
        settings: raced ones, of which the nearest are cited.
        schemes: to be ranked; by default those that the network admits.

    Raises: UserError as `find_candidates` and `read_evidence`, and if no scheme has a
        finite start.
    """
    network, program, batch = plan.network, plan.program, probe_batch(plan)
    found = find_candidates(network, batch)
    if schemes is not None:
        found = Candidates(schemes, {})
    evidence = read_evidence(
        network,
        found.schemes,
        batch,
        lambda rate: make_optimizer(program, rate),
        fixed_key(0),
        program.momentum if program.optimizer == "sgd" else 0.0,
    )
    order = rank(evidence)
    if not isfinite(score(evidence[order[0]])):
        raise UserError(
            "no scheme's start is finite on a batch of the data: the loss or a "
            "gradient is NaN or infinite before the first step; look where: "
            "python launch.py audit"
        )
    first = found.schemes[order[0]]
    described = describe_net(network, plan.dataset.num_classes)
    rows = inspect_scheme(first, network, batch)
    return ProgramAdvice(
        program=plan.label,
        ranking=tuple(
            Advised(name, score(evidence[name]), evidence[name]) for name in order
        ),
        refused=found.refused,
        profile=tuple({name: row[name] for name in _PROFILE} for row in rows),
        findings=_findings(study, plan, order[0], first, batch),
        near=tuple(
            near_setting(one, distance(one.described, described))
            for one in nearest_settings(settings, described)
        ),
    )


def near_setting(setting: Setting, far: float) -> Near:
    """Say what a race found, and what advice would have said.

    Args:
        setting: of the table.
        far: its distance.
    """
    raced, scores = accuracies(setting), advised(setting)
    best, first = int(raced.argmax()), int(scores.argmax())
    finite = np.where(np.isfinite(scores), scores, -1e9)
    return Near(
        name=setting.name,
        distance=far,
        best=setting.schemes[best].scheme,
        accuracy=float(raced[best]),
        first=setting.schemes[first].scheme,
        lost=100 * float(raced[best] - raced[first]),
        agreement=rank_correlation(finite, raced),
    )


def _findings(
    study: Study, plan: ProgramPlan, name: str, scheme: Scheme, batch: Batch
) -> tuple[Finding, ...]:
    key = stream(0, "init")
    training = training_of(study, plan.program, name, len(plan.dataset.train.labels))
    set_up = make_set_up(plan.network, scheme, batch, key, training)
    found = look_for(TRAPS.values(), look_at(set_up, jax.random.clone(key)))
    return tuple(one for one in found if one.severity != "info")
