"""Claims 34–42 and 59–63: what Xavier's law does."""

from init_study.answers.claims.claim import Claim, Prediction, above, below, between
from init_study.answers.claims.combinations import Check, Difference, Log10
from init_study.answers.claims.evidence import Runs, runs
from init_study.answers.claims.quantities import Accuracy, Layers, Learned

from .studies import CLEAR, INPUTS

_STALLS = (
    "He et al. 2015: with 30 layers of ReLU on ImageNet Xavier stalls; with 14 it is "
    "as good as He, 33.90 against 33.82 % error. Glorot & Bengio 2010, table 1: with "
    "tanh it lowers the error on all four data sets."
)


def _xavier(depth: int) -> Runs:
    return runs("methods", "xavier_normal", depth=depth)


def _weights_as_asked() -> Prediction:
    """Predict the variance that the law gives 16 by 16 channels, 1 / 144."""
    return between(Layers(_xavier(12), "weight_square", "last"), 0.9 / 144, 1.1 / 144)


def _needs_depth() -> Prediction:
    text = "share of a layer's weights that change if the net gets more layers"
    return above(Check("kernels_that_depend_on_depth", text, "%"), 0.0)


CLAIMS = (
    Claim(
        number=34,
        section="3.3",
        original="Xavier/Glorot初始化是最常用的权重初始化方法之一，其目的是使得权重的方差同时保持在"
        "一个可控的范围内",
        text="Xavier is among the most used methods; it is to keep the variance of "
        "weights in a controlled range.",
        reading="The second half: the last hidden layer's mean square weight is within "
        "10 % of what the law says.",
        predictions=(_weights_as_asked(),),
        literature="Glorot & Bengio 2010 want to keep the variance of activations and "
        "of gradients, by way of that of weights.",
    ),
    Claim(
        number=35,
        section="3.3",
        original="$n_{in}$表示前一层神经元个数，$n_{out}$表示后一层神经元个数",
        text="n_in and n_out are the numbers of neurons of the layers before and "
        "after.",
        reading="For a convolution too, where these are channels: variance times half "
        "their sum is one, within 10 %.",
        predictions=(
            between(
                Check(
                    "xavier_by_channels",
                    "variance of a 3×3 kernel times half the channels around it (ours, "
                    "JAX's normal and uniform)",
                ),
                0.9,
                1.1,
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
        predictions=tuple(above(Learned(_xavier(d)), 0.5) for d in (1, 4, 12)),
        literature=_STALLS,
    ),
    Claim(
        number=38,
        section="3.3.1",
        original="Xavier/Glorot初始化能够解决深度神经网络模型中出现的“死亡”现象",
        text='Xavier solves the "death" of deep nets.',
        reading="In the deep ReLU net most runs learn, at their best rate.",
        predictions=(above(Learned(_xavier(12)), 0.5),),
        literature=_STALLS,
    ),
    Claim(
        number=39,
        section="3.3.1",
        original="Xavier/Glorot初始化可以使得权重参数的方差保持在一个可控的范围内，避免了过大的方差的"
        "影响",
        text="Xavier keeps the variance of weights in a controlled range, and so "
        "avoids the effects of a large one.",
        reading="As claim 34, and outputs grow from the first hidden layer to the last "
        "by less than an order of magnitude.",
        predictions=(
            _weights_as_asked(),
            below(Log10(Layers(_xavier(12), "signal", "last over first")), 1.0),
        ),
    ),
    Claim(
        number=40,
        section="3.3.2",
        original="Xavier/Glorot初始化需要预先知道网络的层数和每层神经元的个数，因此其实现起来比较复杂",
        text="Xavier needs the number of layers and of neurons in advance, so that it "
        "is complex to implement.",
        reading="What it gives a layer depends on how many layers there are.",
        predictions=(_needs_depth(),),
        literature="It needs the two fans of one tensor, which its shape tells. Fixup "
        "(Zhang et al. 2019) needs the number of layers.",
    ),
    Claim(
        number=41,
        section="3.3.2",
        original="Xavier/Glorot初始化一般只用于正态分布，其他类型的分布可能会导致不可预料的结果",
        text="Xavier is for the normal law only; other laws may lead to unforeseeable "
        "results.",
        reading="With the same variance, the uniform law is more than five points from "
        "the normal one, in accuracy.",
        predictions=(
            below(
                Difference(
                    Accuracy(runs("laws", "xavier_uniform")),
                    Accuracy(runs("laws", "xavier_normal")),
                ),
                -CLEAR,
            ),
        ),
        literature="Glorot & Bengio 2010 use a uniform law themselves.",
    ),
    Claim(
        number=42,
        section="3.3.2",
        original="Xavier/Glorot初始化需要额外的参数来控制方差，使得其实现起来更加复杂",
        text="Xavier needs an extra parameter to control the variance.",
        reading="It has more numbers to choose than a Gaussian law of a fixed size.",
        predictions=(
            above(
                Check(
                    "more_to_choose_than_gaussian",
                    "numbers to choose of Xavier's laws, less those of the Gaussian",
                ),
                0.0,
            ),
        ),
    ),
    Claim(
        number=59,
        section="6",
        original="能够较好的解决“死亡”问题，即某些神经元的权重参数为0，不再学习",
        text='Xavier: solves "death", that weights of some neurons are 0 and learn no '
        "more.",
        reading="No layer has more than one in a thousand zero weights, and in the "
        "deep ReLU net most runs learn.",
        predictions=(
            below(Layers(_xavier(12), "zero_weights", "greatest", head=True), 0.001),
            above(Learned(_xavier(12)), 0.5),
        ),
        literature=_STALLS,
    ),
    Claim(
        number=60,
        section="6",
        original="能够较好的控制参数方差，使得权重参数不至于过大或过小",
        text="Xavier: weights are neither too large nor too small.",
        reading="For the signal: from the first hidden layer to the last its mean "
        "square changes by less than an order of magnitude, in the deep ReLU net.",
        predictions=(
            between(Log10(Layers(_xavier(12), "signal", "last over first")), -1.0, 1.0),
        ),
        literature="Its variance keeps the signal of linear layers and, nearly, of "
        "tanh; ReLU halves it at every layer (He et al. 2015).",
    ),
    Claim(
        number=61,
        section="6",
        original="对激活函数为sigmoid、tanh的网络，输出范围较小，训练初期对模型的影响小",
        text="Xavier: with sigmoid and tanh the range of outputs is small.",
        reading="Fewer than one in twenty outputs of any layer is saturated before the "
        "first step.",
        predictions=tuple(
            below(
                Layers(
                    runs("bounded", "xavier_normal", activation=a), "flat", "greatest"
                ),
                0.05,
            )
            for a in ("tanh", "sigmoid")
        ),
        literature="Glorot & Bengio 2010, table 1: five sigmoid layers have 82.61 % "
        "error on Shapeset even so.",
    ),
    Claim(
        number=62,
        section="6",
        original="Xavier/Glorot初始化需要预先知道网络的层数和每层神经元的个数，实现起来比较复杂",
        text="Xavier: needs the number of layers and of neurons, and is complex.",
        reading="What it gives a layer depends on how many layers there are.",
        predictions=(_needs_depth(),),
    ),
    Claim(
        number=63,
        section="6",
        original="不适用于非正态分布的数据，可能引发不可预料的结果",
        text="Xavier: not suitable for data that are not normal; results may be "
        "unforeseeable.",
        reading="On inputs of other laws the signal behind a layer is more than 10 % "
        "from what is predicted, and fewer than half of the runs on such inputs "
        "(pixels as they are, two values, cubes) learn.",
        predictions=(
            above(
                Check(
                    "xavier_on_input_laws",
                    "deviation from the predicted signal, five laws of inputs",
                    "%",
                ),
                0.1,
            ),
            *(
                below(Learned(runs("inputs", "xavier_normal", model=model)), 0.5)
                for model in INPUTS
            ),
        ),
    ),
)
