"""Claims 34–42 and 59–63: what Xavier's law does."""

from init_study.answers.claims.claim import Claim, Part, above, below, between
from init_study.answers.claims.combinations import Check, Difference, Log10, Scatter
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Layers, Learned

from .shared_rules import (
    STALLS,
    at,
    controlled_variance,
    is_complex,
    needs_layers_and_neurons,
    no_zeros,
    oscillates,
)
from .studies import CLEAR, LARGE


def _other_law(form: str, name: str) -> tuple[Part, ...]:
    """Say the rule of claim 41 for another law of the same variance."""
    ours, normal = (Accuracy(runs("laws", s)) for s in (form, "xavier_normal"))
    return (
        Part(
            f"{name} does not do: accuracy is more than five points behind that from "
            "the normal law.",
            (below(Difference(ours, normal), -CLEAR),),
        ),
        Part(
            f"Its results are unforeseeable: {name.lower()} makes accuracies scatter "
            "over seeds by more than five points more.",
            (above(Difference(Scatter(ours), Scatter(normal)), CLEAR),),
        ),
    )


CLAIMS = (
    Claim(
        number=34,
        section="3.3",
        original="Xavier/Glorot初始化是最常用的权重初始化方法之一，其目的是使得权重的方差同时保持在"
        "一个可控的范围内",
        text="Xavier is among the most used methods; it is to keep the variance of "
        "weights in a controlled range.",
        parts=(
            Part(
                "It is among the most used methods.",
                reason="How often it is used is shown by no experiment.",
            ),
            controlled_variance(),
        ),
        literature="Glorot & Bengio 2010 want to keep the variance of activations and "
        "of gradients, by way of that of weights.",
    ),
    Claim(
        number=35,
        section="3.3",
        original="$n_{in}$表示前一层神经元个数，$n_{out}$表示后一层神经元个数",
        text="n_in and n_out are the numbers of neurons of the layers before and "
        "after.",
        reading="Variance times half their sum is one, within 10 %.",
        parts=(
            Part(
                "So it is in a dense layer.",
                (
                    between(
                        Check(
                            "xavier_by_neurons",
                            "variance of a dense kernel times half the neurons around "
                            "it (ours, JAX's normal and uniform)",
                        ),
                        0.9,
                        1.1,
                    ),
                ),
            ),
            Part(
                "So it is in a 3×3 convolution, where the neurons are channels.",
                (
                    between(
                        Check(
                            "xavier_by_channels",
                            "variance of a 3×3 kernel times half the channels around "
                            "it (ours, JAX's normal and uniform)",
                        ),
                        0.9,
                        1.1,
                    ),
                ),
            ),
        ),
        literature="True of dense layers. A convolution has kernel height × width × "
        "channels / groups.",
    ),
    Claim(
        number=36,
        section="3.3",
        original="Xavier/Glorot初始化将权重参数的方差控制在一个可控的范围内，以此来防止初始化带来的"
        "偏差",
        text="So it prevents the deviation that initialization brings.",
        reason='It does not say which deviation, or bias, from what ("偏差" may be '
        "either): nothing follows from it that could be seen.",
    ),
    Claim(
        number=37,
        section="3.3.1",
        original="Xavier/Glorot初始化可以保证神经网络的稳定收敛，具有良好的性能",
        text="Xavier guarantees stable convergence and good performance.",
        reading="At its best rate more than half of the runs learn, in nets of one, "
        "four and twelve convolutions with ReLU.",
        predictions=tuple(
            above(Learned(at("xavier_normal", d)), 0.5) for d in (1, 4, 12)
        ),
        literature=STALLS,
    ),
    Claim(
        number=38,
        section="3.3.1",
        original="Xavier/Glorot初始化能够解决深度神经网络模型中出现的“死亡”现象",
        text='Xavier solves the "death" of deep nets.',
        reading="As claim 59, in the net of twelve convolutions: hardly a weight is "
        "zero, and most runs learn, at their best rate.",
        predictions=(
            no_zeros("xavier_normal", 12),
            above(Learned(at("xavier_normal", 12)), 0.5),
        ),
        literature=STALLS,
    ),
    Claim(
        number=39,
        section="3.3.1",
        original="Xavier/Glorot初始化可以使得权重参数的方差保持在一个可控的范围内，避免了过大的方差的"
        "影响",
        text="Xavier keeps the variance of weights in a controlled range, and so "
        "avoids the effects of a large one.",
        parts=(
            controlled_variance(),
            Part(
                "It avoids the effects of a large variance: the loss climbs less than "
                "with standard deviations of 0.6, in most seeds, and in the net of "
                "twelve convolutions outputs grow by less than an order of magnitude.",
                (
                    *(oscillates(large, "xavier_normal") for large in LARGE),
                    below(
                        Log10(
                            Layers(at("xavier_normal", 12), "signal", "last over first")
                        ),
                        1.0,
                    ),
                ),
            ),
        ),
    ),
    Claim(
        number=40,
        section="3.3.2",
        original="Xavier/Glorot初始化需要预先知道网络的层数和每层神经元的个数，因此其实现起来比较复杂",
        text="Xavier needs the number of layers and of neurons in advance, so that it "
        "is complex to implement.",
        parts=needs_layers_and_neurons(),
        literature="It needs the two fans of one tensor, which its shape tells. Fixup "
        "(Zhang et al. 2019) needs the number of layers.",
    ),
    Claim(
        number=41,
        section="3.3.2",
        original="Xavier/Glorot初始化一般只用于正态分布，其他类型的分布可能会导致不可预料的结果",
        text="Xavier is for the normal law only; other laws may lead to unforeseeable "
        "results.",
        reading="Beside the normal law, with the same variance.",
        parts=(
            *_other_law("xavier_uniform", "The uniform law"),
            *_other_law("xavier_truncated", "The normal law cut off at two deviations"),
        ),
        literature="Glorot & Bengio 2010 use a uniform law themselves.",
    ),
    Claim(
        number=42,
        section="3.3.2",
        original="Xavier/Glorot初始化需要额外的参数来控制方差，使得其实现起来更加复杂",
        text="Xavier needs an extra parameter to control the variance, which makes it "
        "more complex to implement.",
        parts=(
            Part(
                "It needs another parameter: given a kernel's shape alone, the "
                "variance is more than 2 % from what it is to be.",
                (
                    above(
                        Check(
                            "xavier_from_shapes",
                            "deviation of the variance from 2 / (n_in + n_out), JAX's "
                            "two forms, given a shape",
                            "%",
                        ),
                        0.02,
                    ),
                ),
            ),
            Part(
                "It is more complex to implement: one expression of a kernel's shape "
                "does not draw it.",
                (is_complex(),),
            ),
        ),
    ),
)
