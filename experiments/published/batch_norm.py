"""Does BatchNorm hide the scale of an initialization?

Paper:    Ioffe & Szegedy 2015, arXiv:1502.03167, and the benchmark of Mishkin,
          Sergievskiy & Matas (github.com/ducha-aiki/caffenet-benchmark): with BatchNorm
          initializations differ by half a point to one.
Command:  python launch.py published --only=batch_norm
Cost:     a minute on two cores.
Expected: without it He is far ahead of N(0, 0.02²) in a net of eight convolutions; with
          it at most a fifth of that is left, in either direction.
Measured: reproduced. Without it He is 85 points ahead (83 to 88), with it 4.9 % of that
          are left (−0.1 to 9.8 %), four points; 10 seeds.
"""

from init_study.answers.claims.claim import Claim, above, between
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy
from init_study.answers.claims.ratios import Ratio
from init_study.study import Study

STUDY = Study(
    name="batch_norm",
    question="Does BatchNorm hide the scale of an initialization?",
    schemes=("he_normal", "normal(0.02)"),
    learning_rates=(0.003, 0.01, 0.03, 0.1),
    seeds=tuple(range(100, 110)),
    depth=(8,),
    width=(16,),
    norm=("none", "batch"),
    steps=(300,),
)
_WITHOUT, _WITH = (
    Difference(*(Accuracy(runs("batch_norm", s, norm=norm)) for s in STUDY.schemes))
    for norm in ("none", "batch")
)

RESULT = Claim(
    number=8,
    section="Ioffe & Szegedy 2015",
    original="",
    text="Batch normalization hides the scale of the weights.",
    reading="Eight convolutions, each at its best rate: without it He is more than "
    "five points ahead of N(0, 0.02²); with it less than a fifth of that is left.",
    predictions=(
        above(_WITHOUT, 0.05),
        between(Ratio(_WITH, _WITHOUT), -0.2, 0.2),
    ),
    literature="CaffeNet on ImageNet: 47.8 and 48.2 % with BatchNorm before the "
    "activation, LSUV and orthogonal.",
)
