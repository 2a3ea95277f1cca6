"""How far does Fixup get in one pass over the data, as residual nets get deeper?

Paper:    Zhang, Dauphin & Ma 2019, arXiv:1901.09321: with Fixup and without norms very
          deep residual nets get as far in the first epoch as with BatchNorm, at the
          learning rate that is usual with it.
Command:  python launch.py published --only=fixup_first_epoch
Cost:     five minutes on two cores.
Expected: with 20 and with 38 layers no more than five points behind BatchNorm, where
          He's law without norms does not learn.
Measured: not reproduced. With 38 layers it is as reported: 17 of 20 runs of Fixup learn
          and none of He's, and Fixup is 19 points ahead of BatchNorm (3 to 35). With 20
          layers it is 19 points behind BatchNorm (8 to 30).
"""

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Learned
from init_study.study import Study

_RATE, _DEPTHS = 0.1, (8, 20, 38)

STUDY = Study(
    name="fixup_first_epoch",
    question="How far does Fixup get in one pass over the data?",
    schemes=("fixup", "he_normal"),
    learning_rates=(_RATE,),
    seeds=tuple(range(100, 120)),
    model=("resnet",),
    depth=_DEPTHS,
    width=(8,),
    norm=("none",),
    branches=("fixup",),
    # 1,078 images in batches of 32.
    steps=(34,),
    evaluations=2,
)
# Fixup has no place in a net with norms, nor have its numbers.
WITH_NORM = STUDY.replace(
    name="fixup_first_epoch_with_norm",
    question="How far does the same net get with BatchNorm?",
    schemes=("he_normal",),
    norm=("batch",),
    branches=("plain",),
)


def _fixup(depth: int) -> Accuracy:
    return Accuracy(runs("fixup_first_epoch", "fixup", depth=depth))


def _with_norm(depth: int) -> Accuracy:
    return Accuracy(runs("fixup_first_epoch_with_norm", "he_normal", depth=depth))


RESULT = Claim(
    number=17,
    section="Zhang et al. 2019",
    original="",
    text="With Fixup deep residual nets without norms get as far in the first epoch as "
    "with BatchNorm.",
    reading="After one pass over the data at rate 0.1: with 38 layers most runs of "
    "Fixup learn and few of He's law, and Fixup is no more than five points behind He "
    "with BatchNorm; with 20 layers neither.",
    predictions=(
        above(Learned(runs("fixup_first_epoch", "fixup", depth=38)), 0.5),
        below(Learned(runs("fixup_first_epoch", "he_normal", depth=38)), 0.5),
        *(
            above(Difference(_fixup(depth), _with_norm(depth)), -0.05)
            for depth in (20, 38)
        ),
    ),
    literature="CIFAR-10, depths to 10,000; the figure was not checked against the "
    "paper.",
)
