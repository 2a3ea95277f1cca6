"""Does MetaInit find its way from a bad start?

Paper:    Dauphin & Schoenholz 2019, NeurIPS (MetaInit): norms of kernels that make the
          gradient change least bring plain nets from starts at which they do not train
          to those at which they do.
Command:  python launch.py published --only=metainit_rescue
Cost:     four minutes on two cores.
Expected: a start at which the net does not train becomes one at which it does, no more
          than five points behind He's law.
Measured: partly reproduced. From N(0, 0.02²) it comes 70 points further than that start
          (62 to 78), and stays 18 points behind He's law (10 to 26); 60 seeds.
"""

from init_study.answers.claims.claim import Claim, Part, above
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy
from init_study.study import Study

_BAD = "normal(0.02)"

STUDY = Study(
    name="metainit_rescue",
    question="Does MetaInit find its way from a bad start?",
    schemes=(f"metainit(rest='{_BAD}')", _BAD, "he_normal"),
    learning_rates=(0.03, 0.1),
    seeds=tuple(range(200, 260)),
    depth=(4,),
    width=(12,),
    steps=(600,),
    evaluations=3,
)
_METAINIT, _START, _HE = (Accuracy(runs("metainit_rescue", s)) for s in STUDY.schemes)

RESULT = Claim(
    number=19,
    section="Dauphin & Schoenholz 2019",
    original="",
    text="From a start at which a plain net does not train MetaInit brings it to one "
    "at which it does.",
    reading="Four convolutions, 600 steps, each at its best rate.",
    parts=(
        Part(
            "From N(0, 0.02²) it is more than five points ahead of that start.",
            (above(Difference(_METAINIT, _START), 0.05),),
        ),
        Part(
            "It is no more than five points behind He's law.",
            (above(Difference(_METAINIT, _HE), -0.05),),
        ),
    ),
    literature="Plain nets on CIFAR-10 and ResNet-50 on ImageNet, without norms, at "
    "the accuracy of those with norms.",
)
