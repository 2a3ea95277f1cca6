"""A text means a scheme, or is one line that says why not."""

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util
from hypothesis import example, given, settings
from hypothesis import strategies as st

from init_study.errors import UserError
from init_study.network import trace
from init_study.schemes import SCHEMES, parse_scheme

SMALL = trace(nn.Dense(4), (2, 2, 2))


def draw(scheme, network, key):
    return traverse_util.flatten_dict(scheme(key, network), sep="/")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("glorot_normal", "xavier_normal"),
        ("glorot_uniform", "xavier_uniform"),
        (" he_normal ", "he_normal()"),
        ("normal", "normal(stddev=0.02)"),
        ("variance_scaling", "variance_scaling(1.0, 'fan_in', 'truncated_normal')"),
        ("he_uniform(0)", "variance_scaling(2.0, 'fan_in', 'uniform')"),
        ("flax", "variance_scaling"),
    ],
)
def test_texts_that_mean_the_same(text, same):
    one, other = (draw(parse_scheme(t), SMALL, jax.random.key(0)) for t in (text, same))
    for path, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[path])


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("he_norml", "'he_norml'. Did you mean 'he_normal'.*launch.py list"),
        ("glorot_norml", "Did you mean 'glorot_normal'"),
        ("normal(-1)", "stddev=-1 is not a finite number of at least 0"),
        ("normal('wide')", "stddev='wide' is not a finite number"),
        ("normal(1e999)", "stddev=inf"),
        ("constant(1j)", "value=1j is not a finite number"),
        ("constant([1])", "value="),
        ("constant(1" + "0" * 400 + ")", "value=10"),
        ("he_normal('x')", "negative_slope='x'"),
        ("normal(1, 2)", r"it is called as normal\(stddev: float = 0.02\)$"),
        ("normal(sigma=1)", r"'sigma'; it is called as normal\(stddev"),
        (
            "he_normal(groups=2)",
            r"called as he_normal\(negative_slope: float = 0.0, gain: float = 1.0, \*, "
            r"fans: str = 'operation'\)$",
        ),
        ("he_normal(0.0, 1.0, 2)", r"called as he_normal\("),
        ("he_normal(in_axis=0)", r"called as he_normal\("),
        ("he_normal(gain=-1)", "gain=-1 is not a finite number of at least 0"),
        ("he_normal(-2)", "negative_slope=-2 looks like an axis; write in_axis=-2"),
        ("he_normal(fans=nominl)", "unknown fans 'nominl'. Did you mean 'nominal'"),
        ("he_normal(fans=(1, 2))", "All of them: operation, nominal"),
        ("zeros(3)", r"called as zeros\(\)$"),
        ("mup(0)", "base=0 is not a positive whole number"),
        ("flax(3)", r"called as flax\(\)$"),
        ("variance_scaling(1, 'fan_inn')", "Did you mean 'fan_in'"),
        ("variance_scaling(1, [])", r"called as variance_scaling\("),
        ("variance_scaling(1, 'fan_in', 3)", r"called as variance_scaling\("),
        ("normal(stddev=1, stddev=2)", "cannot be read"),
        ("normal(*[1])", "cannot be read"),
        ("normal({[]: 1})", "cannot be read"),
        ("normal(", "cannot be read"),
        ("normal(0.02).x", "cannot be read"),
        ("normal\n(0.02); zeros", "cannot be read; write a name as 'he_normal'"),
        ("normal(" + "-" * 20_000 + "1)", "cannot be read"),
        ("normal\0", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_scheme_is_said_in_a_line(text, words):
    with pytest.raises(UserError, match=words) as error:
        parse_scheme(text)
    assert "\n" not in str(error.value)


def test_nothing_in_a_text_is_executed(tmp_path):
    file = tmp_path / "made"
    for form in ("{}", "normal({})", "normal(stddev={})", "normal(*{})"):
        with pytest.raises(UserError):
            parse_scheme(form.format(f"open({str(file)!r}, 'w')"))
    assert not file.exists()


@pytest.mark.wrong_types
@given(
    st.one_of(
        st.text(),
        st.builds(
            "{}({})".format, st.sampled_from(list(SCHEMES)), st.text(max_size=20)
        ),
        st.builds(
            "{}({!r})".format,
            st.sampled_from(list(SCHEMES)),
            st.one_of(st.integers(), st.floats(), st.text(), st.lists(st.none())),
        ),
    )
)
@example("he_normal(1" + "0" * 200 + ")")
@example("normal(None)")
@settings(deadline=None, derandomize=True, database=None)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_any_text_is_a_scheme_or_one_line(text):
    try:
        assert callable(parse_scheme(text))
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("scheme", ["identity", "delta_orthogonal", "orthogonal"])
def test_isometries_undo_what_multiplies_a_kernel(scheme):
    """A kernel that is multiplied on its way keeps norms when it arrives."""

    class Equalized(nn.Module):
        @nn.compact
        def __call__(self, x):
            kernel = self.param("kernel", nn.initializers.normal(), (3, 3, 4, 4))
            form = ("NHWC", "HWIO", "NHWC")
            x = jax.lax.conv_general_dilated(
                x, kernel * 0.25, (1, 1), "SAME", dimension_numbers=form
            )
            return x.mean((1, 2))

    network = trace(Equalized(), (4, 4, 4), 4)
    kernel = parse_scheme(scheme)(jax.random.key(0), network)["kernel"] * 0.25
    seen = kernel[1, 1] if scheme != "orthogonal" else kernel.reshape(36, 4)
    np.testing.assert_allclose(seen.T @ seen, np.eye(4), atol=1e-5)
