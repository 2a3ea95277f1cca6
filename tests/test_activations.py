"""Every activation of the table is what its name says, and a user's own is found."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf, expit, ndtr

from init_study.activations import ACTIVATIONS, find_activation
from init_study.errors import UserError
from init_study.models import build_model
from init_study.network import trace

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softplus(x):
    return np.logaddexp(x, 0)


# From the papers, by hand.
DEFINITIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "relu6": lambda x: np.clip(x, 0, 6),
    "elu": elu,
    "selu": lambda x: SELU_SCALE * elu(x, SELU_ALPHA),
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "gelu_exact": lambda x: x * ndtr(x),
    "silu": lambda x: x * expit(x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "sigmoid": expit,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "erf": erf,
    "sin": np.sin,
    "abs": np.abs,
    "linear": lambda x: x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_its_definition_and_keeps_the_dtype(name):
    x = np.concatenate([np.linspace(-8, 8, 201), [-6.0, -3.0, -1.0, 1.0, 3.0, 6.0]])
    phi = find_activation(name)
    got = phi(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(got, DEFINITIONS[name](x), rtol=2e-5, atol=2e-6)
    for dtype in (jnp.float16, jnp.bfloat16):
        assert phi(jnp.ones((2, 3), dtype)).dtype == dtype


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_activation.py").write_text(
        "import jax.numpy as jnp\n"
        "number = 3\n"
        "class Layer: pass\n"
        "def bent(x):\n"
        "    return jnp.where(x > 0.3, x, 0.1 * x)\n"
    )
    (tmp_path / "broken_activation.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_activation", None)


def test_a_users_own_function_is_found_and_works_in_models(own_module):
    x = jnp.array([-1.0, 0.2, 0.4])
    own = find_activation("own_activation:bent")
    np.testing.assert_allclose(own(x), [-0.1, 0.02, 0.4], rtol=1e-6)
    for model in ("cnn", "lenet"):
        arguments = {"activation": "own_activation:bent"}
        assert trace(build_model(model, 3, arguments), (16, 16, 1), 3).layers


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rely", "Did you mean 'relu'"),
        ("", "unknown activation ''"),
        ("own_activation:bend", "has no function 'bend'"),
        ("own_activation:number", "is not a function, but of type 'int'"),
        ("own_activation:Layer", "is not a function, but of type 'type'"),
        ("broken_activation:f", "does not import: ZeroDivisionError"),
        ("no_such_file:f", "does not import"),
        (":f", "does not import"),
    ],
)
def test_what_cannot_be_is_said(own_module, name, words):
    with pytest.raises(UserError, match=words):
        find_activation(name)
