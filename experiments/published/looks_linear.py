"""Do very deep ReLU nets train that begin linear?

Paper:    Balduzzi et al. 2017, arXiv:1702.08591: with mirrored kernels, so that the net
          begins as a linear one, plain ReLU nets of 198 layers train; from other laws
          they do not.
Command:  python launch.py published --only=looks_linear
Cost:     four minutes on two cores.
Expected: most runs of 198 layers learn from mirrored kernels, fifty points ahead of
          He's law.
Measured: reproduced. From mirrored kernels 10 of 10 runs learn (62 to 100 %), 78 points
          ahead (75 to 82) of He's law, which comes to 15 % (11 to 18).
"""

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Learned
from init_study.study import Study

STUDY = Study(
    name="looks_linear",
    question="Do very deep ReLU nets train that begin linear?",
    schemes=("looks_linear", "he_normal"),
    learning_rates=(0.0003, 0.001),
    seeds=tuple(range(200, 210)),
    model=("experiments.published.edge_of_chaos:PlainDense",),
    activation=("relu",),
    depth=(198,),
    width=(64,),
    steps=(150,),
    evaluations=3,
)


_MIRRORED, _HE = (Accuracy(runs("looks_linear", one)) for one in STUDY.schemes)

RESULT = Claim(
    number=13,
    section="Balduzzi et al. 2017",
    original="",
    text="Plain ReLU nets of 198 layers train if they begin as linear ones, and do not "
    "from He's law.",
    reading="198 dense layers of 64 units, 150 steps, each at its best rate: most runs "
    "learn from mirrored kernels, more than fifty points ahead of He's law, which is "
    "below 30 %.",
    predictions=(
        above(Learned(runs("looks_linear", "looks_linear")), 0.5),
        above(Difference(_MIRRORED, _HE), 0.5),
        below(_HE, 0.3),
    ),
    literature="Convolutional nets of 198 layers on CIFAR-10.",
)
