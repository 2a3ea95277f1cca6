"""Laws of training runs whose truth is known: what initialization does to accuracies.

Each law says how the runs of scheme 0 and those of all others fall, as accuracies
between 0.1, chance, and 1. _Runs of one seed share a part of their spread.
"""

from collections.abc import Callable
from math import log, sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

CHANCE = 0.1
_LEVEL = 0.8
_SPREAD = 0.02
_Runs = Float[np.ndarray, "schemes seeds"]


class Law(NamedTuple):
    """How runs fall, and what is true of scheme 0 beside any other scheme.

    All others have one law, so that nothing is true between them.

    Attributes:
        name: of the law.
        draw: (random generator, schemes, seeds) to accuracies.
        mean: difference of means over all runs; 0 where there is none.
        typical: median difference where both learn; 0 where neither is better in more
            than half of the seeds.
        failing: how often runs of scheme 0 and of the others fail.
        good_rates: of the learning rates tried, how many will do for scheme 0 and for
            the others; at the rest runs are 20 points behind.
    """

    name: str
    draw: Callable[[np.random.Generator, int, int], _Runs]
    mean: float = 0.0
    typical: float = 0.0
    failing: tuple[float, float] = (0.0, 0.0)
    good_rates: tuple[int, int] = (3, 3)


def simulated_laws() -> tuple[Law, ...]:
    """List the laws that occur: alike, stuck, late, skewed, tied, of unequal spread.

    Example:
        >>> law = simulated_laws()[0]
        >>> law.name, law.draw(np.random.default_rng(0), 3, 5).shape
        ('alike', (3, 5))
    """
    return (
        Law("alike", _normal),
        Law("alike, seeds correlate by 0.8", _correlated),
        Law("alike, 50 test images", _tied),
        Law("alike, one good at more rates", _normal, good_rates=(3, 1)),
        Law("alike, others good at more rates", _normal, good_rates=(1, 3)),
        Law("unequal spreads", _unequal),
        Law("skewed alike", _skewed(_all)),
        Law("one skewed, equal means", _skewed(_first), typical=_MEDIAN),
        Law("others skewed, equal means", _skewed(_others), typical=-_MEDIAN),
        Law("one skewed, equal medians", _skewed(_first, log(2)), mean=-_SHIFT),
        Law("others skewed, equal medians", _skewed(_others, log(2)), mean=_SHIFT),
        Law("late alike", _late(_all)),
        Law("one late in a fifth, equal means", _late(_first), typical=_AHEAD),
        Law("others late in a fifth, equal means", _late(_others), typical=-_AHEAD),
        Law("one a margin better", _better, mean=0.01, typical=0.01),
        *(law for share in (0.01, 0.05, 0.1, 0.2) for law in _stuck_laws(share)),
        *_stuck_laws(0.5),
        _stuck_laws(0.9)[0],
        Law("one at 90 or 10 %, others at 50 %", _plateau, 0.0, 0.4, (0.5, 0.0)),
    )


def _normal(
    rng: np.random.Generator,
    schemes: int,
    seeds: int,
    shared: float = 0.3,
    spread: float = _SPREAD,
) -> _Runs:
    common = rng.standard_normal((1, seeds)) * sqrt(shared)
    own = rng.standard_normal((schemes, seeds)) * sqrt(1 - shared)
    return np.clip(_LEVEL + spread * (common + own), 0.0, 1.0)


def _correlated(rng: np.random.Generator, schemes: int, seeds: int) -> _Runs:
    return _normal(rng, schemes, seeds, shared=0.8)


def _tied(rng: np.random.Generator, schemes: int, seeds: int) -> _Runs:
    return np.round(50 * _normal(rng, schemes, seeds)) / 50


def _unequal(rng: np.random.Generator, schemes: int, seeds: int) -> _Runs:
    spreads = np.array([1.0, 0.25, 1.5, 2.0])[np.arange(schemes) % 4, None]
    return _LEVEL + spreads * (_normal(rng, schemes, seeds) - _LEVEL)


def _better(rng: np.random.Generator, schemes: int, seeds: int) -> _Runs:
    runs = _normal(rng, schemes, seeds, spread=_SPREAD / 4)
    runs[0] += 0.01
    return runs


def _all(schemes: int) -> Float[np.ndarray, "schemes 1"]:
    return np.ones((schemes, 1))


def _first(schemes: int) -> Float[np.ndarray, "schemes 1"]:
    return np.eye(schemes, 1)


def _others(schemes: int) -> Float[np.ndarray, "schemes 1"]:
    return 1 - np.eye(schemes, 1)


_Which = Callable[[int], Float[np.ndarray, "schemes 1"]]
# An exponential law below its mean: by so much its median is above that.
_MEDIAN = _SPREAD * (1 - log(2))
_SHIFT = _MEDIAN


def _skewed(which: _Which, top: float = 1.0) -> Callable[..., _Runs]:
    """Give runs a long tail below; the others vary by less than one test image."""

    def draw(rng: np.random.Generator, schemes: int, seeds: int) -> _Runs:
        tail = _SPREAD * (top - rng.exponential(size=(schemes, seeds)))
        noise = 5e-4 * rng.standard_normal((schemes, seeds))
        return np.clip(_LEVEL + noise + which(schemes) * tail, 0.0, 1.0)

    return draw


# A fifth of the runs are behind, up to 30 points, which is 3 points in the mean.
_LATE, _BEHIND = 0.2, 0.3
_AHEAD = _LATE * _BEHIND / 2


def _late(which: _Which) -> Callable[..., _Runs]:
    def draw(rng: np.random.Generator, schemes: int, seeds: int) -> _Runs:
        size = (schemes, seeds)
        behind = np.where(rng.random(size) < _LATE, _BEHIND * rng.random(size), 0.0)
        runs = _normal(rng, schemes, seeds, spread=_SPREAD / 2)
        return runs + which(schemes) * (_AHEAD - behind)

    return draw


def _plateau(rng: np.random.Generator, schemes: int, seeds: int) -> _Runs:
    """Let scheme 0 be at 90 or 10 %, half of its runs each, and the others at 50 %."""
    runs = 0.5 + 0.005 * rng.standard_normal((schemes, seeds))
    runs[0] += np.where(rng.random(seeds) < 0.5, 0.4, -0.4)
    return runs


def _stuck_laws(share: float) -> tuple[Law, ...]:
    """Let a share of runs stay at chance: of all, of the others, of a better one."""
    lost = share * (_LEVEL - CHANCE)
    ahead = 0.015
    better = (1 - share) * ahead - lost
    percent = f"{share:.0%}"
    return (
        Law(f"{percent} stuck alike", _stuck(_all, share), failing=(share, share)),
        Law(
            f"others stuck in {percent}",
            _stuck(_others, share),
            mean=lost,
            failing=(0.0, share),
        ),
        Law(
            f"one 1.5 points better, stuck in {percent}",
            _stuck(_first, share, ahead),
            mean=better,
            typical=ahead,
            failing=(share, 0.0),
        ),
    )


def _stuck(which: _Which, share: float, ahead: float = 0.0) -> Callable[..., _Runs]:
    def draw(rng: np.random.Generator, schemes: int, seeds: int) -> _Runs:
        runs = _normal(rng, schemes, seeds)
        runs[0] += ahead
        at_chance = rng.random((schemes, seeds)) < share * which(schemes)
        return np.where(at_chance, CHANCE, runs)

    return draw
