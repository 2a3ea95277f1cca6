"""Numbers that are not finite, or hardly."""

import jax.numpy as jnp
from diagnosis.small_nets import HALF, Chain
from diagnosis.twins import IMAGES, found, places

OF_NUMBERS = {
    "images-not-finite",
    "parameters-not-finite",
    "signal-not-finite",
    "nearly-overflows",
    "gradient-underflows",
}
NET = Chain(depth=2)


def test_a_pixel_that_is_no_number_is_found_and_what_follows_is_not_said_again():
    bad = found(NET, images=IMAGES.at[2, 1, 1, 0].set(jnp.nan))
    assert "1 of 576" in bad["images-not-finite"][0].evidence
    assert OF_NUMBERS & set(bad) == {"images-not-finite"}
    assert not OF_NUMBERS & set(found(NET))


def test_a_parameter_that_is_no_number_is_found():
    bad = found(NET.clone(bias=jnp.inf), "module")
    assert places(bad["parameters-not-finite"]) == ["Dense_0/bias"]
    assert OF_NUMBERS & set(bad) == {"parameters-not-finite"}


def test_the_first_layer_that_overflows_is_named():
    assert places(found(NET, "normal(1e15)")["signal-not-finite"]) == ["Dense_1"]


def test_float16_is_nearly_full_where_float32_is_not():
    assert "float16" in found(HALF, "normal(22.0)")["nearly-overflows"][0].evidence
    wide = HALF.clone(dtype=jnp.float32)
    assert not OF_NUMBERS & set(found(wide, "normal(22.0)"))


def test_small_gradients_are_lost_in_float16_alone():
    assert places(found(HALF, "normal(3e-6)")["gradient-underflows"]) == ["Dense_0"]
    assert not OF_NUMBERS & set(found(HALF.clone(dtype=jnp.float32), "normal(3e-6)"))
    assert not OF_NUMBERS & set(found(HALF))
