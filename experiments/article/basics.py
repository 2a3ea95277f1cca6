"""Claims 1–8: what initialization is."""

from init_study.answers.claims.claim import Claim, Part, above, below, between
from init_study.answers.claims.combinations import Check
from init_study.answers.claims.quantities import Earlier, Layers

from .shared_rules import at, oscillates
from .studies import CHANCELESS, LARGE, RANDOM

_ZEROS = at("zeros")

CLAIMS = (
    Claim(
        number=1,
        section="2.2",
        original="偏置项：偏置项对应每个神经元的阈值，其初始值为零",
        text="A bias is its neuron's threshold and starts at zero.",
        parts=(
            Part(
                "A bias is the threshold of its neuron: a ReLU unit begins where its "
                "input is minus the bias.",
                (
                    below(
                        Check(
                            "threshold_of_a_bias",
                            "distance of a ReLU unit's first input from minus its bias",
                        ),
                        0.002,
                    ),
                ),
            ),
            Part(
                "It starts at zero in Keras, which the article's code is for.",
                (
                    above(
                        Check(
                            "biases_of_keras",
                            "share of biases that start at zero, Keras's default",
                            "%",
                        ),
                        0.99,
                    ),
                ),
            ),
            Part(
                "So it does everywhere: in the defaults of Flax, Haiku and PyTorch and "
                "in AlexNet, which the article names.",
                (
                    above(
                        Check(
                            "biases_of_others",
                            "share of biases that start at zero (Flax, Haiku, PyTorch, "
                            "AlexNet)",
                            "%",
                        ),
                        0.99,
                    ),
                ),
            ),
        ),
        literature="A convention of He et al. 2015, Keras and Flax; PyTorch draws them "
        "from U(±1/√fan_in), AlexNet sets half of its layers' to one.",
    ),
    Claim(
        number=2,
        section="2.2",
        original="权重矩阵：权重矩阵对应每个输入单元到每一个神经元的关联权重，其初始值为"
        "较小的随机值",
        text="Weights start as small random values.",
        reading="In the defaults of Flax, PyTorch, Keras and Haiku, in every layer of "
        "a plain net, a VGG-like one and a residual one. Small is beside one, the "
        "weight that passes an input on as it is.",
        parts=(
            Part(
                "Weights are random: another key changes more than 99 %.",
                (
                    above(
                        Check(
                            "weights_that_differ",
                            "share of weights that another key changes, in the layer "
                            "of least",
                            "%",
                        ),
                        0.99,
                    ),
                ),
            ),
            Part(
                "They are small: fewer than one in a hundred is of size above one.",
                (
                    below(
                        Check(
                            "weights_beyond_one",
                            "share of weights of size above one, in the layer of most",
                            "%",
                        ),
                        0.01,
                    ),
                ),
            ),
        ),
        literature="How small is small depends on the fan (Glorot & Bengio 2010, He et "
        "al. 2015); identity, orthogonal and zero residual branches are not small "
        "random values.",
    ),
    Claim(
        number=3,
        section="2.2",
        original="由于随机初始化权重参数不仅会导致网络的开局阶段时间长",
        text="Random weights make the opening phase of training long.",
        reading="Beside a start of the same net without chance that trains, ZerO "
        "(identities and Hadamard's matrix): in most seeds that is at 30 % accuracy "
        "before, each at its best rate.",
        parts=(
            Part(
                "With small random weights: N(0, 0.02²), as in the article's code, and "
                "U(±0.05), Keras's default.",
                tuple(
                    above(Earlier(at(CHANCELESS), at(scheme), 0.3), 0.5)
                    for scheme in RANDOM
                ),
            ),
            Part(
                "With random weights of any size, so of He's too.",
                (above(Earlier(at(CHANCELESS), at("he_normal"), 0.3), 0.5),),
            ),
        ),
        literature="He et al. 2015, figure 2: deep nets take longer with weights that "
        "are too small.",
    ),
    Claim(
        number=4,
        section="2.2",
        original="还可能使得神经网络在训练过程中发生震荡",
        text="Random weights may make training oscillate.",
        reading="May: with some random weights, here such with a standard deviation of "
        "0.6. At rate 0.1 the loss climbs by more than a tenth of a nat more than from "
        "the start without chance of claim 3, in sum over the first steps, in most "
        "seeds; with uniform and Gaussian draws.",
        predictions=tuple(oscillates(large, CHANCELESS) for large in LARGE),
        literature="Gradient descent climbs where the rate times the greatest "
        "curvature is above 2; large weights make large curvature.",
    ),
    Claim(
        number=5,
        section="2.2",
        original="为了解决这个问题，一些研究者提出了几种权重初始化方法，其中最常用的三种方法"
        "分别是：… Zeros初始化 … Random初始化 … Xavier/Glorot初始化",
        text="To solve this, researchers proposed Zeros, Random and Xavier, the three "
        "most used methods.",
        reason="It is about who proposed what and how often it is used, which no "
        "experiment shows.",
        literature="Zeros for all weights is proposed by none of the papers this "
        "project knows; what frameworks do by default is Xavier (Keras), LeCun's "
        "variance (Flax, Haiku) and a uniform law of a third of it (PyTorch).",
    ),
    Claim(
        number=6,
        section="2.2",
        original="Zeros初始化：将所有权重参数初始设置为零",
        text="Zeros: all weights are zero at the start.",
        predictions=(above(Layers(_ZEROS, "zero_weights", "least", head=True), 0.999),),
    ),
    Claim(
        number=7,
        section="2.2",
        original="Random初始化：对所有权重参数使用均匀分布或者高斯分布随机采样",
        text="Random: all weights are drawn from a uniform or a Gaussian law.",
        reading="What goes by these names here has these laws: a million draws are no "
        "farther from them than 0.005 (Kolmogorov-Smirnov).",
        predictions=(
            between(
                Check("distance_to_law", "distance of draws to their law"), -1, 0.005
            ),
        ),
        literature="As a method it is incomplete: it does not say how large.",
    ),
    Claim(
        number=8,
        section="2.2",
        original="Xavier/Glorot初始化：将权重参数服从均值为零，标准差为"
        "$\\sqrt{\\frac{2}{(n_{in}+n_{out})}}$的正态分布",
        text="Xavier: a normal law of mean 0 and standard deviation "
        "√(2 / (n_in + n_out)).",
        reading="Of both forms that go by the name; the article's own code takes the "
        "uniform one.",
        parts=(
            Part(
                "The mean is zero: within four standard errors.",
                (
                    below(
                        Check(
                            "xavier_means",
                            "distance of the mean of draws from zero, in standard "
                            "errors (Xavier's two forms)",
                        ),
                        4.0,
                    ),
                ),
            ),
            Part(
                "The standard deviation is that, within 2 %.",
                (
                    between(
                        Check(
                            "xavier_std",
                            "standard deviation over √(2 / (n_in + n_out)), Xavier's "
                            "two forms",
                        ),
                        0.98,
                        1.02,
                    ),
                ),
            ),
            Part(
                "The law is normal: draws are within 0.005 of it.",
                (
                    below(
                        Check(
                            "xavier_distance_to_normal",
                            "distance of draws to the normal law, Xavier's two forms",
                        ),
                        0.005,
                    ),
                ),
            ),
        ),
        literature="Glorot & Bengio 2010 have this variance in their equation 16 and "
        "use a uniform law.",
    ),
)
