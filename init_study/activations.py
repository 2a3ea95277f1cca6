"""Activations by name, and a user's own as `module:function`. Plain JAX functions."""

import importlib
from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from init_study.errors import UserError, unknown

# From an array to an array of the same shape, each number by itself.
Activation = Callable[[Array], Array]


def find_activation(name: str) -> Activation:
    """Find the function that a name means.

    Args:
        name: in `ACTIVATIONS`, or `module:function` for a function of the user's own,
            imported from Python's path.

    Raises: UserError for a name that is not there or a module that does not import.

    Example:
        >>> find_activation("relu")(jnp.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    module_name, colon, function_name = name.partition(":")
    if not colon:
        names = f"{', '.join(ACTIVATIONS)}, or module:function for one of your own"
        raise unknown("activation", name, ACTIVATIONS, names)
    try:
        module = importlib.import_module(module_name)
    # The user's module runs here: whatever it raises is why it does not import.
    except Exception as error:
        raise UserError(
            f"activation {name!r}: {module_name!r} does not import: "
            f"{type(error).__name__}: {error}"
        ) from error
    found = getattr(module, function_name, None)
    if found is None:
        raise UserError(
            f"activation {name!r}: module {module_name!r} has no function "
            f"{function_name!r}"
        )
    if not callable(found) or isinstance(found, type):
        raise UserError(
            f"activation {name!r} is not a function, but of type "
            f"{type(found).__name__!r}"
        )
    return cast(Activation, found)


def name_activation(function: Activation) -> str:
    """Find the name in `ACTIVATIONS` of what computes the same, or `its own`.

    Example:
        >>> name_activation(lambda x: jnp.maximum(x, 0.0))
        'relu'
    """
    # In a user's own `jit`, too.
    with jax.ensure_compile_time_eval():
        x = jnp.linspace(-7.0, 7.0, 141)
        values = np.asarray(jax.jit(function)(x))
        of_known = _known_values(x)
        for name in ACTIVATIONS:
            if np.allclose(values, of_known[name], rtol=1e-5, atol=1e-6):
                return name
    return "its own"


# One program: each function compiles by itself otherwise.
@jax.jit
def _known_values(x: Array) -> dict[str, Array]:
    return {name: known(x) for name, known in ACTIVATIONS.items()}


def gelu_exact(x: Array) -> Array:
    """Compute GELU as x Φ(x), Φ the normal distribution function, without tanh."""
    return jax.nn.gelu(x, approximate=False)


def linear(x: Array) -> Array:
    """Give x itself."""
    return x


# As in `flax.linen`, whose `gelu` is the approximation with tanh.
ACTIVATIONS: dict[str, Activation] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "relu6": jax.nn.relu6,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "gelu": jax.nn.gelu,
    "gelu_exact": gelu_exact,
    "silu": jax.nn.silu,
    "mish": jax.nn.mish,
    "hard_swish": jax.nn.hard_silu,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "tanh": jax.nn.tanh,
    "hard_tanh": jax.nn.hard_tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "erf": jax.lax.erf,
    "sin": jnp.sin,
    "abs": jnp.abs,
    "linear": linear,
}
