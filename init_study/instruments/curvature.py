"""Curvature: what a loss is like around its parameters, by products with its Hessian.

A product costs about a forward and a backward pass, and the Hessian itself is never
made here; `hessian_spectra` makes it where the parameters are few.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from init_study.errors import UserError, check_count, check_number


class Trace(NamedTuple):
    """The trace of a Hessian.

    Attributes:
        estimate: without bias.
        standard_error: of the estimate; 0 where it is exact, NaN of a single probe.
    """

    estimate: Float[Array, ""]
    standard_error: Float[Array, ""]


def hessian_vector_product(
    loss: Callable[[Any], Array], params: Any, direction: Any
) -> Any:
    """Compute H v, the change of a loss's gradient along a direction.

    Args:
        loss: from parameters to a number.
        params: a tree, where the loss is differentiated.
        direction: v, a tree like it.

    Returns: a tree like `params`. Where the loss has kinks, as with ReLU, it is the
        product with the Hessian of the smooth piece that JAX takes there.

    Raises: UserError if the loss is no number, or there are no parameters.
    Reference: Pearlmutter 1994; forwards over backwards.
    Cost: 2 forward and 2 backward passes.

    Example:
        >>> cube = lambda params: (params["w"] ** 3).sum()  # H = diag(6 w)
        >>> ones = {"w": jnp.ones(2)}
        >>> params = {"w": jnp.array([1.0, 2.0])}
        >>> hessian_vector_product(cube, params, ones)["w"].tolist()
        [6.0, 12.0]
    """
    check_differentiable(loss, params)
    return jax.jvp(jax.grad(loss), (params,), (direction,))[1]


def flat_hessian(
    loss: Callable[[Any], Array], params: Any
) -> tuple[Callable[[Float[Array, " n"]], Float[Array, " n"]], int]:
    """Make the function that multiplies a flat vector by the Hessian of a loss.

    The gradient is linearized once: what it computes on the way is kept, and each
    product goes through the linear part alone.

    Args:
        loss: from parameters to a number.
        params: a tree, where the loss is differentiated.

    Returns: the product, in the order of `ravel_pytree` and the vector's dtype, and the
        number of parameters.

    Raises: UserError if the loss is no number, or there are no parameters.
    Cost: a forward and a backward pass now, and about the same for each product.

    Example:
        >>> product, size = flat_hessian(lambda w: (w**2).sum(), jnp.ones(2))
        >>> product(jnp.array([1.0, -1.0])).tolist(), size
        ([2.0, -2.0], 2)
    """
    check_differentiable(loss, params)
    flat, unravel = ravel_pytree(params)
    slope = jax.grad(lambda flat: loss(unravel(flat)))
    _, change = jax.linearize(slope, flat)

    def product(vector: Float[Array, " n"]) -> Float[Array, " n"]:
        return change(vector.astype(flat.dtype)).astype(vector.dtype)

    return product, flat.size


def hessian_trace(
    loss: Callable[[Any], Array], params: Any, key: PRNGKeyArray, probes: int = 32
) -> Trace:
    """Estimate the trace of a loss's Hessian by Hutchinson's method.

    tr H is the mean of vᵀ H v over random signs v. With no more parameters than probes
    the diagonal is taken instead, which is exact.

    Args:
        loss: from parameters to a number.
        params: a tree, where the loss is differentiated.
        key: of the signs.
        probes: how many v.

    Returns: NaN where the Hessian is not finite.

    Raises: UserError if the loss is no number, there are no parameters, or `probes` is
        no count.
    Reference: Hutchinson 1990. The variance of a probe is 2 Σ_{i≠j} H_ij².
    Cost: `probes` products, each a forward and a backward pass.

    Example:
        >>> square = lambda params: (params["w"] ** 2).sum()
        >>> trace = hessian_trace(square, {"w": jnp.ones(3)}, jax.random.key(0))
        >>> float(trace.estimate), float(trace.standard_error)
        (6.0, 0.0)
    """
    check_count("probes", probes)
    product, size = flat_hessian(loss, params)
    if size <= probes:
        diagonal = lax.map(lambda unit: unit @ product(unit), jnp.eye(size))
        return Trace(diagonal.sum(), jnp.zeros(()))

    def probe(own_key: PRNGKeyArray) -> Float[Array, ""]:
        signs = jax.random.rademacher(own_key, (size,), jnp.float32)
        return signs @ product(signs)

    found = lax.map(probe, jax.random.split(key, probes))
    spread = jnp.std(found, ddof=1) if probes > 1 else jnp.float32(jnp.nan)
    return Trace(found.mean(), spread / probes**0.5)


def gradient_quotient(
    loss: Any, params: Any, epsilon: float = 1e-5
) -> Float[Array, ""]:
    """Compute mean |(g − H g) / (g ± ε) − 1| over all parameters.

    It says how much a step of rate 1 changes the gradient, in units of each parameter's
    own. It is 0 where the loss is linear, 1 where the gradient is zero, and NaN where
    it is not finite.

    Args:
        loss: from parameters to a number.
        params: where it is differentiated.
        epsilon: ε, with the sign of g.

    Reference: Dauphin & Schoenholz 2019, equation 1 and their listing, where ε carries
    the sign of g.
    Cost: 2 forward and 3 backward passes; it can be differentiated again.

    Example:
        >>> square = lambda params: (params["w"] ** 2).sum() / 4  # H = 1/2
        >>> round(float(gradient_quotient(square, {"w": jnp.ones(3)})), 3)
        0.5
    """

    def half_square(params: Any) -> tuple[Array, Any]:
        gradient = jax.grad(loss)(params)
        squares = (jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient))
        return sum(squares, jnp.zeros(())) / 2, gradient

    product, gradient = jax.grad(half_square, has_aux=True)(params)

    def term(g: Array, hg: Array) -> Array:
        signed = lax.stop_gradient(jnp.where(g >= 0, epsilon, -epsilon))
        return jnp.sum(jnp.abs((g - hg) / (g + signed) - 1))

    leaves = jax.tree.leaves(jax.tree.map(term, gradient, product))
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    return jnp.sum(jnp.stack(leaves)) / count


def stability_ratio(
    sharpness: Float[ArrayLike, "*stack"],
    rate: Float[ArrayLike, "*stack"],
    momentum: float = 0.0,
) -> Any:
    """Compute rate · sharpness / 2: above 1 gradient descent leaves along that curve.

    On a quadratic each step multiplies the distance along the sharpest direction by
    1 − rate · sharpness. With heavy-ball momentum μ the edge is at 2 (1 + μ) instead
    of 2. Of other optimizers, such as Adam, it says nothing.

    Args:
        sharpness: the Hessian's greatest eigenvalue.
        rate: the learning rate; both numbers or arrays.
        momentum: μ, in [0, 1).

    Returns: 1 at the edge of stability.

    Raises: UserError for a momentum out of range.
    Reference: Polyak 1964; Cohen et al. 2021, "Gradient descent on neural networks
    typically occurs at the edge of stability".

    Example:
        >>> stability_ratio(sharpness=40.0, rate=0.1), stability_ratio(40.0, 0.1, 0.6)
        (2.0, 1.25)
    """
    check_number("momentum", momentum, least=0, most=1)
    return rate * sharpness / (2 * (1 + momentum))


def check_differentiable(loss: Callable[[Any], Array], params: Any) -> None:
    """Check that a function of parameters gives one number, and that there are some.

    Raises: UserError if it does not, or `check_parameters` does.

    Example:
        >>> check_differentiable(lambda w: w, jnp.ones(2))
        Traceback (most recent call last):
        init_study.errors.UserError: the loss gives an array of shape (2,), and only ...
    """
    check_parameters(params)
    shape = jax.eval_shape(loss, params).shape
    if shape != ():
        raise UserError(
            f"the loss gives an array of shape {shape}, and only a number has a "
            "curvature; take its mean"
        )


def check_parameters(params: Any) -> None:
    """Check that there are parameters, and that all are floats.

    Raises: UserError if there are none, or others.

    Example:
        >>> check_parameters({"steps": jnp.ones(2, jnp.int32)})
        Traceback (most recent call last):
        init_study.errors.UserError: a parameter has dtype int32, by which nothing ...
    """
    leaves = jax.tree.leaves(params)
    for leaf in leaves:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise UserError(
                f"a parameter has dtype {jnp.result_type(leaf)}, by which nothing can "
                "be differentiated; leave it out of the parameters"
            )
    if not sum(jnp.size(leaf) for leaf in leaves):
        raise UserError(
            f"there are 0 parameters in {len(leaves)} arrays; give at least one"
        )
