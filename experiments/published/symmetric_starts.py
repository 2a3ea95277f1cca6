"""Do nets whose filters start alike ever tell them apart, and how little does it take?

Paper:    Blumenfeld, Gilboa & Soudry 2020, arXiv:2007.01038, ICML, "Beyond signal
          propagation: is feature diversity necessary in deep neural network
          initialization?": nets with equal features train where something breaks the
          symmetry; a little noise does, and so does that of a GPU's sums.
Command:  python launch.py published --only=symmetric_starts
Cost:     six minutes on two cores.
Expected: here training is deterministic to the last bit: without noise filters stay
          copies of one another, so that a layer is as good as a single filter. With
          noise of 1e-8 to 1e-2 on weights of 0.01 the same net is ahead of that.
Measured: reproduced. Without noise one filter of 16 is distinct in every layer, no run
          from zeros learns, and those from the constant come as far as one filter gets.
          Noise of 1e-2 brings 59 points more (49 to 68), 1e-5 24 (18 to 30), and 1e-8
          12 (8 to 15), in 1,000 steps; 40 seeds.
"""

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import Runs, runs
from init_study.answers.claims.quantities import Accuracy, Layers, Learned
from init_study.study import Study

_ALIKE = "constant(0.01)"
_NOISY = tuple(f"noisy({size}, rest='{_ALIKE}')" for size in ("1e-8", "1e-5", "1e-2"))

STUDY = Study(
    name="symmetric_starts",
    question="Do nets whose filters start alike ever tell them apart?",
    schemes=("zeros", _ALIKE, *_NOISY),
    learning_rates=(0.01, 0.03, 0.1),
    seeds=tuple(range(200, 240)),
    depth=(4,),
    width=(16,),
    steps=(1000,),
)


def _distinct(start: Runs) -> Layers:
    return Layers(start, "distinct", "greatest", first=False)


_ZEROS, _COPIES, *_APART = (runs("symmetric_starts", s) for s in STUDY.schemes)

RESULT = Claim(
    number=4,
    section="Blumenfeld et al. 2020",
    original="",
    text="Filters that start alike stay alike without noise, and a little noise is "
    "enough to tell them apart.",
    reading="Each at its best rate, after 1,000 steps: from zeros and from a constant "
    "no layer has more than one distinct filter in ten, and few runs from zeros learn; "
    "with noise of 1e-8, 1e-5 and 1e-2 the constant comes more than five points "
    "further.",
    predictions=(
        below(_distinct(_ZEROS), 0.1),
        below(Learned(_ZEROS), 0.5),
        below(_distinct(_COPIES), 0.1),
        *(above(Difference(Accuracy(n), Accuracy(_COPIES)), 0.05) for n in _APART),
    ),
    literature="With the noise of a GPU's sums such nets come to the accuracy of those "
    "that start at random.",
)
