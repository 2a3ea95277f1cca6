"""Do nets whose filters start alike ever tell them apart?

Paper:    Blumenfeld, Gilboa & Soudry 2020, ICML, "Beyond signal propagation: is feature
          diversity necessary in deep neural network initialization?": nets with equal
          features train, where the machine's own noise breaks the symmetry.
Command:  python launch.py published --only=symmetric_starts
Cost:     15 s on two cores.
Expected: here training is deterministic to the last bit: filters stay copies of one
          another, and accuracy stays at chance.
Measured: reproduced: one distinct filter of 16 in every layer, and 0 of 10 runs
          learn, from either start.
"""

from init_study.answers.claims.claim import Claim, below
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Layers, Learned
from init_study.study import Study

_STARTS = ("zeros", "constant(0.05)")

STUDY = Study(
    name="symmetric_starts",
    question="Do nets whose filters start alike ever tell them apart?",
    schemes=(*_STARTS, "he_normal"),
    learning_rates=(0.01, 0.1),
    seeds=tuple(range(10)),
    depth=(4,),
    width=(16,),
    steps=(300,),
)

RESULT = Claim(
    number=4,
    section="Blumenfeld et al. 2020",
    original="",
    text="Without noise, filters that start alike stay alike.",
    reading="After training from zeros and from a constant, no layer has more than "
    "one distinct filter in ten, and few runs learn.",
    predictions=tuple(
        prediction
        for start in _STARTS
        for prediction in (
            below(
                Layers(
                    runs("symmetric_starts", start), "distinct", "greatest", first=False
                ),
                0.1,
            ),
            below(Learned(runs("symmetric_starts", start)), 0.5),
        )
    ),
    literature="With the noise of a GPU's sums such nets train.",
)
