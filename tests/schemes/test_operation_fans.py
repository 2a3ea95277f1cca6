"""Every scheme counts what the operation does: proved through the operation itself.

For a kernel of independent numbers of variance v, the sum over all pairs of a linear
operator's squared weights is v times the number of connections, whatever the operator:
an image of ones through a kernel of ones counts them.
"""

from math import sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from init_study.network import trace
from init_study.schemes import parse_scheme


def key():
    return jax.random.key(0)


def noise(*shape):
    return jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)


# Large maps, so that borders count little: they are left aside here.
OPERATIONS: dict[str, tuple[nn.Module, int]] = {
    "plain": (nn.Conv(32, (3, 3)), 16),
    "stride": (nn.Conv(32, (3, 3), strides=2), 16),
    "point by stride": (nn.Conv(32, (1, 1), strides=2), 16),
    "dilated": (nn.Conv(32, (3, 3), kernel_dilation=2), 16),
    "grouped": (nn.Conv(32, (3, 3), strides=2, feature_group_count=4), 16),
    "depthwise": (nn.Conv(32, (3, 3), feature_group_count=16), 16),
    "up 4 by 2": (nn.ConvTranspose(32, (4, 4), strides=(2, 2)), 16),
    "up 3 by 2": (nn.ConvTranspose(32, (3, 3), strides=(2, 2)), 16),
    "up 2 by 2": (nn.ConvTranspose(32, (2, 2), strides=(2, 2)), 16),
    "up 5 by 3": (nn.ConvTranspose(32, (5, 5), strides=(3, 3)), 16),
    "up, flipped": (
        nn.ConvTranspose(32, (4, 4), strides=(2, 2), transpose_kernel=True),
        16,
    ),
    "up by one": (nn.ConvTranspose(32, (4, 4)), 16),
    "input dilation": (nn.Conv(32, (4, 4), input_dilation=2, padding=2), 16),
    "dense": (nn.Dense(32), 16),
}
every_operation = pytest.mark.parametrize("name", OPERATIONS)


def connections(layer, channels, size=24):
    """Inputs of an output, and outputs of an input, on average inside the border:
    a circle of the whole map would have as many everywhere."""
    ones = jnp.ones((1, size, size, channels))
    variables = jax.tree.map(jnp.ones_like, layer.init(key(), ones))
    variables["params"]["bias"] = jnp.zeros_like(variables["params"]["bias"])
    out, pull = jax.vjp(lambda x: layer.apply(variables, x), ones)
    # Whole periods of any stride here, far from the border.
    (back,) = pull(jnp.ones_like(out))
    middle = slice(6, 18)
    # Every input of the middle, and the outputs that lie over the middle.
    scale = out.shape[1] / size
    low, high = round(6 * scale), round(18 * scale)
    return (
        float(out[:, low:high, low:high].mean()),
        float(back[:, middle, middle].mean()),
    )


def kernel(layer, channels, scheme):
    network = trace(layer, (24, 24, channels))
    return np.asarray(parse_scheme(scheme)(key(), network)["kernel"])


@every_operation
def test_the_fans_are_the_connections(name):
    layer, channels = OPERATIONS[name]
    found = trace(layer, (24, 24, channels)).layers[0]
    np.testing.assert_allclose(found.mean_fans, connections(layer, channels), 1e-6)


@pytest.mark.parametrize(
    "name", ["stride", "grouped", "up 4 by 2", "up 5 by 3", "input dilation"]
)
def test_variances_follow_the_connections(name):
    """Four standard errors of a normal law's variance, √(2 / numbers)."""
    layer, channels = OPERATIONS[name]
    inputs, outputs = connections(layer, channels)
    for scheme, variance in {
        "he_normal": 2 / inputs,
        "he_normal(gain=1.2)": 1.44 * 2 / inputs,
        "lecun_uniform": 1 / inputs,
        "he_fan_out": 2 / outputs,
        "xavier_normal": 2 / (inputs + outputs),
        "variance_scaling(1, fan_geo_avg, normal)": 1 / sqrt(inputs * outputs),
        "gaussian(1.5)": 1.5 / inputs,
        "gain_normal(relu)": 2 / inputs,
        "rademacher": 2 / inputs,
        "mup_output": 1 / inputs**2,
    }.items():
        numbers = kernel(layer, channels, scheme)
        error = 4 * sqrt(2 / numbers.size)
        assert abs((numbers**2).mean() / variance - 1) < error, scheme


