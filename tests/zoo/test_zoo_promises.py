"""Every scheme that takes a net of the zoo keeps its promise, as operations measure it.

Or it says in one line why it does not take it, and that is for a reason.
"""

from math import inf, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo.measures import (
    apply_at,
    compute,
    computed,
    convolves,
    drawn,
    forward_of,
    meter,
    squares_of,
    unlike_zero,
)
from zoo.table import ZOO, backward_fans, network, outputs_of, pieces

from init_study.errors import UserError

RESIDUAL = [name for name, net in ZOO.items() if net.branches]
# Of the smallest kernels, of a dozen numbers, the mean square is known to within 2 %.
DRAWS = 400


# What is not slow: one net of each kind in which laws or branches have gone wrong.
QUICK = {
    *("se_resnet", "three_paths", "film", "convmixer", "convnext", "scanned_vit"),
    *("unet", "decoder", "equalized", "packed_by_split", "experts", "mobilenet"),
}


def all_of(names):
    return [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in names
    ]


@pytest.fixture(scope="session", params=all_of(ZOO))
def name(request):
    return request.param


@pytest.fixture(scope="session", params=all_of(RESIDUAL))
def residual(request):
    return request.param


def may_refuse(name, scheme):
    """Whether the docs say that the scheme refuses such a net, or truth does."""
    net, word = ZOO[name], scheme.partition("(")[0]
    rows = {row.name: row for row in net.layers}
    ends = [
        rows[end]
        for branch in net.branches
        for end in branch.ends.split("|")[0].split()
    ]
    on = [
        rows[n] for branch in net.branches for n in branch.layers.split("|")[0].split()
    ]
    reasons = {
        "zero_gamma": not all(branch.scales for branch in net.branches),
        "zero_branch": any(row.free for row in ends),
        "depth_scaled": any(row.free or "norm" in row.then for row in ends),
        "fixup": any(row.free or "norm" in row.then for row in on),
        "lsuv": any(row.free for row in net.layers),
    }
    return word in net.refuses or reasons.get(word, False)


def parameters(name, scheme, branches="plain"):
    """What the scheme gives, or None where it may refuse and does so in one line."""
    try:
        return drawn(name, scheme, branches)
    except UserError as error:
        assert may_refuse(name, scheme), error
        assert "\n" not in str(error)
        pytest.skip(f"refused: {error}")


def rows_of(name):
    """The layers that have a place of their own, with it and their parts' outputs."""
    _, places = forward_of(name)
    for row in ZOO[name].layers:
        sizes = outputs_of(row, pieces(name)[row.name])
        yield row, places[row.name], sizes or [1]


def are_layers(name, row):
    """Whether the parts of a row are layers of their own; the first is measured."""
    return len({layer.kernel for layer in pieces(name)[row.name]}) > 1


@pytest.mark.slow
def test_truth_counts_what_the_operations_have(name):
    """Fans are measured: the map of a kernel of ones."""
    ones = {row: jnp.ones(p.kernel_shape) for row, p in forward_of(name)[1].items()}
    found = meter(name)(ones)
    for row, _, sizes in rows_of(name):
        backward = row.fans[1] / (int(row.parts) if row.apart else 1)
        if are_layers(name, row):
            backward = backward_fans(row, sizes)[0]
        wanted = (row.fans[0], backward)
        np.testing.assert_allclose(found[row.name], wanted, 1e-5, err_msg=row.name)


# Of fans forward and backward: the variance of each number.
LAWS = {
    "he_normal": lambda forward, backward: 2 / forward,
    "lecun_normal": lambda forward, backward: 1 / forward,
    "xavier_normal": lambda forward, backward: 2 / (forward + backward),
    "he_fan_out": lambda forward, backward: 2 / backward,
}


def check_law(name, scheme):
    parameters(name, scheme)
    found, wrong = meter(name)(squares_of(name, scheme, DRAWS)), {}
    for row, _, sizes in rows_of(name):
        if row.free:
            continue
        fans = backward_fans(row, sizes)
        variances = [LAWS[scheme](row.fans[0], fan) for fan in fans]
        if are_layers(name, row):
            fans, variances, sizes = fans[:1], variances[:1], sizes[:1]
        forward = row.fans[0] * np.average(variances, weights=sizes)
        backward = np.dot(fans, variances) / (len(fans) if row.apart else 1)
        one = tuple(map(float, found[row.name]))
        if not np.allclose(one, (forward, backward), rtol=0.1):
            wrong[row.name] = one, (forward, backward)
    assert not wrong, wrong


def test_he_keeps_the_mean_square_of_every_layer(name):
    check_law(name, "he_normal")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [law for law in LAWS if law != "he_normal"])
def test_laws_keep_their_mean_squares_both_ways(name, scheme):
    check_law(name, scheme)


