"""Curvature is that of losses whose Hessian is known on paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.curvature import (
    flat_hessian,
    gradient_quotient,
    hessian_trace,
    hessian_vector_product,
    stability_ratio,
)

RNG = np.random.default_rng(0)
INPUTS, TARGETS = RNG.normal(size=(6, 4)), RNG.normal(size=6)
# Symmetric, with greater numbers off the diagonal than a mean would show.
FORM = (lambda a: (a + a.T) / 2)(RNG.normal(size=(40, 40)))


def linear_loss(params):
    """Half the mean squared error of a linear net: its Hessian is XᵀX / n."""
    inputs, targets = (jnp.asarray(a, jnp.float32) for a in (INPUTS, TARGETS))
    weights = jnp.concatenate([params["b"], params["a"].ravel()])
    return jnp.mean((inputs @ weights - targets) ** 2) / 2


def quadratic(params):
    return params @ jnp.asarray(FORM, jnp.float32) @ params / 2


def product_of_two(params):
    """A linear net of two layers of one weight, on x = 2 and y = 3."""
    return (params[0] * params[1] * 2.0 - 3.0) ** 2 / 2


def kinked(params):
    return jnp.abs(params).sum() + jax.nn.relu(params - 1.0).sum()


def test_the_product_is_that_of_a_linear_nets_hessian():
    params = {"a": jnp.ones((1, 2)), "b": jnp.zeros(2)}
    direction = {"a": jnp.array([[0.5, 2.0]]), "b": jnp.array([1.0, -1.0])}
    found = hessian_vector_product(linear_loss, params, direction)
    wanted = INPUTS.T @ INPUTS / 6 @ [1.0, -1.0, 0.5, 2.0]
    np.testing.assert_allclose(found["b"], wanted[:2], rtol=1e-4)
    np.testing.assert_allclose(found["a"][0], wanted[2:], rtol=1e-4)


def test_the_product_is_that_of_a_deep_nets_hessian():
    u, v, x, y = 0.7, -1.5, 2.0, 3.0
    mixed = 2 * u * v * x**2 - x * y
    whole = np.array([[v**2 * x**2, mixed], [mixed, u**2 * x**2]])
    product, size = flat_hessian(product_of_two, jnp.array([u, v]))
    assert size == 2
    found = jax.vmap(product)(jnp.eye(2))
    np.testing.assert_allclose(found, whole, rtol=1e-5)


def test_the_trace_is_exact_where_parameters_are_few():
    params = {"a": jnp.ones((1, 2)), "b": jnp.zeros(2)}
    trace = hessian_trace(linear_loss, params, jax.random.key(0), probes=4)
    wanted = np.trace(INPUTS.T @ INPUTS / 6)
    assert float(trace.estimate) == pytest.approx(wanted, rel=1e-4)
    assert float(trace.standard_error) == 0


def test_the_trace_lies_within_its_error_and_the_error_is_the_known_one():
    """A probe's variance is twice the squares off the diagonal."""
    trace = jax.jit(lambda key: hessian_trace(quadratic, jnp.ones(40), key, probes=39))(
        jax.random.key(3)
    )
    off = FORM - np.diag(np.diag(FORM))
    error = np.sqrt(2 * (off**2).sum() / 39)
    assert abs(float(trace.estimate) - np.trace(FORM)) < 3 * error
    assert float(trace.standard_error) == pytest.approx(error, rel=0.4)
    alone = hessian_trace(quadratic, jnp.ones(40), jax.random.key(3), probes=1)
    assert jnp.isfinite(alone.estimate) and jnp.isnan(alone.standard_error)


def test_signs_are_exact_on_a_diagonal():
    trace = hessian_trace(
        lambda w: (jnp.arange(9.0) * w**2).sum() / 2,
        jnp.ones(9),
        jax.random.key(0),
        probes=3,
    )
    assert float(trace.estimate) == 36 and float(trace.standard_error) < 1e-5


def test_a_loss_of_kinks_is_flat():
    params = jnp.array([0.5, -2.0, 3.0])
    assert not hessian_vector_product(kinked, params, jnp.ones(3)).any()
    for probes in (2, 3):
        trace = hessian_trace(kinked, params, jax.random.key(0), probes)
        assert trace == (0, 0)
    assert float(gradient_quotient(kinked, params)) < 1e-4


def test_the_gradient_quotient_of_a_diagonal_is_its_mean_curvature():
    """g = λ w and H g = λ g, so that each term is λ."""
    curvatures = jnp.array([0.5, 2.0, 6.0])
    found = gradient_quotient(lambda w: (curvatures * w**2).sum() / 2, jnp.ones(3))
    assert float(found) == pytest.approx(8.5 / 3, rel=1e-4)
    # Curvature makes no change where there is no slope.
    assert gradient_quotient(lambda w: (w**2).sum(), jnp.zeros(3)) == 1


def test_nan_at_the_start_is_nan():
    params = jnp.array([jnp.nan, 1.0])
    assert jnp.isnan(hessian_vector_product(product_of_two, params, jnp.ones(2))).all()
    assert jnp.isnan(gradient_quotient(product_of_two, params))
    for probes in (1, 2):
        trace = hessian_trace(product_of_two, params, jax.random.key(0), probes)
        assert jnp.isnan(trace.estimate)


def test_members_side_by_side_are_members_alone():
    both = jnp.array([[0.7, -1.5], [2.0, 0.1]])

    def measure(params):
        trace = hessian_trace(product_of_two, params, jax.random.key(0), probes=1)
        return trace.estimate, gradient_quotient(product_of_two, params)

    found = jax.jit(jax.vmap(measure))(both)
    alone = jax.jit(measure)
    for member in range(2):
        for side, own in zip(found, alone(both[member]), strict=True):
            assert float(side[member]) == pytest.approx(float(own), rel=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_edge_of_stability_is_where_heavy_balls_leave(momentum):
    """The product of all steps grows iff a root of its polynomial is beyond 1."""
    sharpness, grows = 5.0, []
    for ratio in (0.99, 1.01):
        rate = ratio / stability_ratio(sharpness, 1.0, momentum)
        assert stability_ratio(sharpness, rate, momentum) == pytest.approx(ratio)
        roots = np.roots([1, -(1 + momentum - rate * sharpness), momentum])
        grows.append(np.abs(roots).max() > 1)
    assert grows == [False, True]


def test_what_has_no_curvature_is_said():
    key = jax.random.key(0)
    with pytest.raises(UserError, match=r"array of shape \(2,\).*take its mean"):
        hessian_trace(lambda w: w, jnp.ones(2), key)
    with pytest.raises(UserError, match="0 parameters in 1 arrays"):
        hessian_vector_product(jnp.sum, jnp.ones(0), jnp.ones(0))
    with pytest.raises(UserError, match="dtype int32"):
        flat_hessian(jnp.sum, {"count": jnp.ones(2, jnp.int32)})
    with pytest.raises(UserError, match="probes=0"):
        hessian_trace(product_of_two, jnp.ones(2), key, probes=0)
    with pytest.raises(UserError, match="momentum=2"):
        stability_ratio(1.0, 1.0, momentum=2.0)
