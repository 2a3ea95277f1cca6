"""Rules of the user's own: each sets the parameters that it names, and no others."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import initialize
from init_study.api.initialize import explain
from init_study.errors import UserError

IMAGES = jnp.ones((2, 6, 6, 3))
KEY = jax.random.key(0)
NET = nn.Sequential(
    [nn.Conv(4, (3, 3)), nn.relu, nn.Conv(4, (3, 3)), lambda x: x.mean((1, 2))]
)
NORMED = nn.Sequential([nn.Conv(4, (3, 3)), nn.LayerNorm(), lambda x: x.mean((1, 2))])


class Odd(nn.Module):
    """A kernel that tracing cannot classify: it is used in one case and not another."""

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.normal(1.0), (5, 5))
        maybe = jax.lax.cond(x.sum() > 0, lambda: x @ kernel, lambda: x)
        return nn.Dense(2)(maybe)


def drawn(text, net=NET, images=IMAGES):
    return initialize(net, images, text, KEY)["params"]


def test_a_rule_sets_what_it_names_and_nothing_else():
    plain = drawn("he_normal")
    ruled = drawn("by_rule('layers_2/kernel=zeros', '*bias=constant(0.5)')")
    np.testing.assert_array_equal(ruled["layers_2"]["kernel"], 0)
    np.testing.assert_array_equal(ruled["layers_0"]["bias"], 0.5)
    np.testing.assert_array_equal(
        ruled["layers_0"]["kernel"], plain["layers_0"]["kernel"]
    )


def test_a_kernel_is_drawn_as_the_scheme_would_draw_it():
    """With the layer's own fans and its own key, so that draws stay paired."""
    whole = drawn("xavier_normal")
    ruled = drawn("by_rule('layers_0/kernel=xavier_normal', rest='zeros')")
    np.testing.assert_array_equal(
        ruled["layers_0"]["kernel"], whole["layers_0"]["kernel"]
    )


def test_the_last_rule_that_fits_wins():
    said = explain(NET, IMAGES, "by_rule('*kernel=ones', '*_2/kernel=module')")
    assert said["layers_0/kernel"].startswith("ones; ")
    assert said["layers_2/kernel"].startswith("the module's own; ")


def test_what_no_rule_fits_keeps_the_modules_own_numbers_if_asked():
    images = jnp.ones((2, 5))
    with pytest.raises(UserError, match="kernel"):
        drawn("by_rule('Dense_0/kernel=ones')", Odd(), images)
    kept = drawn("by_rule('Dense_0/kernel=ones', others='module')", Odd(), images)
    np.testing.assert_array_equal(kept["Dense_0"]["kernel"], 1)
    own = drawn("module", Odd(), images)
    np.testing.assert_array_equal(kept["kernel"], own["kernel"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("by_rule('layers_9/kernel=zeros')", "did you mean 'layers_"),
        ("by_rule('zeros')", "write PATH=SCHEME"),
        ("by_rule('a=nothing')", "unknown scheme 'nothing'"),
        ("by_rule('*_1/scale=zero_head')", "zero_head sets no layers_1/scale"),
        ("by_rule(others='drop')", "write refuse or module"),
        ("by_rule('layers_[0/kernel=zeros')", "fits no parameter"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_one_line(text, said):
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        drawn(text, NORMED)
    assert said in str(error.value)


def test_rules_may_be_nested():
    inner = "by_rule(\\'*_0/kernel=ones\\', rest=\\'zeros\\')"
    found = drawn(f"by_rule('*_2/kernel=ones', rest='{inner}')")
    np.testing.assert_array_equal(found["layers_0"]["kernel"], 1)
    np.testing.assert_array_equal(found["layers_2"]["kernel"], 1)
