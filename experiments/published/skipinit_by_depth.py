"""Do deep residual nets without norms train if their branches begin at zero?

Paper:    De & Smith 2020, arXiv:2002.10444: a number on every residual branch that
          begins at zero (SkipInit) trains deep residual nets without norms; without it
          they do not.
Command:  python launch.py published --only=skipinit_by_depth
Cost:     five minutes on two cores.
Expected: most runs of 38 layers learn with SkipInit, and few with He's law alone.
Measured: reproduced. With 38 layers 20 of 20 runs learn (an interval of 80 to 100 %),
          with He's law alone 0 of 20.
"""

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Learned
from init_study.study import Study

_RATE, _SHALLOW, _DEEP = 0.03, 8, 38

STUDY = Study(
    name="skipinit_by_depth",
    question="Do deep residual nets without norms train from branches of zero?",
    schemes=("skipinit", "he_normal"),
    learning_rates=(_RATE,),
    seeds=tuple(range(100, 120)),
    model=("resnet",),
    depth=(_SHALLOW, _DEEP),
    width=(8,),
    norm=("none",),
    branches=("scalar",),
    steps=(150,),
    evaluations=3,
)
# Its numbers begin at one elsewhere: He's law on the plain branches.
PLAIN = STUDY.replace(
    name="skipinit_by_depth_plain",
    question="Do they train without such numbers?",
    schemes=("he_normal",),
    branches=("plain",),
)

RESULT = Claim(
    number=12,
    section="De & Smith 2020",
    original="",
    text="With SkipInit deep residual nets train without norms; with He's law alone "
    "they do not.",
    reading="At rate 0.03 most runs of 38 layers learn with SkipInit, and few with He "
    "alone.",
    predictions=(
        above(Learned(runs("skipinit_by_depth", "skipinit", depth=_DEEP)), 0.5),
        below(Learned(runs("skipinit_by_depth_plain", "he_normal", depth=_DEEP)), 0.5),
    ),
    literature="Depths up to 1,000 on CIFAR-10.",
)
