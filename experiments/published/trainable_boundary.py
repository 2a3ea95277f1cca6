"""Where does the depth to which tanh nets train end, beside six depth scales?

Paper:    Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, arXiv:1611.01232, figure 5:
          over depth and variance of the weights the nets that train end near 6 ξ, with
          ξ the depth scale on which correlations of inputs come to their fixed point.
Command:  python launch.py published --only=trainable_boundary
          The run's page has the heat map, depth by variance.
Cost:     ten minutes on two cores.
Expected: near six depth scales for each of five variances.
Measured: partly reproduced. The end follows the depth scale: it is at 15.0 (14.1 to
          16.0), 11.3 (7.9 to 14.6), 7.6 (7.1 to 8.0), 9.4 (8.8 to 9.9) and 8.2 (8.0 to
          8.4) of them for σ_w² of 1, 1.3, 1.5, 2.5 and 4, where 6 ξ is 22, 47, 95, 71
          and 42 layers; so it is beyond six, least where the scale is longest; 8 seeds.
"""

from dataclasses import dataclass

import numpy as np

from init_study.answers.claims.claim import Claim, Part, below, between
from init_study.answers.claims.evidence import Evidence, runs
from init_study.answers.claims.quantities import Accuracy, SeedValues
from init_study.study import Study
from init_study.theory import depth_scales

_SIGMA_B2 = 0.05
_VARIANCES = (1.0, 1.3, 1.5, 2.5, 4.0)
_DEPTHS = (8, 16, 32, 64, 128)
# Twice what a constant answer gets.
_TRAINS = 0.2

STUDY = Study(
    name="trainable_boundary",
    question="To which depth do tanh nets train, for each variance of the weights?",
    schemes=tuple(f"gaussian({variance:g}, {_SIGMA_B2:g})" for variance in _VARIANCES),
    learning_rates=(0.0003, 0.001, 0.003),
    seeds=tuple(range(100, 108)),
    model=("experiments.published.edge_of_chaos:PlainDense",),
    depth=_DEPTHS,
    width=(64,),
    steps=(600,),
    evaluations=3,
)


@dataclass(frozen=True)
class TrainsTo:
    """The depth to which one scheme trains, in depth scales ξ of its variances.

    Where the accuracy on training data falls through 20 %, on a straight line over the
    logarithm of depth; the depths at either end where it never does, or always.

    Attributes:
        scheme: of the study.
        variance: of its weights times their number of inputs, σ_w².
    """

    scheme: str
    variance: float
    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        """Name the scheme and its depth scale."""
        return (
            f"depth to which {self.scheme} trains (trainable_boundary, its best rates) "
            f"over its depth scale of {self._scale():.1f} layers"
        )

    def studies(self) -> frozenset[str]:
        """Name the study of the runs."""
        return frozenset(("trainable_boundary",))

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the ratio of each seed."""
        accuracy = np.stack(
            [
                Accuracy(
                    runs("trainable_boundary", self.scheme, depth=depth), "train"
                ).values(evidence)
                for depth in _DEPTHS
            ],
            axis=-1,
        )
        return np.array([last_depth(own) for own in accuracy]) / self._scale()

    def _scale(self) -> float:
        return depth_scales("tanh", self.variance, _SIGMA_B2)[1]


def last_depth(accuracy: np.ndarray) -> float:
    """Find the depth where accuracies `[depths]` first fall through 20 %.

    Example:
        >>> round(last_depth(np.array([0.9, 0.3, 0.1, 0.1, 0.1])), 1)
        22.6
    """
    fails = np.flatnonzero(accuracy < _TRAINS)
    if not len(fails):
        return float(_DEPTHS[-1])
    first = int(fails[0])
    if not first:
        return float(_DEPTHS[0])
    above, below = accuracy[first - 1], accuracy[first]
    share = (above - _TRAINS) / (above - below)
    low, high = np.log(_DEPTHS[first - 1 : first + 1])
    return float(np.exp(low + share * (high - low)))


_ENDS = tuple(map(TrainsTo, STUDY.schemes, _VARIANCES))

RESULT = Claim(
    number=14,
    section="Schoenholz et al. 2017",
    original="",
    text="Over depth and variance of the weights the nets that train end at about six "
    "depth scales.",
    reading="With σ_b² = 0.05 and σ_w² from 1 to 4, on either side of the edge of "
    "chaos, after 600 steps at the best of three rates: where training accuracy falls "
    "through 20 %.",
    parts=(
        Part(
            "The end follows the depth scale: while that grows from 3.4 layers to 16, "
            "it is at 4 to 16 depth scales.",
            tuple(between(end, 4.0, 16.0) for end in _ENDS),
        ),
        Part(
            "It is at six and no more than half as much again.",
            tuple(below(end, 9.0) for end in _ENDS),
        ),
    ),
    literature="MNIST and CIFAR-10, dense nets of width 300; the end moves outwards as "
    "training goes on.",
)
