"""Scores of linear nets, by hand; and of nets for which one is not defined."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.saliency import (
    grasp,
    input_gradients,
    jacobian_score,
    snip,
    synflow,
)


def quadratic(seed):
    """A loss w'Aw / 2 + c'w in two tensors; its gradient and its Hessian are known."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(5, 5))
    matrix, slope, w = half + half.T, rng.normal(size=5), rng.normal(size=5)

    def loss(params):
        v = jnp.concatenate([params["a"], params["b"]])
        a, c = jnp.asarray(matrix, jnp.float32), jnp.asarray(slope, jnp.float32)
        return v @ a @ v / 2 + c @ v

    return loss, matrix, slope, w


def in_parts(w):
    return {"a": jnp.asarray(w[:2], jnp.float32), "b": jnp.asarray(w[2:], jnp.float32)}


def check(found, weights):
    assert found.tensors["a"] == pytest.approx(weights[:2].sum(), rel=1e-3)
    assert found.tensors["b"] == pytest.approx(weights[2:].sum(), rel=1e-3)
    assert found.whole == pytest.approx(weights.sum(), rel=1e-3)


def test_snip_and_grasp_of_a_quadratic_loss():
    loss, matrix, slope, w = quadratic(4)
    gradient = matrix @ w + slope
    check(jax.jit(lambda p: snip(loss, p))(in_parts(w)), np.abs(gradient * w))
    found = jax.jit(lambda p: grasp(loss, p))(in_parts(w))
    check(found, -w * (matrix @ gradient))


def test_grasp_foresees_the_gradient_without_a_weight():
    """To first order in the weight that goes, ‖g‖² / 2 changes by its score."""
    _, matrix, slope, w = quadratic(1)
    w[0] = 1e-4
    lengths = []
    for first in (w[0], 0.0):
        gradient = matrix @ np.array([first, *w[1:]]) + slope
        lengths.append(gradient @ gradient / 2)
    score = -w[0] * (matrix @ (matrix @ w + slope))[0]
    assert lengths[1] - lengths[0] == pytest.approx(score, rel=1e-2)


def test_snip_and_grasp_of_a_linear_net():
    """y = b a x with (y − t)² / 2: e = b a x − t, and the gradient (e b x, e a x)."""
    a, b, x, t = 1.5, -2.0, 0.5, 1.0
    e = b * a * x - t
    gradient = np.array([e * b * x, e * a * x])
    crossed = a * b * x**2 + e * x
    hessian = np.array([[b**2 * x**2, crossed], [crossed, a**2 * x**2]])
    params = {"a": jnp.float32(a), "b": jnp.float32(b)}

    def loss(params):
        return (params["b"] * params["a"] * x - t) ** 2 / 2

    wanted = np.abs(gradient * [a, b]).sum()
    assert snip(loss, params).whole == pytest.approx(wanted, rel=1e-6)
    wanted = -np.array([a, b]) @ hessian @ gradient
    assert grasp(loss, params).whole == pytest.approx(wanted, rel=1e-5)


def test_members_are_scored_as_one_by_one():
    loss, *_, w = quadratic(2)
    members = jax.tree.map(lambda x: jnp.stack([x, -2 * x]), in_parts(w))
    for score in (snip, grasp):
        one = jax.jit(lambda p, score=score: score(loss, p).whole)
        together = jax.jit(jax.vmap(one))(members)
        alone = [one(in_parts(f * w)) for f in (1, -2)]
        np.testing.assert_allclose(together, alone, rtol=1e-4)


def test_odd_losses_have_documented_scores():
    params = {"w": jnp.array([2.0])}
    for score in (snip, grasp):
        assert score(lambda p: jnp.sum(0.0 * p["w"]), params).whole == 0
        nan = {"w": jnp.array([jnp.nan])}
        assert np.isnan(score(lambda p: jnp.sum(p["w"] ** 3), nan).whole)
        with pytest.raises(UserError, match="has no tensor"):
            score(lambda p: jnp.float32(0.0), {})


def kernels(seed=3):
    rng = np.random.default_rng(seed)
    shapes = {"first": (3, 4), "middle": (4, 4), "last": (4, 2)}
    return {n: jnp.asarray(rng.normal(size=s), jnp.float32) for n, s in shapes.items()}


def chain(phi, shift=0.0, skip=0.0):
    def function(params, x):
        h = phi(x @ params["first"] + shift)
        h = skip * h + phi(h @ params["middle"])
        return h @ params["last"]

    return function


