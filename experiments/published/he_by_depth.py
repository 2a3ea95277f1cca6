"""Does Xavier stall where He trains, as a plain ReLU network gets deeper?

Paper:    He, Zhang, Ren & Sun 2015, arXiv:1502.01852, figures 2 and 3: with 22 layers
          both converge, with 30 "Xavier completely stalls the learning".
Command:  python launch.py published --only=he_by_depth
Cost:     a minute on two cores.
Expected: both learn at depth 4; at depth 12, with 8×8 images as deep as 30 layers
          with large ones, only He does.
Measured: reproduced. With He 10 of 10 runs learn at both depths, with Xavier 10 of
          10 at depth 4 and 0 of 10 at depth 12.
"""

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Learned
from init_study.study import Study

STUDY = Study(
    name="he_by_depth",
    question="Does Xavier stall where He trains, as a plain ReLU network gets deeper?",
    schemes=("he_normal", "xavier_normal"),
    learning_rates=(0.003, 0.01, 0.03, 0.1),
    seeds=tuple(range(10)),
    depth=(4, 12),
    width=(16,),
    steps=(300,),
)

RESULT = Claim(
    number=1,
    section="He et al. 2015",
    original="",
    text="Xavier trains shallower ReLU nets and stalls in deep ones, where He trains.",
    reading="Each at its best rate, most runs learn with both in a net of four "
    "convolutions; in one of twelve most do with He and few with Xavier.",
    predictions=(
        above(Learned(runs("he_by_depth", "he_normal", depth=4)), 0.5),
        above(Learned(runs("he_by_depth", "xavier_normal", depth=4)), 0.5),
        above(Learned(runs("he_by_depth", "he_normal", depth=12)), 0.5),
        below(Learned(runs("he_by_depth", "xavier_normal", depth=12)), 0.5),
    ),
    literature="22 layers: both converge. 30 layers: Xavier stalls, He has 38.56 % "
    "top-1 error on ImageNet.",
)
