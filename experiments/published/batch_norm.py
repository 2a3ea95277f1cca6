"""Does BatchNorm hide the scale of an initialization?

Paper:    Ioffe & Szegedy 2015, arXiv:1502.03167, and the benchmark of Mishkin,
          Sergievskiy & Matas (github.com/ducha-aiki/caffenet-benchmark): with BatchNorm
          initializations differ by half a point to one.
Command:  python launch.py published --only=batch_norm
Cost:     a minute on two cores.
Expected: without it N(0, 0.02²) does not train eight convolutions; with it the
          difference to He's law is within five points.
Measured: undecided. Without it He is 85 points ahead (83 to 86); with it 4.8
          (−0.1 to 9.6) ahead of N(0, 0.02²), and 0.6 (−1.7 to 3.0) behind Xavier.
"""

from init_study.answers.claims.claim import Claim, above, between
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy
from init_study.study import Study

_OTHERS = ("normal(0.02)", "xavier_normal")

STUDY = Study(
    name="batch_norm",
    question="Does BatchNorm hide the scale of an initialization?",
    schemes=("he_normal", *_OTHERS),
    learning_rates=(0.003, 0.01, 0.03, 0.1),
    seeds=tuple(range(10)),
    depth=(8,),
    width=(16,),
    norm=("none", "batch"),
    steps=(300,),
)


def _behind(scheme: str, norm: str) -> Difference:
    he, other = (
        Accuracy(runs("batch_norm", s, norm=norm)) for s in ("he_normal", scheme)
    )
    return Difference(he, other)


RESULT = Claim(
    number=8,
    section="Ioffe & Szegedy 2015",
    original="",
    text="Batch normalization hides the scale of the weights.",
    reading="Eight convolutions, each at its best rate: without it He is more than "
    "five points ahead of N(0, 0.02²); with it N(0, 0.02²) and Xavier are within "
    "five points of He.",
    predictions=(
        above(_behind("normal(0.02)", "none"), 0.05),
        *(between(_behind(scheme, "batch"), -0.05, 0.05) for scheme in _OTHERS),
    ),
    literature="CaffeNet on ImageNet: 47.8 and 48.2 % with BatchNorm before the "
    "activation, LSUV and orthogonal.",
)