def test_known_values():
    """By hand: √(2 / (4 · 16)), and √(2 / 144) where a quarter of 576 is reached."""
    up = nn.ConvTranspose(8, (4, 4), strides=(2, 2))
    assert kernel(up, 16, "he_normal").std() == pytest.approx(0.1768, rel=0.05)
    down = nn.Conv(64, (3, 3), strides=2)
    assert kernel(down, 16, "he_fan_out").std() == pytest.approx(0.1179, rel=0.03)
    assert kernel(down, 3, "xavier_normal").std() == pytest.approx(
        sqrt(2 / (27 + 144)), rel=0.05
    )


@pytest.mark.parametrize(
    "name", ["plain", "stride", "dilated", "up 4 by 2", "up 3 by 2", "up 5 by 3"]
)
def test_he_keeps_the_mean_square_through_the_operation(name):
    """Inputs are ReLUs of noise, of mean square ½, and outputs have 1 again, inside."""
    layer, channels = OPERATIONS[name]
    x = nn.relu(noise(16, 24, 24, channels))
    params = {"kernel": kernel(layer, channels, "he_normal"), "bias": jnp.zeros(32)}
    out: Any = layer.apply({"params": params}, x)
    inside = out[:, 6:-6, 6:-6] if out.shape[1] > 12 else out[:, 1:-1, 1:-1]
    assert float((inside**2).mean()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", ["up 4 by 2", "up 3 by 2", "up 5 by 3", "plain"])
def test_orthogonal_outputs_have_the_mean_square_of_the_inputs(name):
    """On average over the matrix's Haar law, fan_in Var(W) = 1; layers narrow here."""
    layer, channels = OPERATIONS[name]
    narrow = layer.clone(features=8)
    x = noise(16, 24, 24, channels)
    for scheme in ("orthogonal", "scaled_orthogonal"):
        params = {"kernel": kernel(narrow, channels, scheme), "bias": jnp.zeros(8)}
        out: Any = narrow.apply({"params": params}, x)
        assert float((out[:, 6:-6, 6:-6] ** 2).mean()) == pytest.approx(1.0, abs=0.1), (
            scheme
        )


@pytest.mark.parametrize("text", ["fans=nominal", "fans='nominal'"])
def test_nominal_fans_are_the_published_formula(text):
    up, down = OPERATIONS["up 4 by 2"], OPERATIONS["stride"]
    ratio = kernel(*up, f"he_normal({text})") / kernel(*up, "normal(1.0)")
    np.testing.assert_allclose(ratio, sqrt(2 / 256), rtol=1e-6)
    ratio = kernel(*down, f"he_fan_out({text})") / kernel(*down, "normal(1.0)")
    np.testing.assert_allclose(ratio, sqrt(2 / 288), rtol=1e-6)
    # Where the operation is plain both are one, to the bit.
    for scheme in ("he_normal", "xavier_uniform", "orthogonal", "gabor"):
        one = kernel(*OPERATIONS["plain"], scheme)
        np.testing.assert_array_equal(
            one, kernel(*OPERATIONS["plain"], f"{scheme}({text})")
        )


@pytest.mark.parametrize(
    ("scheme", "variance"),
    [
        ("flax", 1 / 256),
        ("keras", 2 / (256 + 512)),
        ("torch", 1 / (3 * 512)),
        ("torch_kernel", 1 / (3 * 256)),
        ("torchvision_vgg", 2 / 512),
        ("timm_efficientnet", 2 / 512),
    ],
)
def test_frameworks_keep_their_published_formula(scheme, variance):
    """Of a transposed convolution 4 by 2: their code counts the kernel's shape."""
    numbers = kernel(*OPERATIONS["up 4 by 2"], scheme)
    error = 4 * sqrt(2 / numbers.size)
    assert (numbers**2).mean() == pytest.approx(variance, rel=error)


def test_a_bare_initializer_sees_the_shape_alone():
    from init_study import initialize
    from init_study.initializers import he_truncated

    layer, channels = OPERATIONS["up 4 by 2"]
    images = jnp.zeros((1, 24, 24, channels))
    bare = initialize(layer, images, he_truncated(), key())["params"]["kernel"]
    theirs = initialize(layer, images, jax.nn.initializers.he_normal(), key())
    np.testing.assert_allclose(bare, theirs["params"]["kernel"], rtol=1e-5)


# Paddings by which some tap leaves the image in place.
TAPS = {
    "same": (nn.Conv(8, (3, 3)), (1, 1)),
    "even": (nn.Conv(8, (4, 4)), (1, 1)),
    "two": (nn.Conv(8, (2, 2)), (0, 0)),
    "late": (nn.Conv(8, (3, 3), padding=((2, 0), (0, 2))), (2, 0)),
    "apart": (nn.Conv(8, (4, 4), padding=((2, 1), (2, 1))), (2, 2)),
    "dilated": (nn.Conv(8, (3, 3), kernel_dilation=2), (1, 1)),
    "circular": (nn.Conv(8, (3, 3), padding="CIRCULAR"), (1, 1)),
    "grouped": (nn.Conv(8, (4, 4), feature_group_count=2), (1, 1)),
    "transposed": (nn.ConvTranspose(8, (4, 4)), (2, 2)),
    "transposed, two": (nn.ConvTranspose(8, (2, 2)), (1, 1)),
    "flipped": (nn.ConvTranspose(8, (4, 4), transpose_kernel=True), (2, 2)),
}


@pytest.mark.parametrize("name", TAPS)
def test_the_neutral_tap_passes_the_image_on(name):
    layer, tap = TAPS[name]
    x = noise(4, 8, 8, 8)
    network = trace(layer, (8, 8, 8))
    assert network.layers[0].tap == tap

    def through(scheme):
        params = parse_scheme(scheme)(key(), network)
        return np.asarray(layer.apply({"params": params}, x))

    for scheme in ("identity", "repeated_identity", "zero_hadamard", "partial_dirac"):
        np.testing.assert_array_equal(through(scheme), x, err_msg=scheme)
    for scheme in ("delta_orthogonal(0.5)", "scaled_delta_orthogonal(0.5)"):
        norms = np.linalg.norm(through(scheme).reshape(4, -1), axis=1)
        expected = np.linalg.norm(np.asarray(x).reshape(4, -1), axis=1) / 2
        np.testing.assert_allclose(norms, expected, rtol=1e-5, err_msg=scheme)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("size", "stride"), [(4, 2), (3, 2), (2, 2), (5, 3)])
