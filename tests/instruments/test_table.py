"""Every row of the table, on softmax regression, where all of it is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from init_study.errors import UserError
from init_study.instruments.instrument import ProbeBatch, Subject, take_measures
from init_study.instruments.loss_readings import FIRST_RATES
from init_study.instruments.table import INSTRUMENTS
from init_study.models.linear import Linear
from init_study.network import trace

N, PIXELS, CLASSES = 6, 5, 3
RNG = np.random.default_rng(3)
IMAGES = RNG.normal(size=(N, 1, 1, PIXELS))
LABELS = np.array([0, 1, 2, 0, 1, 0])
NETWORK = trace(Linear(CLASSES), (1, 1, PIXELS))
WEIGHTS = RNG.normal(size=(2, PIXELS, CLASSES)) * [[[1.0]], [[0.3]]]
BATCH = ProbeBatch(jnp.float32(IMAGES), jnp.asarray(LABELS), jax.random.key(0))


def subjects(weights=WEIGHTS):
    biases = jnp.zeros((len(weights), CLASSES))
    kernels = jnp.asarray(weights, jnp.float32)
    return Subject({"Dense_0": {"kernel": kernels, "bias": biases}}, {})


@pytest.fixture(scope="module")
def found():
    return take_measures(INSTRUMENTS, NETWORK, subjects(), BATCH)


class Known:
    """Softmax regression of one member in float64; parameters are kernel, then bias."""

    def __init__(self, weights):
        self.images = np.c_[IMAGES.reshape(N, -1), np.ones(N)]
        self.all = np.r_[weights, np.zeros((1, CLASSES))]
        self.logits = self.images @ self.all
        self.chances = softmax(self.logits, axis=1)
        self.targets = np.eye(CLASSES)[LABELS]
        errors = self.chances - self.targets
        self.rows = np.einsum("np,nk->npk", self.images, errors).reshape(N, -1)
        self.slope = self.rows.mean(0)
        curves = np.einsum("nk,kl->nkl", self.chances, np.eye(CLASSES))
        curves = curves - np.einsum("nk,nl->nkl", self.chances, self.chances)
        hessian = np.einsum("np,nq,nkl->pkql", self.images, self.images, curves) / N
        self.hessian = hessian.reshape(self.slope.size, -1)

    def loss(self, moved=0.0):
        logits = self.images @ (self.all.ravel() - moved).reshape(self.all.shape)
        return np.mean(logsumexp(logits, 1) - (logits * self.targets).sum(1))


@pytest.fixture(scope="module", params=[0, 1])
def member(request):
    return request.param, Known(WEIGHTS[request.param])


def check(found, place, **wanted):
    for name, value in wanted.items():
        np.testing.assert_allclose(
            found[name][place], value, rtol=1e-3, atol=1e-6, err_msg=name
        )


def test_logits_and_layers(found, member):
    place, known = member
    shares = np.bincount(LABELS) / N
    check(
        found["logits"],
        place,
        loss=known.loss(),
        uniform=np.log(CLASSES),
        prior=-np.sum(shares * np.log(shares)),
        between_classes=np.sqrt(known.logits.var(1).mean()),
    )
    errors = known.chances - known.targets
    check(
        found["layers"],
        place,
        inputs=[np.mean(IMAGES**2)],
        signal=[np.mean(known.logits**2)],
        spread=[known.logits.var(0).mean()],
        gradient=[np.mean(errors**2)],
    )


def test_jacobian_kernel_filters_and_invariance(found, member):
    place, known = member
    values = np.linalg.svd(WEIGHTS[place], compute_uv=False)
    check(
        found["jacobian"],
        place,
        mean_square=np.mean(values**2),
        greatest=values[0],
        condition=values[0] / values[-1],
    )
    check(
        found["filters"],
        place,
        distinct=[1.0],
        stable_rank=[np.sum(values**2) / values[0] ** 2],
    )
    gram = np.kron(known.images @ known.images.T, np.eye(CLASSES))
    ends = np.linalg.eigvalsh(gram)
    targets = (known.targets - known.targets.mean(0)).ravel()
    along = targets @ gram @ targets / (targets @ targets * np.linalg.norm(gram))
    check(
        found["tangent_kernel"],
        place,
        greatest=ends[-1],
        trace=np.trace(gram),
        alignment=along,
    )
    check(found["invariance"], place, **{"Dense_0/kernel": 1.0})
    assert np.isnan(found["invariance"]["Dense_0/bias"][place]), "zeros stay zeros"


def test_curvature_and_first_steps(found, member):
    place, known = member
    ends = np.linalg.eigvalsh(known.hessian)
    check(
        found["hessian"],
        place,
        sharpness=ends[-1],
        largest_rate=2 / ends[-1],
    )
    reading = found["hessian"]
    off = abs(reading["trace"][place] - np.trace(known.hessian))
    assert off <= 4 * reading["trace_error"][place] + 1e-5
    g = known.slope
    sized = g + np.where(g >= 0, 1e-5, -1e-5)
    quotient = np.mean(abs((g - known.hessian @ g) / sized - 1))
    check(found["gradient_quotient"], place, quotient=quotient)
    drops = [known.loss() - known.loss(rate * g) for rate in FIRST_RATES]
    best = int(np.argmax(drops))
    # A drop is a difference of losses in float32.
    np.testing.assert_allclose(
        found["first_steps"]["drops"][place], drops, rtol=2e-3, atol=1e-6
    )
    check(
        found["first_steps"],
        place,
        best_drop=drops[best],
        best_rate=FIRST_RATES[best],
    )


def test_gradients_and_scores_of_others(found, member):
    place, known = member
    units = known.rows / np.linalg.norm(known.rows, axis=1, keepdims=True)
    cosines = (units @ units.T)[~np.eye(N, dtype=bool)]
    noise = known.rows.var(0, ddof=1).sum()
    check(
        found["gradients"],
        place,
        least_cosine=cosines.min(),
        mean_cosine=cosines.mean(),
        signal_to_noise=np.sum(known.slope**2) / noise,
    )
    flat = known.all.ravel()
    slopes = np.tile(WEIGHTS[place].sum(1), (N, 1))
    assert np.ptp(slopes, axis=0).max() == 0, "all correlated: one direction"
    check(
        found["saliency"],
        place,
        snip=np.sum(abs(known.slope * flat)),
        grasp=-flat @ known.hessian @ known.slope,
        synflow=np.sum(abs(WEIGHTS[place])),
    )
    # One eigenvalue of n, and n − 1 that are zero.
    jacob_cov = -(np.log(N) + 1 / N) - (N - 1) * (np.log(1e-5) + 1e5)
    np.testing.assert_allclose(
        found["saliency"]["jacob_cov"][place], jacob_cov, rtol=0.05
    )


def check_alike(read, place, found):
    """Member 1 of all reads as one of others does, to the last bit."""
    for name, numbers in read.items():
        leaves = (jax.tree.leaves(each) for each in (numbers, found[name]))
        for value, wanted in zip(*leaves, strict=True):
            np.testing.assert_array_equal(value[place], wanted[1], name)


def test_a_member_reads_alone_as_among_others(found):
    alone = take_measures(INSTRUMENTS, NETWORK, subjects(WEIGHTS[1:]), BATCH)
    check_alike(alone, 0, found)


def test_a_start_that_is_not_finite_reads_as_nan_beside_healthy_ones(found):
    broken = WEIGHTS.copy()
    broken[0, 0, 0] = np.nan
    read = take_measures(INSTRUMENTS, NETWORK, subjects(broken), BATCH)
    assert np.isnan(read["logits"]["loss"][0])
    assert np.isnan(read["hessian"]["sharpness"][0])
    trace_of = [each["tangent_kernel"]["trace"][0] for each in (read, found)]
    assert trace_of[0] == trace_of[1], "a linear net's kernel has no weights in it"
    assert np.isnan(read["first_steps"]["best_drop"][0])
    check_alike(read, 1, found)


def test_every_row_says_what_it_is():
    for name, row in INSTRUMENTS.items():
        assert all([row.what, row.formula, row.units, row.cost, row.source]), name


def test_labels_that_no_output_is_for_are_refused():
    chosen = {"logits": INSTRUMENTS["logits"]}
    wrong = BATCH._replace(labels=BATCH.labels + 1)
    with pytest.raises(UserError, match="labels go from 1 to 3, and the network has 3"):
        take_measures(chosen, NETWORK, subjects(), wrong)
    single = BATCH._replace(images=BATCH.images[:1], labels=BATCH.labels[:1])
    read = take_measures(chosen, NETWORK, subjects(), single)
    assert read["logits"]["between_images"].tolist() == [0.0, 0.0]
    with pytest.raises(UserError, match="at least 2 examples"):
        only = {"gradients": INSTRUMENTS["gradients"]}
        take_measures(only, NETWORK, subjects(), single)
