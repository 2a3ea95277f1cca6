"""Does Fixup train residual nets without norms at rates where He's law does not?

Paper:    Zhang, Dauphin & Ma 2019, arXiv:1901.09321: residual nets without norms train
          stably with Fixup, at the rates that are used with norms.
Command:  python launch.py published --only=fixup_rates
Cost:     a minute on two cores.
Expected: at rate 0.1 most runs of Fixup learn, and none of He's.
Measured: reproduced: 9 of 10 runs of Fixup learn, and 0 of 10 of He's.
"""

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Learned
from init_study.study import Study

STUDY = Study(
    name="fixup_rates",
    question="At which rates do residual nets without norms train?",
    schemes=("fixup", "he_normal"),
    learning_rates=(0.01, 0.1),
    seeds=tuple(range(10)),
    model=("resnet",),
    depth=(20,),
    width=(8,),
    norm=("none",),
    branches=("fixup",),
    steps=(150,),
    evaluations=3,
)

RESULT = Claim(
    number=9,
    section="Zhang et al. 2019",
    original="",
    text="With Fixup residual nets train without norms at rates where they do not with "
    "He's law.",
    reading="Twenty layers, rate 0.1: most runs learn with Fixup, and few with He.",
    predictions=(
        above(Learned(runs("fixup_rates", "fixup", 0.1)), 0.5),
        below(Learned(runs("fixup_rates", "he_normal", 0.1)), 0.5),
    ),
    literature="Nets of 10,000 layers train.",
)
