"""Can a residual net start from zeros and ones alone?

Paper:    Zhao, Schäfer & Anandkumar 2021, arXiv:2110.12661 (ZerO): residual nets that
          start from identities and Hadamard matrices, without any chance, train as well
          as from random weights.
Command:  python launch.py published --only=zeros_and_ones
Cost:     a minute on two cores.
Expected: a residual net of 8 layers comes within five points of He's law.
Measured: undecided: 5.3 points behind (3.6 to 6.9), 10 seeds.
"""

from init_study.answers.claims.claim import Claim, above
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy
from init_study.study import Study

STUDY = Study(
    name="zeros_and_ones",
    question="Can a residual net start from zeros and ones alone?",
    schemes=("zero_hadamard", "he_normal"),
    learning_rates=(0.01, 0.03, 0.1),
    seeds=tuple(range(100, 110)),
    model=("resnet",),
    depth=(8,),
    width=(16,),
    norm=("batch",),
    steps=(200,),
    evaluations=4,
)

RESULT = Claim(
    number=10,
    section="Zhao et al. 2021",
    original="",
    text="Residual nets train from zeros and ones as well as from random weights.",
    reading="Eight layers with BatchNorm, each at its best rate: no more than five "
    "points behind He's law.",
    predictions=(
        above(
            Difference(
                *(Accuracy(runs("zeros_and_ones", s)) for s in STUDY.schemes),
            ),
            -0.05,
        ),
    ),
)
