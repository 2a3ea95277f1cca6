"""Instruments of the loss: its slope and curvature, and what a first step does."""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from init_study.instruments import curvature, first_steps, gradients, saliency
from init_study.instruments.hessian_spectra import (
    HessianSketch,
    hessian_ends,
    sketch_hessian,
)
from init_study.instruments.instrument import (
    ONCE,
    TWICE,
    Instrument,
    ProbeBatch,
    Reading,
    Subject,
    member_logits,
    member_loss,
    member_losses,
)
from init_study.instruments.lanczos import Tridiagonal
from init_study.instruments.loss_slices import (
    descent_direction,
    filter_direction,
    loss_slice,
)
from init_study.network import Network

# A grid over which the best first step is looked for, two a decade.
FIRST_RATES = tuple(float(f"{10.0**power:.2g}") for power in np.arange(-4, 1.5, 0.5))
_STEPS = 24
# Of slices: α = 1 is as far as the parameters are long, or from the start to now.
SLICE_ALPHAS = tuple(float(alpha) for alpha in np.linspace(-1, 1, 21))
PATH_ALPHAS = tuple(float(alpha) for alpha in np.linspace(-0.5, 1.5, 21))
# Twelve halvings of the logarithm of this range leave 0.4 %.
_LEAST_RATE, _MOST_RATE, _ROUNDS, _RUN = 1e-4, 1e3, 12, 32


