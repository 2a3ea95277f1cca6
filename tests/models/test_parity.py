"""Against PyTorch and Keras themselves, where they are installed:
pip install -r requirements-bench.txt keras.

Kolmogorov-Smirnov of two samples at one in a thousand; kernels are compared in our
layout.
"""

import os

import jax
import numpy as np
import pytest
from scipy import stats

from init_study import initializers as I
from init_study.network import trace
from init_study.schemes import parse_scheme

SHAPE, GROUPED = (3, 3, 8, 48), (3, 3, 2, 32)


def alike(ours, theirs):
    ours, theirs = np.ravel(ours), np.ravel(theirs)
    assert stats.ks_2samp(ours, theirs).pvalue > 0.001
    error = 4 * np.sqrt(4 / min(ours.size, theirs.size))
    assert abs(ours.var() / theirs.var() - 1) < error


def ours(name, shape, seed=0, **arguments):
    return np.asarray(I.INITIALIZERS[name](**arguments)(jax.random.key(seed), shape))


@pytest.fixture(scope="module")
def torch():
    found = pytest.importorskip("torch")
    found.manual_seed(0)
    return found


def hwio(tensor):
    return tensor.detach().numpy().transpose(2, 3, 1, 0)


@pytest.mark.parametrize(
    ("name", "function", "arguments"),
    [
        ("he_normal", "kaiming_normal_", {}),
        ("he_uniform", "kaiming_uniform_", {}),
        ("he_fan_out", "kaiming_normal_", {"mode": "fan_out"}),
        ("xavier_normal", "xavier_normal_", {}),
        ("xavier_uniform", "xavier_uniform_", {}),
        ("torch_kernel", "kaiming_uniform_", {"a": 5**0.5}),
    ],
)
def test_torchs_laws(torch, name, function, arguments):
    weight = torch.empty(SHAPE[3], SHAPE[2], 3, 3)
    getattr(torch.nn.init, function)(weight, **arguments)
    alike(ours(name, SHAPE), hwio(weight))


@pytest.mark.parametrize("groups", [1, 4])
def test_torchs_default_layer_with_its_bias(torch, groups):
    import flax.linen as nn

    layer = torch.nn.Conv2d(8, 256, 3, groups=groups)
    module = nn.Sequential([nn.Conv(256, (3, 3), feature_group_count=groups)])
    network = trace(module, (6, 6, 8))
    params = parse_scheme("torch")(jax.random.key(0), network)["layers_0"]
    alike(params["kernel"], hwio(layer.weight))
    alike(params["bias"], layer.bias.detach().numpy())


def test_torchs_grouped_fan_out_is_wrong_where_ours_is_right(torch):
    """PyTorch counts the outputs of all groups: its variance is too small by their
    number."""
    weight = torch.empty(GROUPED[3], GROUPED[2], 3, 3)
    torch.nn.init.kaiming_normal_(weight, mode="fan_out")
    right = ours("he_fan_out", GROUPED, groups=4)
    assert right.var() / weight.var().item() == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("groups", [1, 2])
def test_torchs_dirac_is_our_identity(torch, groups):
    weight = torch.empty(8, 6 // groups, 3, 3)
    torch.nn.init.dirac_(weight, groups)
    mine = ours("identity", (3, 3, 6 // groups, 8), groups=groups)
    np.testing.assert_array_equal(mine, hwio(weight))


def test_torchs_orthogonal_has_our_law(torch):
    """By the traces of both matrices, which Haar's law fixes; and both are orthogonal.
    The order in which taps and channels are flattened differs, and changes no law."""
    theirs, mine = [], []
    for seed in range(200):
        weight = torch.empty(6, 6)
        torch.nn.init.orthogonal_(weight)
        theirs.append(weight.trace().item())
        mine.append(np.trace(ours("orthogonal", (6, 6), seed)))
    assert stats.ks_2samp(mine, theirs).pvalue > 0.001
    np.testing.assert_allclose(weight @ weight.T, np.eye(6), atol=1e-5)


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize(
    ("name", "initializer", "arguments"),
    [
        ("he_truncated", "HeNormal", {}),
        ("he_uniform", "HeUniform", {}),
        ("xavier_truncated", "GlorotNormal", {}),
        ("xavier_uniform", "GlorotUniform", {}),
        ("lecun_truncated", "LecunNormal", {}),
        ("lecun_uniform", "LecunUniform", {}),
        ("uniform", "RandomUniform", {}),
    ],
)
def test_keras_laws(keras, name, initializer, arguments):
    made = getattr(keras.initializers, initializer)(seed=1, **arguments)
    alike(ours(name, SHAPE), np.asarray(made(SHAPE)))


def test_keras_default_layer(keras):
    import flax.linen as nn

    layer = keras.layers.Conv2D(256, 3)
    layer.build((None, 6, 6, 8))
    network = trace(nn.Sequential([nn.Conv(256, (3, 3))]), (6, 6, 8))
    params = parse_scheme("keras")(jax.random.key(0), network)["layers_0"]
    alike(params["kernel"], np.asarray(layer.kernel))
    assert (params["bias"] == 0).all() and (np.asarray(layer.bias) == 0).all()


def test_setting_an_initializer_after_building_does_nothing_in_keras(keras):
    """An initializer that is assigned afterwards; `initialize` sets the numbers."""
    layer = keras.layers.Dense(4)
    layer.build((None, 3))
    before = np.asarray(layer.kernel)
    layer.kernel_initializer = keras.initializers.Zeros()
    np.testing.assert_array_equal(np.asarray(layer.kernel), before)
    assert before.any()
