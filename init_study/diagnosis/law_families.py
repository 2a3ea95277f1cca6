"""What kind of law numbers follow, and whether two sets of them follow one.

Of many numbers a part is looked at, always the same one.
"""

from math import erf, exp, log, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

ZEROS, CONSTANT, SIGNS, TERNARY = "zeros", "constant", "signs", "ternary"
IDENTITY, ORTHOGONAL = "identity", "orthogonal"
NORMAL, CUT, UNIFORM, LAPLACE = "normal", "cut-off normal", "uniform", "Laplace"
ONE_SIDED, TOO_FEW, OTHER = "one-sided uniform", "too few to tell", "other"
RANDOM = frozenset({NORMAL, CUT, UNIFORM, LAPLACE, ONE_SIDED})

_MOST = 20_000
# Of a standard normal law cut off at ±2: the share that is left, its second moment, and
# its fourth, 3 m₂ − 2 c³ φ(c) / P.
_KEPT = erf(sqrt(2))
CUT_SQUARE = 1 - 4 * exp(-2) / sqrt(2 * pi) / _KEPT
_CUT_FOURTH = 3 * CUT_SQUARE - 16 * exp(-2) / sqrt(2 * pi) / _KEPT
# Fourth moments over squared second ones: what a variance's sampling error comes from.
KURTOSIS = {
    NORMAL: 3.0,
    CUT: _CUT_FOURTH / CUT_SQUARE**2,
    UNIFORM: 9 / 5,
    LAPLACE: 6.0,
    ORTHOGONAL: 1.0,
    SIGNS: 1.0,
}
# The likelier law has to be a hundred times as likely; and where the likeliest is less
# likely than this to look so, it is another one.
_ODDS, _P = 100, 1e-4
# Numbers whose mean is further off than this many standard errors are around it.
_OFF_CENTRE = 6
_ROUNDED = 1e-3


class Family(NamedTuple):
    """The kind of law that numbers follow.

    Attributes:
        name: a constant of this module.
        p: of Kolmogorov and Smirnov's test against it, its scale fitted; NaN where the
            numbers themselves show it.
        centre: around what the law is symmetric; 0 where it is not tested.
    """

    name: str
    p: float = float("nan")
    centre: float = 0.0


def find_family(matrix: Float[np.ndarray, "rows columns"], blocks: int = 1) -> Family:
    """Find the kind of law that a kernel's numbers follow.

    Args:
        matrix: with a column for every output; a vector is a single row.
        blocks: of columns, that were drawn each for itself, as groups are.

    Example:
        >>> find_family(np.eye(3)).name
        'identity'
        >>> find_family(np.random.default_rng(0).normal(size=(50, 40))).name
        'normal'
    """
    if not np.isfinite(matrix).all():
        return Family(OTHER)
    shown = _shown(matrix, blocks)
    if shown is not None:
        return Family(shown)
    numbers = some_of(matrix)
    return _drawn(numbers[numbers != 0], float(abs(matrix).max()))


def _shown(matrix: np.ndarray, blocks: int) -> str | None:
    """Name what the numbers show themselves, without any test."""
    size = abs(matrix).max()
    if size == 0:
        return ZEROS
    if matrix.min() == matrix.max():
        return CONSTANT
    present = matrix != 0
    # Rows of zeros are taps that a law leaves out, as delta-orthogonal ones do.
    used = matrix[present.any(1)]
    signs = bool((abs(matrix) == size).all())
    if len(matrix) > 1:
        if present.sum(0).max() == 1 and np.ptp(abs(matrix[present])) < _ROUNDED * size:
            return IDENTITY
        ends = np.split(used, blocks, axis=1) if matrix.shape[1] % blocks == 0 else []
        if ends and not signs and all(map(_is_orthogonal, (ends[0], ends[-1]))):
            return ORTHOGONAL
    if signs:
        return SIGNS
    if matrix.size > 8 and not (present & (abs(matrix) != size)).any():
        return TERNARY
    return None


