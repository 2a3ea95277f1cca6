"""Any function keeps its meaning when its convolutions and pooling are replaced."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from init_study.conv import fast_in_loops, lowering


class Mixed(nn.Module):
    """One of everything that Flax makes of convolutions and pooling."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.Conv(6, (3, 3), padding="CIRCULAR")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        x = nn.remat(nn.Conv)(6, (3, 3), feature_group_count=6)(x)
        x = nn.ConvTranspose(4, (3, 3), strides=(2, 2))(x)
        x = nn.avg_pool(x, (2, 2), (2, 2))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(3)(nn.gelu(x).mean((1, 2)))


@pytest.fixture(scope="module")
def mixed():
    module = Mixed()
    images = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    variables = module.init(keys, images)

    def loss(params, key):
        logits, state = module.apply(
            {"params": params, "batch_stats": variables["batch_stats"]},
            images,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        return jnp.sum(logits**2), state

    return loss, variables["params"]


def close(mine, theirs, tolerance=1e-4):
    scale = max(np.abs(leaf).max() for leaf in jax.tree.leaves(theirs))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=tolerance * scale),
        mine,
        theirs,
    )


def test_gradients_of_a_flax_module_are_its_own(mixed):
    loss, params = mixed
    gradients = [
        jax.jit(jax.grad(function, has_aux=True))(params, jax.random.key(2))
        for function in (loss, fast_in_loops(loss))
    ]
    close(*gradients)


def test_no_convolution_in_a_slow_layout_is_left(mixed):
    loss, params = mixed
    fast = jax.grad(fast_in_loops(loss), has_aux=True)
    plain = jax.grad(loss, has_aux=True)

    def slow(function):
        jaxpr = jax.make_jaxpr(function)(params, jax.random.key(2))
        return [
            str(eqn.params.get("dimension_numbers", eqn.primitive))
            for eqn in equations(jaxpr.jaxpr)
            if is_slow(eqn)
        ]

    assert slow(fast) == [] and slow(plain) != []


def equations(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.extend.core.jaxprs_in_params(eqn.params):
            yield from equations(getattr(inner, "jaxpr", inner))


def is_slow(eqn):
    if eqn.primitive.name == "conv_general_dilated":
        numbers = eqn.params["dimension_numbers"]
        specs = (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)
        grouped = eqn.params["feature_group_count"] * eqn.params["batch_group_count"]
        return specs != ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)) or grouped > 1
    return eqn.primitive.name.startswith("select_and_")


def in_a_scan(images):
    def body(x, _):
        kernel = jnp.ones((3, 3, 2, 2))
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=layout
        ), None

    return lax.scan(body, images, None, length=2)[0]


def one_dimensional(images):
    return lax.conv_general_dilated(
        images[:, 0],
        jnp.ones((3, 2, 4)),
        (1,),
        "SAME",
        dimension_numbers=("NWC", "WIO", "NWC"),
    )


def channels_first(images):
    return lax.conv(images, jnp.ones((2, 4, 3, 3)), (1, 1), "SAME")


def precise(images):
    return lax.conv_general_dilated(
        images,
        jnp.ones((3, 3, 2, 2)),
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )


@pytest.mark.parametrize(
    "function", [in_a_scan, one_dimensional, channels_first, precise]
)
def test_what_it_does_not_know_is_left_to_xla_and_said_once(function, caplog):
    lowering._log_once.cache_clear()
    images = np.random.default_rng(0).standard_normal((2, 4, 4, 2)).astype(np.float32)
    for _ in range(2):
        out = fast_in_loops(function, "winograd")(images)
        np.testing.assert_array_equal(out, function(images))
    assert len(caplog.records) == 1
    assert "a convolution of (2," in caplog.text and "left to XLA" in caplog.text


def test_derivatives_of_the_users_own_are_kept():
    @jax.custom_vjp
    def doubled(x):
        return 2 * x

    doubled.defvjp(lambda x: (2 * x, None), lambda _, g: (100 * g,))

    def function(tree, key):
        noise = jax.random.normal(key, tree["x"].shape)
        return jnp.sum(doubled(nn.relu(tree["x"])) * noise), {"noise": noise}

    tree, lowered = {"x": jnp.array([-1.0, 0.0, 1.0])}, fast_in_loops(function)
    value, aux = lowered(tree, jax.random.key(0))
    gradient, _ = jax.grad(lowered, has_aux=True)(tree, jax.random.key(0))
    assert value == function(tree, jax.random.key(0))[0]
    np.testing.assert_allclose(gradient["x"], [0, 0, 100 * aux["noise"][2]], rtol=1e-6)


def test_xlas_form_is_the_function_itself():
    assert fast_in_loops(in_a_scan, "xla") is in_a_scan
