"""Where an activation jumps, which no quadrature of its derivative sees."""

from functools import partial

import numpy as np
from jaxtyping import Float

from init_study.theory.evaluation import Evaluated
from init_study.theory.quadrature import misfits

# In parts of the function's size around there. Roots, as |x|^0.6, stay below it.
_LEAST = 1e-8
_LEAST_IN_TOLERANCES = 1e3
_NARROWEST, _NARROWEST_AT_ZERO = 1e-13, 1e-30
# Halved at a time, those that fit worst for their width. More are left only where the
# derivative that JAX gives is another function's, as with `stop_gradient`: those fit
# better the narrower they are, and one with a jump does not.
_MOST_PANELS = 4096


def find_jump(
    function: Evaluated, root: float, size: float, panels: Float[np.ndarray, "p 2"]
) -> float | None:
    """Find a place where φ is not continuous; None if there is none.

    A panel in which φ rises by something else than the integral of φ' is halved until
    it fits, as around a kink, or is as narrow as floating point allows. What is left
    there is a jump, however it lies to the panels.

    Args:
        function: φ.
        root: √q; panels are of z, where x = √q z.
        size: of φ, typically; what is tiny beside it is no jump.
        panels: first ones, left and right ends, narrow where φ is known to be rough.

    Returns: an x, of several found at once the nearest to 0.

    Example:
        >>> from init_study.theory.evaluation import evaluated
        >>> step = evaluated(lambda x: jnp.where(x > 0.5, 2.0, 0.0))
        >>> round(find_jump(step, 1.0, 1.0, np.array([[-1.0, 0.3], [0.3, 1.0]])), 6)
        0.5
        >>> find_jump(evaluated("relu"), 1.0, 1.0, np.array([[-1.0, 1.2]])) is None
        True
    """
    least = max(_LEAST, _LEAST_IN_TOLERANCES * function.tolerance)
    scaled = partial(_scaled, function, root)
    left, right = _halves(*panels.T)
    difference, size_here = misfits(scaled, left, right)
    limit = least * np.maximum(size, _size_around(left, size_here))
    while True:
        # What is not finite does not count here: its moments do not exist anyway.
        bad = np.flatnonzero(difference > limit)
        if not len(bad):
            return None
        steepness = difference[bad] / (right - left)[bad]
        worst = bad[np.argsort(steepness)[-_MOST_PANELS:]]
        left, right, limit = left[worst], right[worst], np.tile(limit[worst], 2)
        middle = (left + right) / 2
        narrow = right - left <= np.maximum(
            _NARROWEST * np.abs(middle), _NARROWEST_AT_ZERO
        )
        if narrow.any():
            found = root * middle[narrow]
            return float(found[np.abs(found).argmin()])
        left, right = _halves(left, right)
        difference, _ = misfits(scaled, left, right)


def _size_around(
    z: Float[np.ndarray, " p"], sizes: Float[np.ndarray, " p"]
) -> Float[np.ndarray, " p"]:
    """Find the largest size within about 1 of each place.

    In a narrow panel where φ is almost zero, rounding of z would be a jump.
    """
    cells = np.floor(z).astype(int)
    cells -= cells.min() - 1
    largest = np.zeros(cells.max() + 2)
    np.fmax.at(largest, cells, sizes)
    return np.maximum(
        largest[cells], np.maximum(largest[cells - 1], largest[cells + 1])
    )


def _halves(
    left: Float[np.ndarray, " p"], right: Float[np.ndarray, " p"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    middle = (left + right) / 2
    return np.concatenate([left, middle]), np.concatenate([middle, right])


def _scaled(
    function: Evaluated, root: float, z: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    values, slopes = function.both(root * z)
    with np.errstate(over="ignore"):
        return values, root * slopes