# Of the shape that is stored: the variance, and the largest square.
PUBLISHED = {
    "torch": lambda fan_in, fan_out: (1 / (3 * fan_in), 1 / fan_in),
    "keras": lambda fan_in, fan_out: (
        2 / (fan_in + fan_out),
        sqrt(6 / (fan_in + fan_out)),
    ),
    "flax": lambda fan_in, fan_out: (1 / fan_in, inf),
}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", PUBLISHED)
def test_frameworks_keep_their_published_formula(name, scheme):
    """For kernels that are stored as the formula has them, one part each."""
    parameters(name, scheme)
    squares, shapes = squares_of(name, scheme, DRAWS), network(name).shapes
    for row, _, sizes in rows_of(name):
        layer = pieces(name)[row.name][0]
        shape = shapes[layer.kernel].shape
        plain = layer.kind != "conv_transpose" and layer.order is None
        if plain and len(sizes) == 1 and not row.free and row.times == 1:
            fans = np.prod(shape[:-1]), np.prod(shape[:-2]) * shape[-1]
            variance, largest = PUBLISHED[scheme](*fans)
            found = squares[row.name]
            np.testing.assert_allclose(found.mean(), variance, rtol=0.1)
            assert found.max() <= largest


def isometric(place, scheme, shape):
    """Whether the scheme promises that the map, or its adjoint, keeps every norm."""
    if not convolves(place):
        return True
    params = place.node.equation.params
    steps = {*params["window_strides"], *params["lhs_dilation"]}
    sizes = [shape[axis] for axis in params["dimension_numbers"].rhs_spec[2:]]
    return steps == {1} and (scheme == "delta_orthogonal" or set(sizes) == {1})


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["orthogonal", "delta_orthogonal"])
def test_orthogonal_kernels_keep_norms(name, scheme):
    """Of what goes in, or, where a layer narrows, of slopes that come back."""
    kernels = compute(name, parameters(name, scheme), "weights")
    for row, place, sizes in rows_of(name):
        kernel = kernels[row.name]
        if row.free or len(sizes) > 1 or not isometric(place, scheme, kernel.shape):
            continue
        x = jax.random.normal(jax.random.key(1), place.image_shape)
        y, back = jax.vjp(lambda x, p=place, k=kernel: apply_at(p, k, x), x)
        if y.size < x.size:
            x = jax.random.normal(jax.random.key(2), y.shape)
            (y,) = back(x)
        ratio = jnp.linalg.norm(y) / jnp.linalg.norm(x)
        np.testing.assert_allclose(ratio, 1, rtol=1e-4, err_msg=row.name)


def test_the_zoo_can_cut_its_branches(residual):
    """Or the next tests would hold for anything."""
    params = unlike_zero(drawn(residual, "module"))
    whole, cut = (computed(residual, "plain", factor)(params) for factor in (1.0, 0.0))
    assert not np.allclose(whole, cut)


ZEROS = ("zero_branch", "zero_gamma", "fixup(scalars=False)")


def check_branches_are_zero(name, scheme, branches):
    """All is as if there were none; a head at zero hides nothing."""
    params = parameters(name, scheme, branches)
    head = network(name, branches).layers[-1]
    for leaf in head.leaves:
        tree = params
        for word in leaf[:-1]:
            tree = tree[word]
        tree[leaf[-1]] = unlike_zero({"x": tree[leaf[-1]]})["x"]
    whole, cut = (computed(name, branches, factor)(params) for factor in (1.0, 0.0))
    np.testing.assert_allclose(whole, cut, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "scheme", ["zero_branch", "zero_gamma", "fixup(scalars=False)"]
)
def test_branches_are_zero_at_the_start(residual, scheme):
    check_branches_are_zero(residual, scheme, "plain")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "branches"),
    [("skipinit", "scalar"), ("rezero", "scalar"), ("fixup", "fixup")],
)
def test_branches_with_numbers_of_their_own_are_zero(residual, scheme, branches):
    check_branches_are_zero(residual, scheme, branches)


@pytest.mark.slow
def test_depth_scaling_divides_branches_by_the_root_of_their_number(residual):
    """The net as it is drawn is He's with every branch times 1/√L."""
    params = parameters(residual, "depth_scaled")
    factor = 1 / sqrt(len(ZOO[residual].branches))
    scaled = computed(residual, "plain", 1.0)(params)
    wanted = computed(residual, "plain", factor)(drawn(residual, "he_normal"))
    np.testing.assert_allclose(scaled, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_lsuv_gives_every_layer_variance_1(name):
    """On the batch, before norm and activation."""
    outputs = compute(name, parameters(name, "lsuv"), "outputs")
    variances = {layer: float(y.var()) for layer, y in outputs.items()}
    wrong = {layer: v for layer, v in variances.items() if abs(v - 1) > 0.1 + 1e-3}
    assert not wrong, wrong


@pytest.mark.parametrize("scheme", [*ZEROS, "depth_scaled"])
@pytest.mark.parametrize("plain", all_of(sorted(set(ZOO) - set(RESIDUAL))))
def test_nets_without_branches_are_refused_by_what_changes_them(plain, scheme):
    with pytest.raises(UserError, match="no residual branch") as refusal:
        drawn(plain, scheme)
    assert "\n" not in str(refusal.value)
