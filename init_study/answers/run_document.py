"""What a plain run shows, as plain values: for a file, or for another program."""

import math
from collections.abc import Iterable
from typing import Any

from init_study.answers.comparison import Comparison
from init_study.answers.run_words import sentence


def to_json(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Turn comparisons into plain values, with the answer in words.

    Null stands for what is not a number.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> to_json([comparison])[0]["best"]
        'he_normal'
    """
    return [
        _plain(c) | {"num_seeds": c.num_seeds, "best": c.best, "answer": sentence(c)}
        for c in comparisons
    ]


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
