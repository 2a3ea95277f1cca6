"""Do kernels that pass images through reach a target in fewer steps?

Paper:    Jordan 2024, arXiv:2404.00498 (airbench): with the first filters of every
          convolution at the identity a small net reaches 94 % on CIFAR-10 in 18 epochs
          instead of 21.
Command:  python launch.py published --only=dirac_speed
Cost:     two minutes on two cores.
Expected: in more than half of the seeds earlier at 90 % validation accuracy.
Measured: reproduced: earlier in 92 % of 40 seeds (80 to 98).
"""

from init_study.answers.claims.claim import Claim, above
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Earlier
from init_study.study import Study

_TARGET = 0.9

STUDY = Study(
    name="dirac_speed",
    question="Do kernels that pass images through reach a target in fewer steps?",
    schemes=("partial_dirac", "torch"),
    learning_rates=(0.01, 0.03, 0.1),
    seeds=tuple(range(100, 140)),
    depth=(8,),
    width=(12,),
    norm=("batch",),
    steps=(150,),
    evaluations=50,
)

RESULT = Claim(
    number=21,
    section="Jordan 2024",
    original="",
    text="With kernels that begin as the identity a net with norms gets to a target "
    "in fewer steps.",
    reading="Eight convolutions with BatchNorm, each law at its best rate: earlier at "
    "90 % validation accuracy than PyTorch's law in more than half of the seeds.",
    predictions=(
        above(
            Earlier(
                runs("dirac_speed", "partial_dirac"),
                runs("dirac_speed", "torch"),
                _TARGET,
            ),
            0.5,
        ),
    ),
    literature="18 epochs instead of 21 to 94 % on CIFAR-10.",
)
