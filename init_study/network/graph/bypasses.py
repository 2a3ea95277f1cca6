"""Sums of which a part goes past all kernels: no initializer makes these branches zero.

    n = norm(x); y = x + 0.1 * (n + b(n))        n goes past b
    y = x + b0(x); z = y + b1(y); s = x + z      x goes past b0 and b1

Where the sums inside are branches of their own, a scheme sets those.
"""

from collections.abc import Iterable

from init_study.network.graph.ends import Ends
from init_study.network.graph.walks import Ways


def is_bypassed(
    walk: Ways,
    summands: list[int],
    ends: list[Ends],
    others: Iterable[tuple[int, frozenset[int]]],
) -> bool:
    """Tell whether a part of a branch goes past its kernels, which end other branches.

    Args:
        walk: through the graph.
        summands: the terms of the branch.
        ends: what they end in.
        others: the sums that were found before it, those inside of it among them, and
            the results of the kernels that end their branches.
    """
    inner = {
        result
        for output, results in others
        if any(walk.depends(value, output) for value in summands)
        for result in results
    }
    opened = [one.results for one in ends if one.is_open]
    return bool(opened) and all(results and results <= inner for results in opened)
