"""An activation and its derivative as float64 numbers on the host."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from init_study.activations import ACTIVATIONS, Activation, find_activation
from init_study.errors import UserError

Numbers = Float[np.ndarray, " n"]
# Every call of a compiled function has this many numbers: one compilation, no more.
_BLOCK = 4096
_EXACT, _ROUNDED = 1e-12, 1e-8
# Round numbers, where functions have no value that no node of an integral is ever at.
# The nearest to 0 come first.
_PROBES = np.stack([np.arange(0, 16.5, 0.5), -np.arange(0, 16.5, 0.5)], 1).reshape(-1)


class Evaluated(NamedTuple):
    """An activation that has been compiled.

    Attributes:
        name: for messages.
        both: from numbers to the function's values and its derivative's.
        tolerance: how exactly it can be integrated: 1e-12, or 1e-8 if it computes in
            float32 whatever it is given.
        undefined_slope: a round number where the derivative is NaN, or None.
    """

    name: str
    both: Callable[[Numbers], tuple[Numbers, Numbers]]
    tolerance: float
    undefined_slope: float | None = None


@lru_cache(maxsize=64)
def evaluated(phi: Activation | str) -> Evaluated:
    """Compile a function and its derivative, in float64 whatever JAX's own setting is.

    Args:
        phi: a function, or a name that `find_activation` knows.

    Raises: UserError if it is not known, fails, has another shape or kind of result,
        is not elementwise, or is NaN at a round number up to 16 or infinite at 0.

    Example:
        >>> values, slopes = evaluated("relu").both(np.array([-1.0, 2.0]))
        >>> values.tolist(), slopes.tolist()
        ([0.0, 2.0], [0.0, 1.0])
    """
    name = activation_name(phi)
    function = find_activation(phi) if isinstance(phi, str) else phi
    numbers = jax.ShapeDtypeStruct((_BLOCK,), np.float64)

    def both(x: Any) -> Any:
        return jax.jvp(function, (x,), (jnp.ones_like(x),))

    with _float64_on_host():
        try:
            # In a lambda: JAX crashes on what takes no weak reference, np.tanh.
            result = jax.eval_shape(lambda x: function(x), numbers)
            _check_result(name, result)
            compiled = jax.jit(both).lower(numbers).compile()
        except UserError:
            raise
        # The user's function runs here: whatever it raises is why it cannot be used.
        except Exception as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise UserError(
                f"activation {name!r} fails on an array: {type(error).__name__}: "
                f"{reason}. Use functions of jax.numpy, and jnp.where in place of if"
            ) from error
    found = Evaluated(name, lambda x: _in_blocks(compiled, x), _EXACT)
    if _rounds(found):
        found = found._replace(tolerance=_ROUNDED)
    _check_elementwise(found)
    return found._replace(undefined_slope=_probe(found))


def activation_name(phi: Activation | str) -> str:
    """Name an activation: as it was given, in `ACTIVATIONS`, or as Python names it.

    Example:
        >>> activation_name("relu"), activation_name(jax.nn.relu)
        ('relu', 'relu')
    """
    if isinstance(phi, str):
        return phi
    for name, function in ACTIVATIONS.items():
        if function is phi:
            return name
    return getattr(phi, "__name__", None) or repr(phi)


@contextmanager
def _float64_on_host() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(jax.enable_x64(True))
        try:
            host = jax.local_devices(backend="cpu")[0]
        except RuntimeError:  # JAX_PLATFORMS leaves the host out.
            host = None
        stack.enter_context(jax.default_device(host))
        yield


def _in_blocks(compiled: Callable[[Any], Any], x: Numbers) -> tuple[Numbers, Numbers]:
    blocks = -(-len(x) // _BLOCK)
    padded = np.resize(np.asarray(x, np.float64), blocks * _BLOCK)
    with _float64_on_host():
        pairs = [compiled(block) for block in padded.reshape(blocks, _BLOCK)]
        values, slopes = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return values[: len(x)].astype(float), slopes[: len(x)].astype(float)


def _check_result(name: str, result: Any) -> None:
    shape, dtype = getattr(result, "shape", None), getattr(result, "dtype", None)
    if shape != (_BLOCK,):
        became = type(result).__name__ if shape is None else f"shape {shape}"
        raise UserError(
            f"activation {name!r} is not elementwise: shape {(_BLOCK,)} became "
            f"{became}; it must keep the shape"
        )
    if dtype not in (np.float64, np.float32):
        raise UserError(
            f"activation {name!r} gives {dtype} for float64; let it keep the dtype of "
            "its argument"
        )


def _probe(found: Evaluated) -> float | None:
    """Look for a round number where the derivative is NaN.

    Raises: UserError if the function itself is NaN, or infinite at 0.
    """
    values, slopes = found.both(_PROBES)
    bad = np.isnan(values) | ((_PROBES == 0) & ~np.isfinite(values))
    if bad.any():
        place, value = _PROBES[bad][0], values[bad][0]
        where = ", where black pixels are" if place == 0 else ""
        raise UserError(
            f"activation {found.name!r} is {value} at x={place + 0:g}{where}; give it "
            "a value there, as with jnp.where"
        )
    undefined = _PROBES[np.isnan(slopes)]
    return float(undefined[0] + 0) if len(undefined) else None


def _rounds(found: Evaluated) -> bool:
    """Tell whether a change that float64 shows is lost on the way."""
    x = np.linspace(-3.0, 3.1, _BLOCK)
    values, slopes = found.both(x)
    step = 1e-11 * x
    shows = np.abs(slopes * step) > 1e-14 * np.abs(values)
    lost = found.both(x + step)[0] == values
    return bool(shows.any() and lost[shows].mean() > 0.5)


def _check_elementwise(found: Evaluated) -> None:
    """Check that a number's value depends on no other number, nor on its place.

    Raises: UserError if it does.
    """
    half = _BLOCK // 2
    x = np.linspace(-3.0, 3.1, _BLOCK)
    values = found.both(x)[0]
    others = np.concatenate([x[:half], np.cos(x[half:])])
    close = 1e4 * found.tolerance
    alone = (found.both(others)[0][:half], values[:half])
    placed = (found.both(x[::-1])[0], values[::-1])
    for now, before in (alone, placed):
        if not np.allclose(now, before, rtol=close, atol=close, equal_nan=True):
            raise UserError(
                f"activation {found.name!r} is not elementwise: the value at one place "
                "depends on the numbers at others; the theory needs a function of one "
                "number"
            )
