"""Do deep tanh nets train only near the edge of chaos?

Paper:    Schoenholz et al. 2017, arXiv:1611.01232, and Xiao et al. 2018,
          arXiv:1806.05393: the deeper a net, the narrower the range of weight variances
          around the critical one at which it trains.
Command:  python launch.py published --only=edge_of_chaos
Cost:     three minutes on two cores.
Expected: at depth 4 all variances train; at depth 24 the critical one, 1 without
          biases, is ahead of a quarter and of four times of it.
Measured: not reproduced. At depth 24 a quarter of the critical variance is 16 points
          behind (11 to 21), but four times of it is 15 points ahead (9 to 22): in 200
          steps on 8×8 digits the chaotic side trains best.
"""

from init_study.answers.claims.claim import Claim, above
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Learned
from init_study.study import Study

VARIANCES = (0.25, 0.5, 1.0, 2.0, 4.0)
_SCHEMES = tuple(f"variance_scaling({variance:g})" for variance in VARIANCES)

STUDY = Study(
    name="edge_of_chaos",
    question="Do deep tanh nets train only near the edge of chaos?",
    schemes=_SCHEMES,
    learning_rates=(0.001, 0.003, 0.01, 0.03),
    seeds=tuple(range(10)),
    depth=(4, 24),
    width=(16,),
    activation=("tanh",),
    padding=("circular",),
    pooling=("average",),
    steps=(200,),
    evaluations=4,
)


def _accuracy(scheme: str) -> Accuracy:
    return Accuracy(runs("edge_of_chaos", scheme, depth=24))


RESULT = Claim(
    number=7,
    section="Schoenholz et al. 2017, Xiao et al. 2018",
    original="",
    text="Deep tanh nets train near the critical variance, and not far from it.",
    reading="Each at its best rate: of four convolutions, most runs learn at a quarter "
    "and at four times the critical variance; of twenty-four, both are more than five "
    "points behind it.",
    predictions=(
        above(Learned(runs("edge_of_chaos", _SCHEMES[0], depth=4)), 0.5),
        above(Learned(runs("edge_of_chaos", _SCHEMES[4], depth=4)), 0.5),
        above(Difference(_accuracy(_SCHEMES[2]), _accuracy(_SCHEMES[0])), 0.05),
        above(Difference(_accuracy(_SCHEMES[2]), _accuracy(_SCHEMES[4])), 0.05),
    ),
)
