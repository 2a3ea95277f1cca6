"""Do orthogonal kernels train very deep tanh nets that Gaussian ones do not?

Paper:    Xiao et al. 2018, arXiv:1806.05393: with delta-orthogonal kernels plain tanh
          nets of 10,000 layers train; at the same variance Gaussian ones are slower
          the deeper they are.
Command:  python launch.py published --only=delta_orthogonal
Cost:     eight minutes on two cores.
Expected: with 256 layers, after 100 steps, delta-orthogonal is ahead of Gaussian
          kernels of the same variance, on training data and in steps to a target.
Measured: reproduced. All of 10 runs learn; accuracy on training data is 49 points ahead
          (43 to 55), and in all 10 seeds 30 % on validation data come first.
"""

import flax.linen as nn
import jax

from init_study.answers.claims.claim import Claim, above
from init_study.answers.claims.combinations import Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Earlier, Learned
from init_study.study import Study

STUDY = Study(
    name="delta_orthogonal",
    question="Do orthogonal kernels train very deep tanh nets that others do not?",
    schemes=("delta_orthogonal", "lecun_normal"),
    learning_rates=(0.0003, 0.001, 0.003),
    seeds=tuple(range(100, 110)),
    model=("experiments.published.delta_orthogonal:DeepTanh",),
    depth=(256,),
    width=(16,),
    steps=(100,),
    evaluations=10,
)


class DeepTanh(nn.Module):
    """Tanh convolutions on a torus of half the image's size, and a dense head on all.

    A head on means over pixels would see nothing but the mean of the image: behind
    small signals the net is a linear one that is the same everywhere.
    """

    num_classes: int
    depth: int
    width: int

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Compute the logits of images `[n, height, width, channels]`."""
        x = images
        for layer in range(self.depth):
            strides = 1 if layer else 2
            x = nn.Conv(self.width, (3, 3), strides, padding="CIRCULAR")(x)
            x = nn.tanh(x)
        return nn.Dense(self.num_classes)(x.reshape(len(x), -1))


_ORTHOGONAL, _GAUSSIAN = (runs("delta_orthogonal", one) for one in STUDY.schemes)

RESULT = Claim(
    number=5,
    section="Xiao et al. 2018",
    original="",
    text="In very deep tanh nets delta-orthogonal kernels train faster than Gaussian "
    "ones of the same variance.",
    reading="256 convolutions at the critical variance, 100 steps, each at its best "
    "rate: most runs learn, accuracy on training data is more than five points ahead, "
    "and in more than half of the seeds 30 % on validation data come first.",
    predictions=(
        above(Learned(_ORTHOGONAL), 0.5),
        above(
            Difference(
                Accuracy(_ORTHOGONAL, "train"),
                Accuracy(_GAUSSIAN, "train"),
            ),
            0.05,
        ),
        above(Earlier(_ORTHOGONAL, _GAUSSIAN, 0.3), 0.5),
    ),
    literature="10,000 layers train on MNIST and CIFAR-10.",
)
