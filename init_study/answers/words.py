"""Numbers as words: shares in per cent, intervals, rates, counts."""

import math
from collections.abc import Sequence

from init_study.answers.statistics import Interval


def percent(share: float) -> str:
    """Write a share in per cent, one decimal, with a true minus: `94.1`, `−0.2`.

    Zero has no sign.

    Example:
        >>> percent(0.9414), percent(-0.002), percent(float("nan"))
        ('94.1', '−0.2', '–')
    """
    return "–" if math.isnan(share) else f"{100 * share:z.1f}".replace("-", "−")


def plus_minus(interval: Interval) -> str:
    """Write a mean and half its interval in %: `94.1 ± 0.6`; else the mean alone.

    Example:
        >>> plus_minus(Interval(0.5, 0.4, 0.6, 5))
        '50.0 ± 10.0'
    """
    width = interval.high - interval.mean
    mean = percent(interval.mean)
    return mean if math.isnan(width) else f"{mean} ± {percent(width)}"


def low_to_high(interval: Interval) -> str:
    """Write an interval in points: `−0.2 to 1.0`; empty if there is none.

    Example:
        >>> low_to_high(Interval(0.5, 0.4, 0.6, 5))
        '40.0 to 60.0'
    """
    if math.isnan(interval.low):
        return ""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def rate(learning_rate: float) -> str:
    """Write a learning rate in three digits: `0.1`, `3e-05`.

    Example:
        >>> rate(0.00003)
        '3e-05'
    """
    return f"{learning_rate:.3g}"


def count(n: int, word: str) -> str:
    """Write a number of things: `1 seed`, `5 seeds`.

    Example:
        >>> count(1, "seed"), count(5, "seed")
        ('1 seed', '5 seeds')
    """
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def many(names: Sequence[str]) -> str:
    """Write names as a list: `a`, `a and b`, `a, b and c`.

    Example:
        >>> many(["he", "xavier", "torch"])
        'he, xavier and torch'
    """
    return " and ".join([*filter(None, [", ".join(names[:-1])]), *names[-1:]])


def not_excluded(high: float) -> str:
    """Say up to what rate of failure runs exclude none.

    Example:
        >>> not_excluded(0.4507)
        'a rate of failure up to 45 % is not excluded'
    """
    return f"a rate of failure up to {100 * high:.0f} % is not excluded"
