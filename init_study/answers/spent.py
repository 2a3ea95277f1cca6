"""What a run spent its time on, in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any


def spent_in_words(sessions: Sequence[Mapping[str, Any]]) -> str:
    """Say how long the parts of a run took, the longest first; empty if not known.

    Parts of less than half a second are left out.

    Args:
        sessions: of its manifest.

    Example:
        >>> parts = {"training": 40.2, "compiling": 9.9, "saving": 0.1}
        >>> spent_in_words([{"spent": parts}, {}])
        'training 40 s, compiling 10 s'
    """
    seconds: dict[str, float] = defaultdict(float)
    for session in sessions:
        for name, value in session.get("spent", {}).items():
            seconds[name] += value
    longest = sorted(seconds.items(), key=lambda part: -part[1])
    return ", ".join(f"{name} {value:.0f} s" for name, value in longest if value >= 0.5)
