"""Do tanh nets train to the depth that the edge of chaos tells, and no deeper?

Paper:    Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, arXiv:1611.01232, section
          5: nets train as long as they are not much deeper than 6 ξ, with ξ the depth
          scale on which correlations of inputs come to their fixed point.
Command:  python launch.py published --only=edge_of_chaos
Cost:     three minutes on two cores.
Expected: with σ_b² = 0.05, 6 ξ is 22 layers at σ_w² = 1 (ordered), 42 at 4 (chaotic)
          and more than 20,000 at 1.76 (critical): all three train at depth 10, only
          the critical one at depth 100.
Measured: reproduced. At depth 10 training accuracy is 99 to 100 % in all three phases;
          at depth 100, after 600 steps, 51 % (45 to 56) at the critical variance, 10 %
          (10 to 10) in the ordered phase and 13 % (10 to 15) in the chaotic one; 10
          seeds.
"""

import flax.linen as nn
import jax

from init_study.activations import find_activation
from init_study.answers.claims.claim import Claim, Prediction, above, below
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy
from init_study.study import Study
from init_study.theory import depth_scales

SIGMA_B2 = 0.05
VARIANCES = (1.0, 1.76, 4.0)
# Twice what a constant answer gets.
_TRAINS = 0.2

STUDY = Study(
    name="edge_of_chaos",
    question="To which depth do tanh nets train, on either side of the edge of chaos?",
    schemes=tuple(f"gaussian({variance:g}, {SIGMA_B2:g})" for variance in VARIANCES),
    learning_rates=(0.0001, 0.0003, 0.001, 0.003),
    seeds=tuple(range(100, 110)),
    model=("experiments.published.edge_of_chaos:PlainDense",),
    depth=(10, 100),
    width=(64,),
    steps=(600,),
    evaluations=6,
)


class PlainDense(nn.Module):
    """Dense layers of one width, of tanh as in the paper, and a dense head."""

    num_classes: int
    depth: int
    width: int
    activation: str = "tanh"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Compute the logits of images `[n, height, width, channels]`."""
        bend = find_activation(self.activation)
        x = images.reshape(len(images), -1)
        for _ in range(self.depth):
            x = bend(nn.Dense(self.width)(x))
        return nn.Dense(self.num_classes)(x)


def trainable_depth(sigma_w2: float) -> float:
    """Compute the depth to which nets train by the paper, 6 ξ."""
    return 6 * depth_scales("tanh", sigma_w2, SIGMA_B2)[1]


def _predicted(variance: float, scheme: str, depth: int) -> Prediction:
    accuracy = Accuracy(runs("edge_of_chaos", scheme, depth=depth), "train")
    trains = depth < trainable_depth(variance)
    return above(accuracy, _TRAINS) if trains else below(accuracy, _TRAINS)


RESULT = Claim(
    number=7,
    section="Schoenholz et al. 2017",
    original="",
    text="Tanh nets train to a depth of about six times the scale on which "
    "correlations are forgotten, and no deeper.",
    reading="With σ_b² = 0.05, each at its best rate, accuracy on training data is "
    "above 20 % where the net is shallower than 6 ξ, as theory gives it, and below "
    "where it is deeper: all of 10 layers train, of 100 only the critical ones.",
    predictions=tuple(
        _predicted(variance, scheme, depth)
        for depth in STUDY.depth
        if depth is not None
        for variance, scheme in zip(VARIANCES, STUDY.schemes, strict=True)
    ),
    literature="MNIST and CIFAR-10, dense nets of width 300 and up to 300 layers.",
)
