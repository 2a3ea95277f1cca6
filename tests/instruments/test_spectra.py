"""Spectra are those of the whole matrices, where these can be had."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from init_study import store
from init_study.control import Control
from init_study.data.feeds import Examples
from init_study.instruments.spectra import Spectra, eigenvalues, measure_spectra
from init_study.network import trace
from init_study.plan import make_plan
from init_study.report import write_report
from init_study.run import run
from init_study.schemes import parse_scheme
from init_study.study import Program, Study
from init_study.train import Hyper, cross_entropy, init_state


class Net(nn.Module):
    num_classes: int = 3

    @nn.compact
    def __call__(self, images, train=False):
        x = jnp.tanh(nn.Conv(2, (3, 3))(images))
        return nn.Dense(self.num_classes)(x.mean((1, 2)))


PLACES = jnp.array([[0, 1, 2, 3], [4, 5, 6, 7]])


@pytest.fixture(scope="module")
def measured():
    """(spectra, logits of params and images, params, images, labels)."""
    rng = np.random.default_rng(0)
    data = Examples(
        images=jnp.asarray(rng.integers(0, 256, (8, 4, 4, 1)), jnp.uint8),
        labels=jnp.asarray(rng.integers(0, 3, 8), jnp.int32),
        mean=jnp.array([0.5]),
        std=jnp.array([0.3]),
    )
    network = trace(Net(), (4, 4, 1), 3)
    params = parse_scheme("he_normal")(jax.random.key(1), network)
    hyper = Hyper(jnp.float32(0.1), jnp.int32(1), jnp.int32(1))

    @jax.jit
    def spectra(params):
        member = (init_state(Program(), params, {}), hyper)
        return measure_spectra(network, "canonical", member, data, PLACES)

    found = jax.tree.map(lambda leaf: leaf[None], spectra(params))
    images = data.images[PLACES[1]].astype(jnp.float32) / 255
    # An axis for each of images, rows and columns: JAX adds none in tests.
    mean, std = (part[None, None, None] for part in (data.mean, data.std))
    images = (images - mean) / std

    def logits(params, images):
        return Net().apply({"params": params}, images)

    return eigenvalues(found), logits, params, images, data.labels[PLACES[1]]


def test_the_jacobian_is_that_of_each_image(measured):
    found, logits, params, images, _ = measured
    squares = []
    for image in images:
        jacobian = jax.jacobian(lambda x: logits(params, x[None])[0])(image)
        values = np.linalg.svd(np.asarray(jacobian).reshape(3, -1), compute_uv=False)
        squares.append(values**2)
    wanted = np.sqrt(np.mean(squares, axis=0))
    # Two channels tell images apart in two directions.
    assert wanted[2] < 1e-6 and found["jacobian"][0, 2] == 0
    np.testing.assert_allclose(found["jacobian"][0, :2], wanted[:2], rtol=1e-3)


def test_the_ends_of_the_hessian_are_those_of_the_whole_one(measured):
    found, logits, params, images, labels = measured
    flat, unravel = ravel_pytree(params)

    def loss(flat):
        return cross_entropy(logits(unravel(flat), images), labels).mean()

    whole = np.linalg.eigvalsh(np.asarray(jax.jit(jax.hessian(loss))(flat)))
    ritz = found["hessian"][0]
    assert len(ritz) == 12 and (np.diff(ritz) <= 0).all()
    assert ritz[0] == pytest.approx(whole[-1], rel=0.02)
    assert ritz[-1] == pytest.approx(whole[0], rel=0.05)
    # Ritz values lie within the spectrum.
    assert ritz[0] <= whole[-1] * (1 + 1e-4) and ritz[-1] >= whole[0] * (1 + 1e-4)


def test_a_member_that_begins_with_nan_has_no_spectrum_and_spoils_no_other():
    gram = np.stack([np.diag([4.0, 9.0]), np.full((2, 2), np.nan)])[:, None]
    diagonal = np.array([[1.0, 5.0], [np.inf, 1.0]])
    found = eigenvalues(Spectra(gram, diagonal, np.zeros((2, 2))))
    np.testing.assert_allclose(found["jacobian"], [[3, 2], [np.nan, np.nan]])
    np.testing.assert_allclose(found["hessian"], [[5, 1], [np.nan, np.nan]])


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    study = Study(
        schemes=("he_normal", "zeros"),
        learning_rates=(0.01, 0.1),
        seeds=3,
        depth=1,
        width=2,
        batch_size=4,
        steps=2,
        evaluations=1,
    )
    folder = tmp_path_factory.mktemp("spectra") / "run"
    control = Control(spectra=True)
    run(make_plan(study), folder, "command", control)
    return folder


def test_a_run_measures_each_scheme_and_seed_once(workdir):
    table = store.load_spectra(workdir)
    sizes = table.groupby(["scheme", "seed", "kind"]).size().unstack()
    assert len(sizes) == 6
    assert (sizes["jacobian"] == 10).all() and (sizes["hessian"] == 12).all()
    zero = table[(table["scheme"] == "zeros") & (table["kind"] == "jacobian")]
    assert (zero["value"] == 0).all(), "zeros see no input"
    he = table[(table["scheme"] == "he_normal") & (table["kind"] == "jacobian")]
    assert he.groupby("rank")["value"].max().is_monotonic_decreasing


def test_the_page_shows_them(workdir):
    page = write_report(workdir).read_text()
    assert "Singular values of the Jacobian" in page
    assert "greatest curvature" in page
    assert page.count("Dotted: predicted") == 2


def test_signals_are_predicted_from_the_weights_alone(workdir):
    """He's law through one ReLU convolution and a mean over the map: within a factor of
    two of what is measured in two narrow channels; zeros give nothing."""
    foreseen = store.load_predictions(workdir)
    assert set(foreseen["metric"]) == {"signal", "gradient"}
    assert len(foreseen) == 2 * 2 * 2
    layers = store.load_layers(workdir)
    start = layers[(layers["step"] == 0) & (layers["metric"] == "signal")]
    for scheme, factor in (("he_normal", 3.0), ("zeros", None)):
        own = foreseen[
            (foreseen["scheme"] == scheme) & (foreseen["metric"] == "signal")
        ]
        first = own[own["layer"] == 0]["value"].item()
        measured = start[(start["scheme"] == scheme) & (start["layer"] == 0)]["value"]
        if factor is None:
            assert first == 0 and (measured == 0).all()
        else:
            assert 1 / factor < first / measured.mean() < factor


def test_without_the_flag_there_are_none(tmp_path):
    study = Study(schemes=("zeros",), learning_rates=0.1, seeds=1)
    store.write_manifest(tmp_path, {"study": study.to_dict()})
    assert store.load_spectra(tmp_path).empty
    assert store.load_predictions(tmp_path).empty
