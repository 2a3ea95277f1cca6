"""Do orthogonal kernels train very deep tanh nets that Gaussian ones do not?

Paper:    Xiao et al. 2018, arXiv:1806.05393: with delta-orthogonal kernels plain tanh
          nets of 10,000 layers train; at the same variance Gaussian ones are slower
          the deeper they are.
Command:  python launch.py published --only=delta_orthogonal
Cost:     a minute on two cores.
Expected: at depth 40, after 150 steps, delta-orthogonal is ahead of Gaussian kernels
          of the same variance.
Measured: undecided: 2.0 points ahead (−4.3 to 8.4), 10 seeds; all of its runs learn.
"""

from init_study.answers.claims.claim import Claim, above
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Learned
from init_study.study import Study

STUDY = Study(
    name="delta_orthogonal",
    question="Do orthogonal kernels train very deep tanh nets that others do not?",
    schemes=("delta_orthogonal", "lecun_normal"),
    learning_rates=(0.001, 0.003, 0.01),
    seeds=tuple(range(100, 110)),
    depth=(40,),
    width=(16,),
    activation=("tanh",),
    padding=("circular",),
    pooling=("average",),
    steps=(150,),
    evaluations=3,
)
_ORTHOGONAL, _GAUSSIAN = (
    Accuracy(runs("delta_orthogonal", scheme)) for scheme in STUDY.schemes
)

RESULT = Claim(
    number=5,
    section="Xiao et al. 2018",
    original="",
    text="In very deep tanh nets delta-orthogonal kernels train faster than Gaussian "
    "ones of the same variance.",
    reading="Forty convolutions, 150 steps, each at its best rate: most runs learn, "
    "and accuracy is more than five points ahead.",
    predictions=(
        above(Learned(runs("delta_orthogonal", "delta_orthogonal")), 0.5),
        above(Difference(_ORTHOGONAL, _GAUSSIAN), 0.05),
    ),
    literature="10,000 layers train on MNIST and CIFAR-10.",
)
