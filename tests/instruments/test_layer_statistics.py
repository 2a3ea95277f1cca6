"""What is measured in every layer is what a plain computation gives."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import store
from init_study.control import Control
from init_study.data.feeds import Examples
from init_study.diagnosis.layer_table import inspect_scheme
from init_study.instruments.layer_statistics import measure_layers
from init_study.instruments.symmetry import distinct_filters
from init_study.models import build_model
from init_study.network import trace
from init_study.plan import make_plan
from init_study.report import write_report
from init_study.run import run
from init_study.schemes import Batch, parse_scheme
from init_study.study import Program, Study
from init_study.train import Hyper, init_state

BATCH, PROGRAM = 6, Program()


class Net(nn.Module):
    num_classes: int = 3

    @nn.compact
    def __call__(self, images, train=False):
        x = nn.relu(nn.Conv(4, (3, 3))(images))
        x = jnp.tanh(nn.Conv(5, (3, 3))(x))
        return nn.Dense(self.num_classes)(x.mean((1, 2)))


@pytest.fixture(scope="module")
def network():
    return trace(Net(), (6, 6, 2), 3)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return Examples(
        images=jnp.asarray(rng.integers(0, 256, (20, 6, 6, 2)), jnp.uint8),
        labels=jnp.asarray(rng.integers(0, 3, 20), jnp.int32),
        mean=jnp.array([0.5, 0.4]),
        std=jnp.array([0.3, 0.2]),
    )


PLACES = jnp.array([[0, 1, 2, 3, 4, 5], [7, 8, 9, 10, 11, 12]])


@pytest.fixture(scope="module")
def measure(network, data):
    """Of the second seed's batch, compiled once."""

    @jax.jit
    def numbers(params):
        state = init_state(PROGRAM, params, {})
        hyper = Hyper(jnp.float32(0.1), jnp.int32(1), jnp.int32(1))
        return measure_layers(network, "xla", (state, hyper), data, PLACES)

    return lambda params: jax.tree.map(np.asarray, numbers(params))


def drawn(network, scheme):
    return parse_scheme(scheme)(jax.random.key(3), network)


def test_signals_and_gradients_are_those_of_a_plain_computation(network, data, measure):
    params = drawn(network, "he_normal")
    found = measure(params)
    images = data.images[PLACES[1]].astype(jnp.float32) / 255
    # An axis for each of images, rows and columns: JAX adds none in tests.
    mean, std = (part[None, None, None] for part in (data.mean, data.std))
    images, labels = (images - mean) / std, data.labels[PLACES[1]]

    def conv(x, p, shift):
        y = jax.lax.conv_general_dilated(
            x, p["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y + p["bias"][None, None, None] + shift

    def losses(params, shifts):
        first = conv(images, params["Conv_0"], shifts[0])
        second = conv(nn.relu(first), params["Conv_1"], shifts[1])
        pooled = jnp.tanh(second).mean((1, 2))
        logits = pooled @ params["Dense_0"]["kernel"]
        logits += params["Dense_0"]["bias"][None] + shifts[2]
        each = -jnp.take_along_axis(nn.log_softmax(logits), labels[:, None], 1)[:, 0]
        return each.sum(), (each, (first, second, logits))

    shifts = [jnp.zeros((BATCH, 6, 6, 4)), jnp.zeros((BATCH, 6, 6, 5))]
    shifts.append(jnp.zeros((BATCH, 3)))
    (slopes, at), (_, outputs) = jax.grad(losses, (0, 1), has_aux=True)(params, shifts)
    names = ("Conv_0", "Conv_1", "Dense_0")
    by_kernel = [slopes[name]["kernel"] / BATCH for name in names]
    wanted = {
        "weight_square": [params[name]["kernel"] for name in names],
        "signal": outputs,
        "gradient": at,
        "weight_gradient": by_kernel,
    }
    for metric, arrays in wanted.items():
        squares = [float(jnp.mean(a**2)) for a in arrays]
        np.testing.assert_allclose(found[metric], squares, rtol=1e-4, err_msg=metric)
    spreads = [float(jnp.var(a, axis=0).mean()) for a in outputs]
    np.testing.assert_allclose(found["spread"], spreads, rtol=1e-4)
    first, second, _ = outputs
    flat = [jnp.mean(first <= 0), jnp.mean(1 - jnp.tanh(second) ** 2 < 0.05), 0.0]
    np.testing.assert_allclose(found["flat"], [float(f) for f in flat], atol=1e-6)


def test_a_net_of_zeros_tells_its_filters_apart_nowhere(network, measure):
    found = measure(drawn(network, "zeros"))
    np.testing.assert_allclose(found["distinct"], [1 / 4, 1 / 5, 1 / 3])
    assert (found["zero_weights"] == 1).all() and (found["spread"] == 0).all()
    assert (found["weight_gradient"] == 0).all()
    np.testing.assert_array_equal(found["dead"], [1.0, 0.0, 0.0])


def test_random_filters_all_differ(network, measure):
    found = measure(drawn(network, "he_normal"))
    assert (found["distinct"] == 1).all() and (found["zero_weights"] == 0).all()


def test_a_unit_is_dead_if_it_is_flat_on_all_images(network, measure):
    params = drawn(network, "he_normal")
    first = params["Conv_0"]
    bias = jnp.array([-1e3, 0.0, 1e3, -1e3])
    found = measure({**params, "Conv_0": {**first, "bias": bias}})
    assert found["dead"][0] == pytest.approx(0.5)
    assert 0.5 < found["flat"][0] < 0.75


def test_copies_are_counted_by_their_bits():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 6)).astype(np.float32)
    assert distinct_filters(jnp.asarray(kernel)) == 1
    kernel[..., 4] = kernel[..., 1]
    kernel[..., 5] = kernel[..., 0]
    assert distinct_filters(jnp.asarray(kernel)) == pytest.approx(4 / 6)
    kernel[0, 0, 0, 4] = np.nextafter(kernel[0, 0, 0, 1], np.float32(9))
    assert distinct_filters(jnp.asarray(kernel)) == pytest.approx(5 / 6)
    signs = jnp.array([[1.0, -1.0, 0.0, -0.0]])
    assert distinct_filters(signs) == pytest.approx(3 / 4)