def test_a_transposed_stride_puts_the_image_on_its_grid(size, stride, padding):
    """Every pixel once, zeros between: the norm is kept."""
    steps, window = (stride, stride), (size, size)
    layer = nn.ConvTranspose(8, window, strides=steps, padding=padding)
    x = noise(2, 6, 6, 8)
    params = parse_scheme("identity")(key(), trace(layer, (6, 6, 8)))
    out = np.asarray(layer.apply({"params": params}, x))
    np.testing.assert_array_equal(out[:, ::stride, ::stride][:, :6, :6], x)
    assert (out**2).sum() == pytest.approx(float((x**2).sum()), rel=1e-6)


def test_a_causal_convolution_has_its_identity_at_the_end():
    layer = nn.Conv(8, (3,), padding="CAUSAL")
    x = noise(4, 9, 8)
    params = parse_scheme("identity")(key(), trace(layer, (9, 8)))
    np.testing.assert_array_equal(layer.apply({"params": params}, x), x)


def test_without_padding_the_centre_is_taken():
    layer = nn.Conv(8, (5, 3), padding="VALID")
    x = noise(1, 9, 9, 8)
    network = trace(layer, (9, 9, 8))
    out = layer.apply({"params": parse_scheme("identity")(key(), network)}, x)
    np.testing.assert_array_equal(out, x[:, 2:-2, 1:-1])


@pytest.mark.parametrize("name", ["up 4 by 2", "up 5 by 3", "plain"])
def test_sparse_keeps_its_mean_square_through_the_operation(name):
    """15 weights of 2² an output: 60 times the mean square, within 6 deviations."""
    layer, channels = OPERATIONS[name]
    many = layer.clone(features=512)
    x = noise(2, 24, 24, channels)
    params = {"kernel": kernel(many, channels, "sparse(15, 2.0)")}
    params["bias"] = jnp.zeros(512)
    out: Any = many.apply({"params": params}, x)
    assert float((out[:, 6:-6, 6:-6] ** 2).mean()) == pytest.approx(60, rel=0.1)


@pytest.mark.parametrize("name", ["up 4 by 2", "up 5 by 3", "plain"])
def test_looks_linear_has_the_mean_square_of_what_is_mirrored(name):
    """[h, −h] through [[W, −W], [−W, W]] is 2 W h: 4 times the mean square of h."""
    layer, channels = OPERATIONS[name]
    narrow = layer.clone(features=8)
    h = noise(16, 24, 24, channels // 2)
    x = jnp.concatenate([h, -h], -1)
    params = {"kernel": kernel(narrow, channels, "looks_linear"), "bias": jnp.zeros(8)}
    out: Any = narrow.apply({"params": params}, x)
    assert float((out[:, 6:-6, 6:-6] ** 2).mean()) == pytest.approx(4.0, rel=0.1)
