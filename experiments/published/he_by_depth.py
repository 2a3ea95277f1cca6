"""Does Xavier stall where He trains, as a plain ReLU network gets deeper?

Paper:    He, Zhang, Ren & Sun 2015, arXiv:1502.01852, figures 2 and 3 and table 2: nets
          of 14 layers come to the same accuracy with both, and with 30 layers "Xavier
          completely stalls the learning".
Command:  python launch.py published --only=he_by_depth
Cost:     five minutes on two cores.
Expected: at depth 14 both are within five points of one another; at depth 30 only He
          learns. Padding is circular: zeros would eat a third of the signal per layer.
Measured: not reproduced at depth 14, where Xavier is 64 points behind (43 to 84): after
          1,500 steps it has only begun to learn. At depth 30 it is as reported: with
          Xavier 0 of 10 runs learn, with He 9 of 10 (an interval of 47 to 100 %).
"""

from init_study.answers.claims.claim import Claim, above, below, between
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Learned
from init_study.study import Study

STUDY = Study(
    name="he_by_depth",
    question="Does Xavier stall where He trains, as a plain ReLU network gets deeper?",
    schemes=("he_normal", "xavier_normal"),
    learning_rates=(0.001, 0.003),
    seeds=tuple(range(100, 110)),
    depth=(14, 30),
    width=(16,),
    padding=("circular",),
    steps=(1500,),
)
_SHALLOW, _DEEP = (
    {scheme: runs("he_by_depth", scheme, depth=depth) for scheme in STUDY.schemes}
    for depth in (14, 30)
)

RESULT = Claim(
    number=1,
    section="He et al. 2015",
    original="",
    text="With 14 ReLU layers Xavier comes to the accuracy of He, with 30 it stalls "
    "where He trains.",
    reading="Each at its best rate, after 1,500 steps: with 14 convolutions most runs "
    "of He learn and Xavier is within five points of them; with 30 most runs of He "
    "learn and few of Xavier.",
    predictions=(
        above(Learned(_SHALLOW["he_normal"]), 0.5),
        between(Difference(*map(Accuracy, _SHALLOW.values())), -0.05, 0.05),
        above(Learned(_DEEP["he_normal"]), 0.5),
        below(Learned(_DEEP["xavier_normal"]), 0.5),
    ),
    literature="ImageNet, top-1 error: 33.82 % with He and 33.90 % with Xavier of 14 "
    "layers; with 30 layers Xavier stalls, He has 38.56 %.",
)
