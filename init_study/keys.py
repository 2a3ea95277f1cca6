"""Keys of random numbers that hang on nothing but what is written here.

JAX makes keys of the kind that `jax_default_prng_impl` names, so that one setting of a
machine would change every number. All draws are Threefry's.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

_IMPL = "threefry2x32"


def fixed_key(number: int) -> PRNGKeyArray:
    """Make the same key of a number, whatever JAX makes keys of by default.

    Example:
        >>> with jax.default_prng_impl("rbg"):
        ...     str(jax.random.key_impl(fixed_key(0)))
        'threefry2x32'
    """
    return jax.random.key(number, impl=_IMPL)


def threefry(key: Array) -> Array:
    """Make a key for Threefry of any key.

    Of a key that `jax.random.key(seed)` made, whatever JAX makes keys of by default, it
    is the one that Threefry makes of the same seed: a key of `rbg` is two of these.

    Example:
        >>> key = jax.random.key(3, impl="rbg")
        >>> bool(threefry(key) == fixed_key(3))
        True
    """
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if typed and str(jax.random.key_impl(key)) == _IMPL:
        return key
    data = jax.random.key_data(key) if typed else key
    return jax.random.wrap_key_data(data[..., :2], impl=_IMPL)