def _is_orthogonal(matrix: np.ndarray, most: int = 32) -> bool:
    """Tell whether rows or columns, whichever are fewer, have one norm and no angle."""
    few = matrix if matrix.shape[0] < matrix.shape[1] else matrix.T
    if len(few) < 2:
        return False
    few = few[:: -(-len(few) // most)].astype(np.float64)
    products = few @ few.T
    square = np.diag(products).mean()
    return bool(abs(products - square * np.eye(len(few))).max() < _ROUNDED * square)


def some_of(numbers: np.ndarray, most: int = _MOST) -> Float[np.ndarray, " n"]:
    """Choose some numbers, always the same ones, if there are many.

    Example:
        >>> some_of(np.ones((300, 300))).shape
        (20000,)
    """
    flat = np.asarray(numbers).reshape(-1)
    if flat.size > most:
        generator = np.random.default_rng(0)
        # Few are taken twice out of very many.
        many = flat.size > 20 * most
        chosen = (
            generator.integers(0, flat.size, most)
            if many
            else generator.permutation(flat.size)[:most]
        )
        flat = flat[chosen]
    return flat.astype(np.float64)


def _drawn(numbers: np.ndarray, largest: float) -> Family:
    """Name the likeliest law of numbers that look drawn."""
    count = numbers.size
    if count < 8:
        return Family(TOO_FEW)
    if numbers.min() > 0 or numbers.max() < 0:
        return _one_sided(abs(numbers), largest)
    mean, error = numbers.mean(), numbers.std() / sqrt(count)
    centre = float(mean) if abs(mean) > _OFF_CENTRE * error > 0 else 0.0
    around = numbers - centre
    # Beyond what is looked at there may be larger ones.
    most = max(float(abs(around).max()), largest - abs(centre))
    likely, scales = _likelihoods(around, most)
    best, second = sorted(likely, key=lambda name: -likely[name])[:2]
    scale = scales[best]
    p = float(stats.kstest(around, lambda x: _cumulative(best, x / scale))[1])
    if p < _P:
        return Family(OTHER, p, centre)
    if likely[best] - likely[second] < log(_ODDS):
        return Family(TOO_FEW, p, centre)
    return Family(best, p, centre)


def _one_sided(numbers: np.ndarray, largest: float) -> Family:
    """Tell U(0, a) from others that have one sign; around a number is no side."""
    if numbers.min() > 0.5 * largest:
        mean = float(numbers.mean())
        inner = _drawn(numbers - mean, float(abs(numbers - mean).max()))
        return inner._replace(centre=mean)
    p = float(stats.kstest(numbers / largest, "uniform")[1])
    return Family(ONE_SIDED if p >= _P else OTHER, p)


def _likelihoods(
    numbers: np.ndarray, largest: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Compute the log likelihood of each law at its likeliest scale, and that scale."""
    count, square = numbers.size, float(np.mean(numbers**2))
    spread = float(np.mean(abs(numbers)))
    # The law before the cut can be no narrower than half of the largest number.
    wide = max(sqrt(square), largest / 2)
    gauss = count * log(2 * pi) / 2
    likely = {
        NORMAL: -count * log(sqrt(square)) - count / 2 - gauss,
        CUT: -count * (log(wide * _KEPT) + square / wide**2 / 2) - gauss,
        UNIFORM: -count * log(2 * largest),
        LAPLACE: -count * (log(2 * spread) + 1),
    }
    scales = {NORMAL: sqrt(square), CUT: wide, UNIFORM: largest, LAPLACE: spread}
    return likely, scales


def _cumulative(name: str, x: Any) -> Any:
    """Compute the distribution function of a law of scale 1."""
    if name == NORMAL:
        return stats.norm.cdf(x)
    if name == CUT:
        return np.clip((stats.norm.cdf(x) - 0.5) / _KEPT + 0.5, 0, 1)
    if name == UNIFORM:
        return np.clip((x + 1) / 2, 0, 1)
    return stats.laplace.cdf(x)


def follows(numbers: np.ndarray, drawn: np.ndarray) -> float:
    """Compute how likely such a difference is if numbers and a draw have one law.

    The least p of four tests, times four: Kolmogorov and Smirnov's and Welch's, of the
    numbers and of their sizes. It takes the numbers for independent; a law that ties
    them gives small p of two draws of its own as well.

    Args:
        numbers: of any shape.
        drawn: by the law.

    Example:
        >>> draw = np.random.default_rng(0).normal
        >>> follows(draw(size=500), draw(size=500)) > 0.01
        True
        >>> follows(draw(size=500), 2 * draw(size=500)) < 1e-6
        True
    """
    one, other = some_of(numbers), some_of(drawn)
    if np.array_equal(one, other):
        return 1.0
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return 0.0
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        alike = np.allclose(one, other[:1], rtol=1e-5) and np.ptp(other) == 0
        return 1.0 if alike else 0.0
    tests: list[Any] = [
        p
        for a, b in ((one, other), (abs(one), abs(other)))
        for p in (
            stats.ks_2samp(a, b, method="asymp")[1],
            stats.ttest_ind(a, b, equal_var=False)[1] if _vary(a, b) else 1.0,
        )
    ]
    return float(min(1.0, len(tests) * min(tests)))


def _vary(*samples: np.ndarray) -> bool:
    """Tell whether Welch's test can be made: sizes of signs do not vary."""
    return all(np.ptp(one) > _ROUNDED * abs(one).max() for one in samples)