@pytest.mark.parametrize("phi", [jax.nn.relu, jax.nn.leaky_relu, lambda x: x])
def test_each_layer_of_a_chain_scores_the_whole_flow(phi):
    params = kernels()
    found = jax.jit(lambda p: synflow(chain(phi), p, (3,)))(params)
    wide = [np.abs(np.asarray(params[n], np.float64)) for n in params]
    flow = np.linalg.multi_dot([np.ones((1, 3)), *wide, np.ones((2, 1))]).item()
    for name in params:
        assert found.tensors[name] == pytest.approx(flow, rel=1e-5), name
    assert found.whole == pytest.approx(3 * flow, rel=1e-5)


def test_flow_past_a_layer_is_not_its_own():
    """With a skip the middle layer scores the paths through it alone."""
    params = kernels()
    net = chain(jax.nn.relu, skip=1.0)
    found = jax.jit(lambda p: synflow(net, p, (3,)))(params)
    first, middle, last = (np.abs(np.asarray(params[n])) for n in params)
    through = (np.ones((1, 3)) @ first @ middle @ last).sum()
    past = (np.ones((1, 3)) @ first @ last).sum()
    assert found.tensors["middle"] == pytest.approx(through, rel=1e-5)
    assert found.tensors["last"] == pytest.approx(through + past, rel=1e-5)


def test_flow_is_defined_for_linear_nets_alone():
    def normalized(params, x):
        h = x @ params["first"]
        return jax.nn.standardize(h, axis=1) @ params["middle"] @ params["last"]

    for function in (chain(jnp.tanh), chain(jax.nn.relu, shift=0.1), normalized):
        found = synflow(function, kernels(), (3,))
        assert np.isnan(found.whole) and np.isnan([*found.tensors.values()]).all()
    huge = jax.tree.map(lambda x: 1e20 * x, kernels())
    assert synflow(chain(jax.nn.relu), huge, (3,)).whole == jnp.inf
    zeros = jax.tree.map(jnp.zeros_like, kernels())
    assert synflow(chain(jax.nn.relu), zeros, (3,)).whole == 0


def test_flows_of_members_are_those_of_each():
    members = jax.tree.map(lambda *x: jnp.stack(x), kernels(3), kernels(4))
    net = chain(jax.nn.relu)
    one = jax.jit(lambda p: synflow(net, p, (3,)).whole)
    together = jax.jit(jax.vmap(one))(members)
    alone = [one(kernels(seed)) for seed in (3, 4)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_gradients_by_images_are_a_linear_nets_weights():
    """Of x² A the sum's gradient is 2 x · A 1."""
    rng = np.random.default_rng(5)
    images, matrix = rng.normal(size=(4, 2, 3)), rng.normal(size=(6, 2))

    def function(x):
        return x.reshape(len(x), -1) ** 2 @ jnp.asarray(matrix, jnp.float32)

    found = input_gradients(function, jnp.asarray(images, jnp.float32))
    wanted = 2 * images.reshape(4, 6) * matrix.sum(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_the_jacobian_score_of_known_correlations():
    """Uncorrelated rows have eigenvalues 1, equal ones n and zeros; a correlation of c
    has 1 ± c."""
    k = 1e-5

    def score(*values):
        return -sum(np.log(v + k) + 1 / (v + k) for v in values)

    rows = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], float)
    equal = np.stack([rows[0], 2 * rows[0], 5 * rows[0] + 3])
    mixed = np.stack([rows[0], 0.6 * rows[0] + 0.8 * rows[1], rows[2]])
    found = jacobian_score(np.stack([rows, equal, mixed]))
    wanted = [score(1, 1, 1), score(3, 0, 0), score(1.6, 0.4, 1)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    # Small gradients in float32 are as good.
    small = jnp.asarray(1e-20 * rows[None], jnp.float32)
    np.testing.assert_allclose(jacobian_score(small), score(1, 1, 1), rtol=1e-6)


def test_a_gradient_that_is_flat_or_broken_has_no_score():
    rows = np.array([[1.0, -1.0, 0.0], [1.0, 2.0, 5.0]])
    # The mean of three 0.1 is another number.
    flat = np.array([[0.1, 0.1, 0.1], [1.0, 2.0, 5.0]])
    nan = np.array([[np.nan, 1.0, 0.0], [1.0, 2.0, 5.0]])
    found = jacobian_score(np.stack([rows, flat, nan]))
    assert np.isnan(found).tolist() == [False, True, True]
    assert jacobian_score(rows[None, :1])[0] == pytest.approx(-1, abs=1e-4)


@pytest.mark.wrong_types
def test_gradients_of_no_members_are_refused():
    for shape in ((2, 3), (1, 0, 3)):
        with pytest.raises(UserError, match="are no members': give"):
            jacobian_score(np.ones(shape))
