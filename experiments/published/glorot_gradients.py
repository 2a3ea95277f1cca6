"""Do gradients by the weights hide that gradients vanish on their way back?

Paper:    Glorot & Bengio 2010, equation 14: with the usual
          initialization back-propagated gradients shrink from layer to layer, while
          gradients by the weights are of one size in all layers.
Command:  python launch.py published --only=glorot_gradients
Cost:     20 s on two cores.
Expected: orders of magnitude between the gradients at the last and the first hidden
          layer; less than one between those by their weights.
Measured: reproduced: 2.61 (2.55 to 2.67) orders of magnitude between gradients, −0.09
          (−0.19 to 0.01) between those by the weights; 10 seeds.
"""

from init_study.answers.claims.claim import Claim, above, between
from init_study.answers.claims.combinations import Log10
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Layers
from init_study.study import Study

STUDY = Study(
    name="glorot_gradients",
    question="Do gradients by the weights hide that gradients vanish on the way back?",
    schemes=("torch_kernel",),
    learning_rates=(0.001,),
    seeds=tuple(range(100, 110)),
    depth=(6,),
    width=(64,),
    activation=("tanh",),
    pooling=("none",),
    padding=("circular",),
    steps=(1,),
)
_RUNS = runs("glorot_gradients", "torch_kernel")

RESULT = Claim(
    number=3,
    section="Glorot & Bengio 2010",
    original="",
    text="With U(±1/√n), gradients vanish on their way back, and those by the weights "
    "do not show it.",
    reading="In six tanh convolutions, from the first to the last, the mean square of "
    "gradients at the outputs grows by more than 1.5 orders of magnitude, that of "
    "gradients by the weights changes by less than one.",
    predictions=(
        above(Log10(Layers(_RUNS, "gradient", "last over first")), 1.5),
        between(Log10(Layers(_RUNS, "weight_gradient", "last over first")), -1.0, 1.0),
    ),
    literature="Five dense layers of tanh.",
)
