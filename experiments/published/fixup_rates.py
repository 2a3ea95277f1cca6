"""Does Fixup train residual nets without norms at rates where He's law does not?

Paper:    Zhang, Dauphin & Ma 2019, arXiv:1901.09321: residual nets without norms train
          stably with Fixup, at the rates that are used with norms.
Command:  python launch.py published --only=fixup_rates
Cost:     eight minutes on two cores.
Expected: at rate 0.1 most runs learn with Fixup, and with He's law if there is
          BatchNorm; without it few do, but most at rate 0.001.
Measured: reproduced. At rate 0.1 66 of 80 runs of Fixup learn (70 to 92 %) and 80 of
          80 with BatchNorm, none of 80 with He alone; at rate 0.001 78 of 80.
"""

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Learned
from init_study.study import Study

_SMALL, _USUAL = 0.001, 0.1

STUDY = Study(
    name="fixup_rates",
    question="At which rates do residual nets without norms train?",
    schemes=("fixup", "he_normal"),
    learning_rates=(_SMALL, _USUAL),
    seeds=tuple(range(300, 380)),
    model=("resnet",),
    depth=(20,),
    width=(8,),
    norm=("none",),
    branches=("fixup",),
    steps=(150,),
    evaluations=3,
)
# Fixup has no place in a net with norms, nor have its numbers.
WITH_NORM = STUDY.replace(
    name="fixup_rates_with_norm",
    question="Does the same net train with BatchNorm, at the usual rate?",
    schemes=("he_normal",),
    learning_rates=(_USUAL,),
    norm=("batch",),
    branches=("plain",),
)

RESULT = Claim(
    number=9,
    section="Zhang et al. 2019",
    original="",
    text="With Fixup residual nets train without norms at the rates that are used with "
    "norms; with He's law only at small ones.",
    reading="Twenty layers: at rate 0.1 most runs learn with Fixup and with He and "
    "BatchNorm, and few with He alone; of these most do at rate 0.001.",
    predictions=(
        above(Learned(runs("fixup_rates", "fixup", _USUAL)), 0.5),
        below(Learned(runs("fixup_rates", "he_normal", _USUAL)), 0.5),
        above(Learned(runs("fixup_rates", "he_normal", _SMALL)), 0.5),
        above(Learned(runs("fixup_rates_with_norm", "he_normal", _USUAL)), 0.5),
    ),
    literature="Nets of 10,000 layers train.",
)
