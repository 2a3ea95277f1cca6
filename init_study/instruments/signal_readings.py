"""Instruments of the signal: what images become, and how outputs hang on parameters."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from init_study.instruments.filters import filter_cosines, kernel_ranks
from init_study.instruments.instrument import (
    ONCE,
    TWICE,
    Instrument,
    ProbeBatch,
    Reading,
    Subject,
    member_logits,
)
from init_study.instruments.invariance import scale_scores
from init_study.instruments.jacobians import (
    JacobianSketch,
    singular_values,
    sketch_jacobian,
)
from init_study.instruments.kernels import (
    kernel_alignment,
    kernel_spectrum,
    tangent_kernel,
)
from init_study.instruments.lanczos import Tridiagonal
from init_study.instruments.logits import measure_logits
from init_study.instruments.passes import pass_through
from init_study.instruments.residual_numbers import residual_numbers
from init_study.instruments.symmetry import distinct_filters
from init_study.network import Network
from init_study.train import cross_entropy


def _read_logits(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    logits = member_logits(network, subject, batch, subject.params)
    return measure_logits(logits, batch.labels)._asdict()


def _read_layers(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    passed = pass_through(network, subject.params, subject.state, *batch)
    return passed.layers._asdict()


def _read_filters(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    kernels = _kernels(network, subject)
    cosines = [
        filter_cosines(kernel).greatest if kernel.shape[-1] > 1 else jnp.nan
        for kernel in kernels
    ]
    return {
        "distinct": jnp.array([distinct_filters(kernel) for kernel in kernels]),
        "greatest_cosine": jnp.array(cosines),
        "kernels": tuple(kernels),
    }


def _finish_ranks(found: Reading, batch: ProbeBatch) -> Reading:
    ranks = [kernel_ranks(kernels) for kernels in found["kernels"]]
    return {
        "distinct": found["distinct"],
        "greatest_cosine": found["greatest_cosine"],
        "effective_rank": np.array([one.effective for one in ranks]).T,
        "stable_rank": np.array([one.stable for one in ranks]).T,
    }


def _read_jacobian(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    def of_one(image: Array) -> JacobianSketch:
        alone = batch._replace(images=image[None])
        own_key = jax.random.fold_in(jax.random.clone(batch.key), 1)
        return sketch_jacobian(
            lambda x: member_logits(
                network, subject, alone._replace(images=x), subject.params
            ),
            alone.images,
            own_key,
        )

    return lax.map(of_one, batch.images)._asdict()


def _finish_singular(found: Reading, batch: ProbeBatch) -> Reading:
    squares = Tridiagonal(*found["squares"])
    values = singular_values(JacobianSketch(found["matrix"], squares)).values
    with np.errstate(divide="ignore", invalid="ignore"):
        condition = values[..., 0] / values[..., -1]
    return {
        "mean_square": np.mean(values**2, axis=(-2, -1)),
        "greatest": np.sqrt(np.mean(values[..., 0] ** 2, axis=-1)),
        "condition": np.median(condition, axis=-1),
    }


def _read_tangent(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    outputs = partial(member_logits, network, subject, batch)
    return {"kernel": tangent_kernel(outputs, subject.params)}


def _finish_tangent_spectrum(found: Reading, batch: ProbeBatch) -> Reading:
    kernels = found["kernel"]
    classes = kernels.shape[-1] // len(batch.labels)
    spectrum = kernel_spectrum(kernels)
    return {
        "greatest": spectrum.eigenvalues[..., 0],
        "least": spectrum.eigenvalues[..., -1],
        "condition": spectrum.condition,
        "trace": spectrum.trace,
        "alignment": kernel_alignment(kernels, np.asarray(batch.labels), classes),
    }


def _read_invariance(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    outputs = partial(member_logits, network, subject, batch)
    return scale_scores(outputs, subject.params)


def _read_residual(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    found = residual_numbers(
        network,
        subject.params,
        subject.state,
        batch.images,
        lambda logits: cross_entropy(logits, batch.labels).mean(),
        batch.key,
    )
    return {} if found is None else found._asdict()


def _kernels(network: Network, subject: Subject) -> list[Array]:
    def leaf(path: Any) -> Array:
        found: Any = subject.params
        for name in path:
            found = found[name]
        return found

    return [layer.plain(leaf(layer.kernel)) for layer in network.layers]


SIGNAL_INSTRUMENTS: Mapping[str, Instrument] = {
    "logits": Instrument(
        what="loss at the start beside ln K and the class prior; spread of the logits",
        formula="L; ln K; −Σ p ln p; √E_i Var_k[f_k(x_i)]; √E_k Var_i[f_k(x_i)]",
        units="nats; logits; shares",
        cost="1 F",
        source="Glorot & Bengio 2010; derived",
        passes=lambda network, n, classes: ONCE * n,
        measure=_read_logits,
    ),
    "layers": Instrument(
        what="by layer: mean squares forwards and backwards, at border and centre, "
        "cosine between images, shares of dead, always-on and saturated units",
        formula="E[h²]; E[(∂L_i/∂h)²]; E_ij cos(h(x_i), h(x_j))",
        units="squares of the output's units; shares",
        cost="1 F + 1 B",
        source="Poole et al. 2016, arXiv:1606.05340; Glorot & Bengio 2010",
        passes=lambda network, n, classes: ONCE * 3 * n,
        measure=_read_layers,
    ),
    "filters": Instrument(
        what="by layer: share of distinct filters, greatest cosine, effective and "
        "stable rank",
        formula="exp(H(σ / Σσ)); ‖W‖_F² / ‖W‖₂²",
        units="shares; dimensions",
        cost="singular values of each kernel",
        source="Roy & Vetterli 2007; weightwatcher",
        passes=lambda network, n, classes: 20 * len(network.layers),
        measure=_read_filters,
        finish=_finish_ranks,
    ),
    "jacobian": Instrument(
        what="singular values of each image's Jacobian of the logits by the image",
        formula="σ_i(∂f/∂x); E[σ²]; σ_1 / σ_K",
        units="logits by units of the images",
        cost="K B for each image alone; Lanczos beyond 128 outputs",
        source="Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735",
        passes=lambda network, n, classes: ONCE * n * (1 + 2 * min(classes, 128)),
        measure=_read_jacobian,
        finish=_finish_singular,
    ),
    "tangent_kernel": Instrument(
        what="the empirical neural tangent kernel: ends, condition, trace, alignment "
        "with the labels",
        formula="Θ = J Jᵀ; λ_1 / λ_nK; tr Θ; yᵀ Θ y / (‖y‖² ‖Θ‖)",
        units="squares of logits by units of the parameters",
        cost="n K B, and n K F where J does not fit",
        source="Jacot, Gabriel & Hongler 2018, arXiv:1806.07572",
        passes=lambda network, n, classes: TWICE * (n + 2 * n * n * classes),
        measure=_read_tangent,
        finish=_finish_tangent_spectrum,
    ),
    "invariance": Instrument(
        what="by tensor: what doubling it does to the logits; 0 behind a norm",
        formula="‖f(2 θ_l) − f(θ)‖ / ‖f(θ)‖",
        units="none",
        cost="1 F for each tensor",
        source="derived; van Laarhoven 2017, arXiv:1706.05350",
        passes=lambda network, n, classes: ONCE * n * (1 + len(network.shapes)),
        measure=_read_invariance,
    ),
    "residual": Instrument(
        what="by residual branch: its size beside the skip's, forwards and in "
        "gradients; loss and outputs without it; empty for other nets",
        formula="Var F(x) / Var x; E[(J_Fᵀg)²] / E[g²]; L_without − L; "
        "‖f_without − f‖ / ‖f‖",
        units="none; none; nats; none",
        cost="2 F + 1 B, and 2 F + 1 B for each branch",
        source="Veit, Wilber & Belongie 2016, arXiv:1605.06431; init2winit",
        passes=lambda network, n, classes: ONCE * n * 4 * (1 + len(network.branches)),
        measure=_read_residual,
    ),
}