def test_a_permuted_filter_is_another_one():
    column = jnp.arange(1.0, 9.0)
    assert distinct_filters(jnp.stack([column, column[::-1]], 1)) == 1


def test_a_run_measures_before_the_first_step_and_after_the_last(tmp_path):
    study = Study(
        schemes=("he_normal", "zeros"),
        learning_rates=(0.01, 0.1),
        seeds=2,
        depth=1,
        width=2,
        batch_size=4,
        steps=3,
        evaluations=3,
    )
    run(make_plan(study), tmp_path / "run", "command", Control())
    table = store.load_layers(tmp_path / "run")
    assert set(table["step"]) == {0, 3}
    assert list(table["name"].unique()) == ["Conv_0", "Dense_0"]
    assert (table.groupby(["step", "metric"]).size() == 8 * 2).all()
    start = table[table["step"] == 0].pivot_table(
        index=["scheme", "seed", "layer", "metric"],
        columns="learning_rate",
        values="value",
        dropna=False,
    )
    # Before the first step a member is the same at every rate.
    np.testing.assert_array_equal(start[0.01], start[0.1])
    zero = table[(table["scheme"] == "zeros") & (table["metric"] == "zero_weights")]
    assert (zero["value"] == 1).all()


def test_a_run_without_such_numbers_has_an_empty_table(tmp_path):
    study = Study(schemes=("zeros",), learning_rates=0.1, seeds=1)
    store.write_manifest(tmp_path, {"study": study.to_dict()})
    table = store.load_layers(tmp_path)
    assert table.empty and {"layer", "metric", "value", "scheme"} <= set(table.columns)


OWN = {
    "dropout": (
        "class Net(nn.Module):\n"
        "    num_classes: int\n"
        "    @nn.compact\n"
        "    def __call__(self, x, train: bool = False):\n"
        "        x = nn.relu(nn.Conv(4, (3, 3))(x))\n"
        "        x = nn.Dropout(0.5, deterministic=not train)(x)\n"
        "        return nn.Dense(self.num_classes)(x.mean((1, 2)))\n"
    ),
    "loop": (
        "class Cell(nn.Module):\n"
        "    @nn.compact\n"
        "    def __call__(self, x, _):\n"
        "        return nn.relu(nn.Dense(64)(x)), None\n"
        "class Net(nn.Module):\n"
        "    num_classes: int\n"
        "    @nn.compact\n"
        "    def __call__(self, x):\n"
        "        scan = nn.scan(Cell, variable_axes={'params': 0},\n"
        "                       split_rngs={'params': True}, length=2)\n"
        "        x, _ = scan()(x.reshape(len(x), -1), None)\n"
        "        return x[:, : self.num_classes]\n"
    ),
    "hidden": (
        "import jax\n"
        "class Net(nn.Module):\n"
        "    num_classes: int\n"
        "    @nn.compact\n"
        "    def __call__(self, x):\n"
        "        x = x.reshape(len(x), -1)[:, : self.num_classes]\n"
        "        shape = (self.num_classes, self.num_classes)\n"
        "        w = self.param('w', nn.initializers.lecun_normal(), shape)\n"
        "        return jax.lax.cond(x.sum() > 0, lambda: x @ w, lambda: x)\n"
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "dropout"))
        for name in OWN
    ],
)
def test_nets_of_anybody_are_measured_or_left_out(tmp_path, monkeypatch, name):
    """Dropout needs a key; a branch hides its layers: neither may stop a run."""
    text = f"import flax.linen as nn\n{OWN[name]}"
    (tmp_path / f"own_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    study = Study(
        schemes=("module",),
        learning_rates=0.1,
        seeds=2,
        model=f"own_{name}:Net",
        batch_size=4,
        steps=2,
        evaluations=1,
    )
    control = Control(spectra=True)
    run(make_plan(study), tmp_path / "run", "command", control)
    layers = store.load_layers(tmp_path / "run")
    assert layers.empty == (name == "hidden")
    assert len(store.load_spectra(tmp_path / "run"))
    assert write_report(tmp_path / "run").exists()


@pytest.mark.slow
def test_a_net_with_dropout_is_shown(tmp_path, monkeypatch):
    (tmp_path / "own_shown.py").write_text(f"import flax.linen as nn\n{OWN['dropout']}")
    monkeypatch.syspath_prepend(tmp_path)
    network = trace(build_model("own_shown:Net", 3, {}), (6, 6, 2), 3)
    batch = Batch(jax.random.normal(jax.random.key(5), (4, 6, 6, 2)))
    first, last = inspect_scheme(parse_scheme("he_normal"), network, batch)
    assert first["signal"] > 0 and last["predicted_signal"] > 0
