"""Can a residual net start from zeros and ones alone?

Paper:    Zhao, Schäfer & Anandkumar 2021, arXiv:2110.12661 (ZerO): residual nets that
          start from identities and Hadamard matrices, without any chance, train as well
          as from random weights.
Command:  python launch.py published --only=zeros_and_ones
Cost:     six minutes on two cores.
Expected: at the end of training a residual net of 8 layers is within a point of He's
          law.
Measured: not reproduced: 1.9 points behind (1.6 to 2.3), 20 seeds.
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
    learning_rates=(0.03, 0.1),
    seeds=tuple(range(300, 320)),
    model=("resnet",),
    depth=(8,),
    width=(16,),
    norm=("batch",),
    steps=(1000,),
    evaluations=4,
)

RESULT = Claim(
    number=10,
    section="Zhao et al. 2021",
    original="",
    text="Residual nets train from zeros and ones as well as from random weights.",
    reading="Eight layers with BatchNorm, 30 passes over the data, each at its best "
    "rate: no more than a point behind He's law.",
    predictions=(
        above(
            Difference(
                *(Accuracy(runs("zeros_and_ones", s)) for s in STUDY.schemes),
            ),
            -0.01,
        ),
    ),
)
