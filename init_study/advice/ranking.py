"""The ranking of schemes from their evidence, and two simple rules to hold it against.

The score is one number that theory gives, the logarithm of the speed of
`evidence_of_start`; nothing in it is fitted, so that every setting of the table is out
of its sample. A rule names one scheme: it comes first, all others are equal.
"""

from collections.abc import Mapping, Sequence
from math import isfinite, log10

import numpy as np
from jaxtyping import Float

from init_study.advice.evidence_of_start import StartEvidence
from init_study.advice.settings import RELU_LIKE, NetKind

# Of starts that learn nothing, or are not finite: behind all others.
_LAST = -12.0


def score(evidence: StartEvidence) -> float:
    """Score a scheme by the evidence of its starts; the greatest comes first.

    Args:
        evidence: of its starts.

    Returns: decades of the speed, down to −12; −inf for a start that is not finite.

    Example:
        >>> nothing = StartEvidence(*[0.0] * len(StartEvidence._fields))
        >>> score(nothing), score(nothing._replace(speed=0.1))
        (-12.0, -1.0)
    """
    if not (isfinite(evidence.speed) and isfinite(evidence.loss)):
        return float("-inf")
    return max(_LAST, log10(evidence.speed)) if evidence.speed > 0 else _LAST


def rank(evidence: Mapping[str, StartEvidence]) -> list[str]:
    """Rank schemes by their evidence, the first of equals first.

    Args:
        evidence: by scheme.

    Raises: nothing; a start that is not finite comes last.
    """
    return sorted(evidence, key=lambda name: -score(evidence[name]))


def he_or_xavier(described: NetKind) -> str:
    """Name what a first rule would take: He's law for ReLU and its like, else Xavier's.

    Args:
        described: the network.

    Example:
        >>> he_or_xavier(NetKind(4, "tanh", False, False, 64, 10))
        'xavier_normal'
    """
    return "he_normal" if described.activation in RELU_LIKE else "xavier_normal"


def framework_default(described: NetKind) -> str:
    """Name what a second rule would take: the default of the framework, here Flax's.

    Args:
        described: the network; all settings of the table are in Flax.
    """
    return "flax"


def scores_of_rule(first: str, schemes: Sequence[str]) -> Float[np.ndarray, " n"]:
    """Score schemes as a rule does that names one.

    Args:
        first: what it names.
        schemes: to be scored.

    Example:
        >>> scores_of_rule("b", ["a", "b"]).tolist()
        [0.0, 1.0]
    """
    return np.array([float(name == first) for name in schemes])
