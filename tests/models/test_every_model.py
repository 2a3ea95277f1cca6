"""What holds of every model of the table, tiny; `TINY` has a row for each."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util
from strict import leniently
from tiny import TINY

from init_study.models import MODELS, build_model
from init_study.network import Arithmetic, trace

SLOW = {"googlenet_torchvision"}
every_model = pytest.mark.parametrize("name", MODELS)


def traced(name):
    arguments, image_shape = TINY[name]
    return trace(build_model(name, 3, arguments), image_shape, 3)


def test_every_model_is_here():
    assert list(TINY) == list(MODELS)


@every_model
def test_it_gives_one_logit_per_class(name):
    network = traced(name)
    head = network.layers[-1]
    assert head.kernel_shape[-1] == 3
    assert not network.unknown


@every_model
def test_it_takes_every_precision(name):
    """None of them has products of its own kind, or inside loops."""
    network = traced(name)
    params = traverse_util.unflatten_dict(network.shapes)
    state = jax.eval_shape(network.model_state, jax.random.key(0))
    images = jax.ShapeDtypeStruct((2, *network.image_shape), jnp.float32)
    of = network._replace(arithmetic=Arithmetic("bfloat16"))
    traced_of = jax.make_jaxpr(partial(of.apply, train=True))
    roundings = str(traced_of(params, state, images)).count("reduce_precision[")
    # Each kernel is a factor, and so is what it multiplies.
    assert roundings >= 2 * len(network.layers)


def differing():
    """The names of models, but for those that tiny are the same as one before.

    Where two of a kind take long to compile, the second is slow.
    """
    seen = {}
    for name, (arguments, image_shape) in TINY.items():
        fields = vars(build_model(name, 3, arguments)).items()
        plain = sorted(str(item) for item in fields if not item[0].startswith("_"))
        seen.setdefault((MODELS[name].__call__, *plain, image_shape), name)
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in seen.values()
    ]


@pytest.mark.parametrize("name", differing())
def test_it_takes_a_step(name):
    network = traced(name)
    variables = network.initialize(jax.random.key(0))
    params, state = variables.pop("params"), variables
    images = jax.random.normal(jax.random.key(1), (2, *network.image_shape))

    @jax.jit
    def step(params, state):
        def loss(params):
            logits, moved = network.apply(
                params, state, images, train=True, key=jax.random.key(2)
            )
            labels = jnp.array([0, 2])
            each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return each.mean(), moved

        (value, moved), slopes = jax.value_and_grad(loss, has_aux=True)(params)
        return value, moved, slopes

    value, moved, slopes = step(params, state)
    assert np.isfinite(value)
    assert jax.tree.structure(moved) == jax.tree.structure(state)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    assert np.abs(jax.tree.leaves(slopes[network.layers[-1].path[0]])[0]).max() > 0


@pytest.mark.parametrize(
    "name", [n for n in MODELS if "dtype" in MODELS[n].__dataclass_fields__]
)
def test_it_computes_in_the_type_that_it_is_given(name):
    arguments, image_shape = TINY[name]
    model = build_model(name, 3, {**arguments, "dtype": jnp.bfloat16})
    images = jnp.zeros((2, *image_shape))

    def outputs(key):
        keys = {"params": key, "dropout": key}
        return model.init_with_output(keys, images, train=True)

    # Flax's norms find the type of their means by promotion.
    follow = jax.make_jaxpr(leniently(outputs), return_shape=True)
    jaxpr, made = follow(jax.random.key(0))
    outputs, variables = made
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    assert logits.dtype == jnp.bfloat16
    kinds = {leaf.dtype.name for leaf in jax.tree.leaves(variables["params"])}
    assert kinds == {"float32"}
    lines = [line for line in str(jaxpr).split("\n") if "conv_general_dilated[" in line]
    assert all(":bf16[" in line for line in lines)
