"""What `launch.py show` says is what a run would draw, and what it does."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from calling import launch

from init_study.activations import ACTIVATIONS, name_activation
from init_study.cli.words.show import scheme_text
from init_study.diagnosis.layer_table import inspect_scheme, layer_columns
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme
from init_study.schemes.scheme import leaf_of
from init_study.train import stream

BATCH = Batch(jax.random.normal(jax.random.key(5), (32, 6, 6, 4)), jnp.arange(32) % 3)


class Net(nn.Module):
    """A strided convolution with a norm, a grouped one, and a head."""

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Conv(8, (3, 3), strides=2, padding="VALID")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.tanh(nn.Conv(8, (3, 3), feature_group_count=2)(x))
        return nn.Dense(3)(x.mean((1, 2)))


@pytest.fixture(scope="module")
def network():
    return trace(Net(), (6, 6, 4), 3)


@pytest.fixture(scope="module")
def rows(network):
    return inspect_scheme(parse_scheme("he_normal"), network, BATCH)


def test_the_numbers_are_those_that_a_run_draws(network, rows):
    params = parse_scheme("he_normal")(stream(0, "init"), network)
    for layer, row in zip(network.layers, rows, strict=True):
        kernel = np.asarray(leaf_of(params, layer.kernel), np.float64)
        assert row["std"] == pytest.approx(kernel.std())
        assert row["min"] == pytest.approx(kernel.min())
        assert row["asked_std"] == pytest.approx((2 / row["fan_in"]) ** 0.5, rel=0.1)
        assert abs(row["asked_mean"]) < 0.03


def test_layers_are_described(rows):
    first, grouped = rows[:2]
    assert (first["fan_in"], first["fan_out"]) == (36, 72)
    assert (grouped["fan_in"], grouped["groups"]) == (36, 2)
    assert [row["activation"] for row in rows] == ["relu", "tanh", "linear"]
    assert [row["normalized"] for row in rows] == [True, False, False]
    assert {row["rule"] for row in rows} == {"he_normal"}


def test_gains_stand_beside_what_was_predicted(rows):
    """He's law gives 2 without padding, and a stride of 2 a quarter backwards of what
    the fans say."""
    first = rows[0]
    assert first["predicted_forward"] == pytest.approx(2, rel=0.1)
    # 2 x 2 outputs of 6 x 6 inputs, each with 9 taps.
    assert first["predicted_backward"] == pytest.approx(2 * 2 * 4 / 36, rel=0.1)
    for row in rows:
        assert row["forward"] == pytest.approx(row["predicted_forward"], rel=0.35)
        assert row["backward"] == pytest.approx(row["predicted_backward"], rel=0.35)
        assert row["signal"] > 0 and row["gradient"] > 0
        assert row["predicted_signal"] == pytest.approx(row["signal"], rel=0.6)
        assert row["predicted_gradient"] == pytest.approx(row["gradient"], rel=0.4)


def test_zeros_have_no_signal_and_no_gradient(network):
    rows = inspect_scheme(parse_scheme("zeros"), network, BATCH)
    assert all(row["signal"] == row["forward"] == row["asked_std"] == 0 for row in rows)
    assert rows[0]["gradient"] == 0
    assert layer_columns(rows)[0]["std"] == "0 (0)"


@pytest.mark.slow
def test_what_overflows_is_said(network):
    rows = inspect_scheme(parse_scheme("normal(1e30)"), network, BATCH)
    assert rows[1]["signal"] is None
    assert layer_columns(rows)[1]["signal"].startswith("– (")
    json.dumps(rows, allow_nan=False)


def test_every_activation_is_named():
    for name, function in ACTIVATIONS.items():
        assert name_activation(function) == name
    assert name_activation(lambda x: jnp.maximum(x - 0.5, 0)) == "its own"


@pytest.mark.slow
def test_show_prints_a_table(tmp_path):
    args = "show --scheme=xavier_uniform --study.depth=1 --study.width=2".split()
    code, out, _ = launch(*args, cwd=tmp_path)
    assert code == 0
    assert "xavier_uniform on" in out and "Conv_0" in out and "signal" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_show_as_one_document(tmp_path):
    args = "show --scheme=xavier_uniform --study.depth=1 --study.width=2".split()
    code, out, _ = launch(*args, "--json", cwd=tmp_path)
    (shown,) = json.loads(out)
    assert code == 0 and shown["passes"] == {"forward": 0, "backward": 0}
    assert shown["layers"][0]["fan_in"] == 9
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("--scheme=he_norml", "Did you mean 'he_normal'"),
        ("--model=cn", "Did you mean 'cnn'"),
        ("--scheme=zero_gamma --model=cnn", "no residual branch"),
    ],
)
def test_what_cannot_be_shown_is_one_line(args, words, tmp_path):
    code, out, err = launch("show", *args.split(), cwd=tmp_path)
    assert code == 64 and out == "" and words in err and err.count("\n") == 1


class OnTheirWay(nn.Module):
    """Kernels that are divided by their norm, or multiplied, before they are used."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.WeightNorm(nn.Conv(8, (3, 3), padding="VALID"))(x))
        kernel = self.param("kernel", nn.initializers.normal(), (8, 8))
        x = jnp.tanh(x @ (kernel * 3.0))
        mixed = self.param("mixed", nn.initializers.normal(), (8, 3))
        return (x @ jnp.abs(mixed)).mean((1, 2))


def test_predictions_are_of_the_weights_that_meet_the_images():
    """Each output's kernel of norm 1 gives 36 · 1/36; a factor of 3 gives 9 times."""
    network = trace(OnTheirWay(), (6, 6, 4), 3)
    rows = inspect_scheme(parse_scheme("module"), network, BATCH)
    first, second = rows[:2]
    assert first["predicted_forward"] == pytest.approx(1, rel=1e-3)
    assert second["predicted_forward"] == pytest.approx(
        9 * 8 * second["asked_std"] ** 2, rel=0.05
    )
    for row in rows[:2]:
        assert row["forward"] == pytest.approx(row["predicted_forward"], rel=0.4)


def test_what_is_unusual_or_not_recognized_is_named():
    network = trace(OnTheirWay(), (6, 6, 4), 3)
    rows = inspect_scheme(parse_scheme("module"), network, BATCH)
    text = scheme_text(
        [
            {
                "scheme": "module",
                "program": "its net",
                "parameters": network.num_parameters,
                "passes": {"forward": 0, "backward": 0},
                "not_recognized": sorted(map("/".join, network.unknown)),
                "read_no_images": ["time/kernel"],
                "layers": rows,
            }
        ]
    )
    assert "its scale has no effect" in text and "kernel: times 3 on its way." in text
    assert "mixed: not recognized." in text
    assert "time/kernel: not recognized. It reads no images" in text
    assert "36 in, 72 out" in text and "  then" in text and "branch" not in text
