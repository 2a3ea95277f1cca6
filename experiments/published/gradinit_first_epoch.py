"""Do learned scales help a deep residual net without norms in its first epoch?

Paper:    Zhu et al. 2021, arXiv:2102.08098 (GradInit): with a factor for every
          parameter that is learned before training, residual nets without norms are
          further after the first epoch than from He's law alone.
Command:  python launch.py published --only=gradinit_first_epoch
Cost:     five minutes on two cores.
Expected: after one pass over the data, 20 layers: more than five points ahead.
Measured: reproduced: 32 points ahead (23 to 41), 20 seeds.
"""

from init_study.answers.claims.claim import Claim, above
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy
from init_study.study import Study

STUDY = Study(
    name="gradinit_first_epoch",
    question="Do learned scales help a deep net without norms in its first epoch?",
    schemes=("gradinit", "he_normal"),
    learning_rates=(0.003, 0.01, 0.03, 0.1),
    seeds=tuple(range(100, 120)),
    model=("resnet",),
    depth=(20,),
    width=(8,),
    norm=("none",),
    # 1,078 images in batches of 32.
    steps=(34,),
    evaluations=2,
)

RESULT = Claim(
    number=18,
    section="Zhu et al. 2021",
    original="",
    text="GradInit brings deep residual nets without norms further in the first epoch "
    "than He's law.",
    reading="After one pass over the data with 20 layers, each at its best rate, it is "
    "more than five points ahead.",
    predictions=(
        above(
            Difference(
                *(Accuracy(runs("gradinit_first_epoch", s)) for s in STUDY.schemes)
            ),
            0.05,
        ),
    ),
    literature="ResNet-110 and VGG-19 without norms on CIFAR-10; the figures were not "
    "checked against the paper.",
)
