"""Rules that several claims share: one sentence at two places has one rule."""

from init_study.answers.claims.claim import Part, Prediction, above, below, between
from init_study.answers.claims.combinations import Check, Difference, Exceeds, Log10
from init_study.answers.claims.evidence import Runs, runs
from init_study.answers.claims.quantities import Accuracy, Layers, Learned, Rises

from .studies import CLEAR, LARGE, RANDOM

STALLS = (
    "He et al. 2015: with 30 layers of ReLU on ImageNet Xavier stalls; with 14 it is "
    "as good as He, 33.90 against 33.82 % error. Glorot & Bengio 2010, table 1: with "
    "tanh it lowers the error on all four data sets."
)
BOUNDED = ("tanh", "sigmoid")
# In nats: what the loss climbs beyond another's where one oscillates and one does not.
_CLIMB = 0.1
_LAW_IS_MET = 0.005


def at(scheme: str, depth: int = 4, rate: float | None = None) -> Runs:
    """Describe the runs of a method in a ReLU net of some depth."""
    return runs("methods", scheme, rate, depth=depth)


def behind(scheme: str, other: str, depth: int = 4) -> Difference:
    """Describe a method's accuracy less another's, each at its best rate."""
    return Difference(Accuracy(at(scheme, depth)), Accuracy(at(other, depth)))


def gap(one: Runs) -> Difference:
    """Describe the accuracy on training batches less that on test data."""
    return Difference(Accuracy(one, "train"), Accuracy(one))


def oscillates(scheme: str, other: str, activation: str = "relu") -> Prediction:
    """Predict that the loss climbs more from one start than from another.

    In most seeds, by more than a tenth of a nat in all, over the first steps at rate
    0.1.
    """
    return above(_climbs_beyond(scheme, other, activation), 0.5)


def _climbs_beyond(scheme: str, other: str, activation: str) -> Exceeds:
    climbs = (
        Rises(runs("early", start, 0.1, activation=activation))
        for start in (scheme, other)
    )
    return Exceeds(*climbs, by=_CLIMB)


def saturation(scheme: str, activation: str) -> Layers:
    """Describe the share of saturated outputs of the layer that has most of them."""
    start = runs("early", scheme, 0.1, activation=activation)
    return Layers(start, "flat", "greatest")


def small_range(scheme: str) -> tuple[Part, ...]:
    """Say the rule of claims 51 and 61: outputs in a small range, and an easy start."""
    return (
        Part(
            "The range of outputs is small: before the first step fewer than one in "
            "twenty outputs of any hidden layer is saturated, with tanh and sigmoid.",
            tuple(below(saturation(scheme, a), 0.05) for a in BOUNDED),
        ),
        Part(
            "It affects early training little: in the first steps the loss climbs no "
            "more than with random weights, small or large, in most seeds.",
            tuple(
                below(_climbs_beyond(scheme, random, a), 0.5)
                for random in (*RANDOM, *LARGE)
                for a in BOUNDED
            ),
        ),
    )


def no_zeros(scheme: str, depth: int) -> Prediction:
    """Predict that after training hardly a weight of any layer is zero."""
    net = at(scheme, depth)
    return below(Layers(net, "zero_weights", "greatest", False, head=True), 0.001)


def no_death(*schemes: str) -> tuple[Part, ...]:
    """Say the rule of claims 50, 55 and 59: no weights of zero, and nets that learn."""
    return (
        Part(
            "Weights are not zero: after training fewer than one in a thousand of any "
            "layer, in nets of four and of twelve convolutions.",
            tuple(no_zeros(scheme, depth) for scheme in schemes for depth in (4, 12)),
        ),
        *(
            Part(
                f"Nets of {words} convolutions learn, in most seeds.",
                tuple(above(Learned(at(scheme, depth)), 0.5) for scheme in schemes),
            )
            for depth, words in ((4, "four"), (12, "twelve"))
        ),
    )


def small_updates(depth: int) -> Prediction:
    """Predict updates from zeros below a tenth of He's: gradients by hidden weights.

    The largest of them beside the smallest of He's, in mean squares.
    """
    zeros, he = (
        Log10(Layers(at(scheme, depth), "weight_gradient", which))
        for scheme, which in (("zeros", "greatest"), ("he_normal", "least"))
    )
    return below(Difference(zeros, he), -2.0)


def controlled_variance() -> Part:
    """Say the rule of claims 34, 39 and 60: Xavier controls the variance of weights."""
    asked = Check(
        "xavier_variances",
        "variance of a layer's weights over 2 / (n_in + n_out), in three nets",
    )
    return Part(
        "The variance of weights is in a controlled range: that of every layer is "
        "within 10 % of 2 / (n_in + n_out) at the start. What becomes of it is up to "
        "the training.",
        (between(asked, 0.9, 1.1),),
    )


def one_expression(law: str) -> Check:
    """Describe how far from a law is what a single expression of NumPy draws."""
    return Check(
        f"expression_for_{law}",
        f"distance from its law of what one expression of NumPy draws ({law}; dense "
        "layer and convolution)",
    )


def is_simple(law: str) -> Prediction:
    """Predict that an expression of a kernel's shape and the law's numbers draws it."""
    return below(one_expression(law), _LAW_IS_MET)


def is_complex() -> Prediction:
    """Predict that no such expression draws Xavier's laws."""
    return above(one_expression("xavier"), _LAW_IS_MET)


def needs_layers_and_neurons() -> tuple[Part, ...]:
    """Say the rule of claims 40 and 62: what Xavier has to know, and if it is hard."""
    depth = Check(
        "kernels_that_depend_on_depth",
        "share of a layer's weights that change if the net gets more layers",
        "%",
    )
    width = Check(
        "kernels_that_depend_on_width",
        "change of a layer's variance if layers get twice the neurons",
        "%",
    )
    return (
        Part(
            "It needs the number of layers: what it gives a layer changes with it.",
            (above(depth, 0.0),),
        ),
        Part(
            "It needs the numbers of neurons: what it gives a layer changes with them.",
            (above(width, 0.1),),
        ),
        Part(
            "It is complex: one expression of a kernel's shape does not draw it.",
            (is_complex(),),
        ),
    )


def falls_behind(scheme: str, other: str, study: str = "variances") -> Prediction:
    """Predict that a start comes out more than five points behind another."""
    ours, theirs = (Accuracy(runs(study, s)) for s in (scheme, other))
    return below(Difference(ours, theirs), -CLEAR)