def _read_hessian(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    loss, own_key = (
        member_loss(network, subject, batch),
        jax.random.fold_in(jax.random.clone(batch.key), 2),
    )
    sketch_key, trace_key = jax.random.split(own_key)
    sketch = sketch_hessian(loss, subject.params, sketch_key, steps=_STEPS, probes=1)
    trace = curvature.hessian_trace(loss, subject.params, trace_key, probes=16)
    return {
        **sketch._asdict(),
        "trace": trace.estimate,
        "trace_error": trace.standard_error,
    }


def _finish_hessian_ends(found: Reading, batch: ProbeBatch) -> Reading:
    sketch = HessianSketch(found["matrix"], Tridiagonal(*found["tridiagonal"]))
    ends = hessian_ends(sketch)
    return {
        "sharpness": ends.greatest[..., 0],
        "least": ends.least[..., 0],
        "largest_rate": 2 / np.where(ends.greatest > 0, ends.greatest, np.nan)[..., 0],
        "trace": found["trace"],
        "trace_error": found["trace_error"],
    }


def _read_gradient_quotient(
    network: Network, subject: Subject, batch: ProbeBatch
) -> Reading:
    loss = member_loss(network, subject, batch)
    return {"quotient": curvature.gradient_quotient(loss, subject.params)}


def _read_first_steps(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    loss, rates = member_loss(network, subject, batch), jnp.array(FIRST_RATES)
    drops = first_steps.first_step_drops(loss, subject.params, rates)
    tried = jnp.where(jnp.isfinite(drops), drops, -jnp.inf)
    broken = jnp.where(jnp.isfinite(tried).any(), 1.0, jnp.nan)
    return {
        "drops": drops,
        "best_drop": broken * jnp.max(tried),
        "best_rate": broken * rates[jnp.argmax(tried)],
    }


def _read_stable_rate(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    loss = member_loss(network, subject, batch)
    return first_steps.largest_stable_rate(
        loss,
        subject.params,
        least=_LEAST_RATE,
        most=_MOST_RATE,
        steps=_RUN,
        rounds=_ROUNDS,
    )._asdict()


def _read_slices(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    loss, params = member_loss(network, subject, batch), subject.params
    start = params if subject.start is None else subject.start
    own_key = jax.random.fold_in(jax.random.clone(batch.key), 3)
    alphas, places = jnp.array(SLICE_ALPHAS), jnp.array(PATH_ALPHAS)
    drawn = filter_direction(network, params, own_key)
    descent = descent_direction(loss, params)
    way = jax.tree.map(jnp.subtract, params, start)
    return {
        "random": loss_slice(loss, params, drawn, alphas),
        "descent": loss_slice(loss, params, descent, alphas),
        "from_start": loss_slice(loss, start, way, places),
    }


def _read_gradients(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    rows = _example_gradients(network, subject, batch)
    ratio = gradients.signal_to_noise(rows)
    confusion = gradients.gradient_confusion(rows)
    return {
        "least_cosine": confusion.least,
        "mean_cosine": confusion.mean,
        "signal_to_noise": ratio.whole,
    }


def _read_saliency(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    loss = member_loss(network, subject, batch)
    still = lambda params, images: network.apply(  # noqa: E731
        params, subject.state, images, train=False
    )[0]
    return {
        "snip": saliency.snip(loss, subject.params).whole,
        "grasp": saliency.grasp(loss, subject.params).whole,
        "synflow": saliency.synflow(still, subject.params, network.image_shape).whole,
        "input_gradients": saliency.input_gradients(
            lambda images: member_logits(
                network, subject, batch._replace(images=images), subject.params
            ),
            batch.images,
        ),
    }


def _finish_jacob_cov(found: Reading, batch: ProbeBatch) -> Reading:
    scores = {name: found[name] for name in ("snip", "grasp", "synflow")}
    gradients = found["input_gradients"]
    return {**scores, "jacob_cov": saliency.jacobian_score(gradients)}


def _example_gradients(network: Network, subject: Subject, batch: ProbeBatch) -> Array:
    """Compute the gradient of each image's loss; a norm sees the whole batch."""
    losses, pull = jax.vjp(
        partial(member_losses, network, subject, batch), subject.params
    )

    def row(unit: Array) -> Array:
        (slopes,) = pull(unit)
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(slopes)])

    return lax.map(row, jnp.eye(len(losses)))


LOSS_INSTRUMENTS: Mapping[str, Instrument] = {
    "hessian": Instrument(
        what="sharpness, the least eigenvalue and the trace of the loss's Hessian",
        formula="λ_max, λ_min, tr H; 2 / λ_max",
        units="nats by squares of the parameters' units; a rate",
        cost="40 products, each 2 F + 2 B",
        source="Ghorbani, Krishnan & Xiao 2019, arXiv:1901.10159",
        passes=lambda network, n, classes: TWICE * 40 * 6 * n,
        measure=_read_hessian,
        finish=_finish_hessian_ends,
    ),
    "gradient_quotient": Instrument(
        what="by how much a step of rate 1 changes the gradient, in its own units",
        formula="E|(g − H g) / (g ± ε) − 1|",
        units="none",
        cost="2 F + 3 B",
        source="Dauphin & Schoenholz 2019, MetaInit",
        passes=lambda network, n, classes: TWICE * 8 * n,
        measure=_read_gradient_quotient,
    ),
    "first_steps": Instrument(
        what="by how much the first step lowers the loss, over a grid of rates",
        formula="L(θ) − L(θ − η ∇L(θ))",
        units="nats; a rate",
        cost="1 F + 1 B, and 1 F for each of 11 rates",
        source="Zhu et al. 2021, arXiv:2102.08098 (GradInit)",
        passes=lambda network, n, classes: ONCE * (3 + len(FIRST_RATES)) * n,
        measure=_read_first_steps,
    ),
    "stable_rate": Instrument(
        what="the largest rate at which 32 steps on the batch end no higher than they "
        "began, found by running them; and the least rate seen to fail",
        formula="max η: L(θ_32) ≤ L(θ_0), θ_{k+1} = θ_k − η ∇L(θ_k)",
        units="a rate, to 0.4 %",
        cost="448 F + 448 B",
        source="Lewkowycz et al. 2020, arXiv:2003.02218; derived",
        passes=lambda network, n, classes: ONCE * 448 * 3 * n,
        measure=_read_stable_rate,
    ),
    "slices": Instrument(
        what="the loss along three lines: a random direction with filters as long as "
        "the net's own, steepest descent, and the way from the start",
        formula="L(θ + α d), α = −1, −0.9, …, 1, ‖d‖ = ‖θ‖; "
        "L(θ_0 + α (θ_t − θ_0)), α = −0.5, −0.4, …, 1.5",
        units="nats",
        cost="64 F + 1 B",
        source="Li et al. 2018, arXiv:1712.09913; Goodfellow, Vinyals & Saxe 2015, "
        "arXiv:1412.6544",
        passes=lambda network, n, classes: ONCE * 67 * n,
        measure=_read_slices,
        from_start=True,
    ),
    "gradients": Instrument(
        what="whether the images' gradients pull together: cosines, signal to noise",
        formula="min, mean cos(g_i, g_j); ‖E g‖² / tr Cov g",
        units="none",
        cost="1 F + n B",
        source="Sankararaman et al. 2020, arXiv:1904.06963; Liu et al. 2020, "
        "arXiv:2001.07384",
        passes=lambda network, n, classes: TWICE * (n + 2 * n * n),
        measure=_read_gradients,
    ),
    "saliency": Instrument(
        what="scores by which others rank networks before training",
        formula="Σ|g ⊙ w|; Σ −w ⊙ Hg; Σ|w| ⊙ ∂R/∂|w|; −Σ ln(v + k) + 1 / (v + k)",
        units="nats; …; logits; none",
        cost="5 F + 5 B",
        source="Lee et al. 2019, arXiv:1810.02340; Wang et al. 2020, arXiv:2002.07376; "
        "Tanaka et al. 2020, arXiv:2006.05467; zero-cost-nas",
        passes=lambda network, n, classes: TWICE * 15 * n,
        measure=_read_saliency,
        finish=_finish_jacob_cov,
    ),
}
