"""Claims 1–8 (what initialization is), 43–45 (its code) and 46–48 (its outlook)."""

from init_study.answers.claims.claim import Claim, above, between
from init_study.answers.claims.combinations import (
    Check,
    Closeness,
    Difference,
    Exceeds,
    RankCorrelation,
)
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Earlier, Layers, Rises

from .studies import CLEAR, NORMALS, SCHEMES, UNIFORMS

_ZEROS = runs("methods", "zeros", depth=4)
_NETS = (
    *(runs("methods", s, depth=d) for s in SCHEMES if s != "zeros" for d in (4, 12)),
    *(runs("variances", scheme) for scheme in (*NORMALS, *UNIFORMS)),
)

CLAIMS = (
    Claim(
        number=1,
        section="2.2",
        original="偏置项：偏置项对应每个神经元的阈值，其初始值为零",
        text="Biases start at zero.",
        reading="So it is in the defaults of Flax, PyTorch, Keras and Haiku, and in "
        "AlexNet, which the article names.",
        predictions=(
            above(
                Check("biases_are_zero", "share of biases that start at zero", "%"),
                0.99,
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
        reading="In the defaults of Flax, PyTorch, Keras and Haiku the weights of a "
        "3×3 convolution vary, with a standard deviation below one half.",
        predictions=(
            between(
                Check("default_stds", "standard deviation of a kernel at the start"),
                0.0,
                0.5,
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
        reading="Beside the start without chance that the article knows, zeros: in "
        "most seeds Xavier's random weights get to 30 % accuracy later.",
        predictions=(
            above(Earlier(_ZEROS, runs("methods", "xavier_normal", depth=4), 0.3), 0.5),
        ),
    ),
    Claim(
        number=4,
        section="2.2",
        original="还可能使得神经网络在训练过程中发生震荡",
        text="Random weights may make training oscillate.",
        reading="At some scale and rate of those tried: with weights of 16 times He's "
        "variance at rate 0.1, in most seeds, the loss climbs by more than a nat "
        "beyond what it climbs from zeros, in sum over the first steps.",
        predictions=(
            above(
                Exceeds(
                    Rises(
                        runs("early", "variance_scaling(32)", 0.1, activation="relu")
                    ),
                    Rises(runs("early", "zeros", 0.1, activation="relu")),
                    by=1.0,
                ),
                0.5,
            ),
        ),
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
        reading="The standard deviation of both forms, normal and uniform, within 2 %. "
        "That there is no other than the normal form is claim 41.",
        predictions=(
            between(
                Check(
                    "xavier_std",
                    "standard deviation over √(2 / (n_in + n_out)), Xavier",
                ),
                0.98,
                1.02,
            ),
        ),
        literature="Glorot & Bengio 2010 have this variance in their equation 16 and "
        "use a uniform law.",
    ),
    Claim(
        number=43,
        section="4",
        original="# Zeros初始化 … model.compile(loss='categorical_crossentropy', "
        "optimizer='adam')",
        text="This code is Zeros initialization.",
        reading="After it the kernels are zero.",
        predictions=(
            above(
                Check(
                    "snippet_zeros",
                    "share of kernel weights that are zero after the article's code",
                    "%",
                ),
                0.99,
            ),
        ),
        literature="Keras draws a Dense kernel from glorot_uniform if nothing is said.",
    ),
    Claim(
        number=44,
        section="4",
        original="model.build(…) … layer.kernel_initializer = initializer … "
        "RandomNormal(mean=0., stddev=0.02)",
        text="Setting kernel_initializer on the layers of a built model applies "
        "RandomNormal(0.02).",
        reading="It changes the kernels.",
        predictions=(
            above(
                Check(
                    "snippet_random",
                    "share of kernel weights that change by the article's code",
                    "%",
                ),
                0.99,
            ),
        ),
    ),
    Claim(
        number=45,
        section="4",
        original="initializer = tf.keras.initializers.glorot_uniform() … "
        "layer.kernel_initializer = initializer",
        text="Setting it so applies glorot_uniform.",
        reading="It changes the kernels, by which it would be applied.",
        predictions=(
            above(
                Check(
                    "snippet_glorot",
                    "share of kernel weights that change by the article's code",
                    "%",
                ),
                0.99,
            ),
        ),
        literature="They have that law already: it is the default of a Dense layer.",
    ),
    Claim(
        number=46,
        section="5",
        original="目前已有的初始化方法主要针对深度神经网络模型，如何扩展到图像分类领域还有待研究",
        text="Existing methods are for deep networks; how to extend them to image "
        "classification is open.",
        reason="It is about the state of research, which no experiment shows.",
        literature="He et al. 2015, LSUV (Mishkin & Matas 2016), delta-orthogonal "
        "kernels (Xiao et al. 2018) and Fixup (Zhang et al. 2019) are all about "
        "networks that classify images.",
    ),
    Claim(
        number=47,
        section="5",
        original="如何在初始化过程中对模型的行为进行解释，不但有利于理解模型，而且可以提供宝贵的信息。"
        "… 是否存在反向传播时权重更新的瓶颈？",
        text="To explain a model's behaviour at initialization is of use; is there a "
        "bottleneck of updates on the way back?",
        reading="The size of the signal behind the last hidden layer, seen before the "
        "first step, tells nets that will learn from others: over nets the rank "
        "correlation of its closeness to one, in orders of magnitude, with the final "
        "accuracy is above 0.3.",
        predictions=(
            above(
                RankCorrelation(
                    "closeness of the last hidden layer's signal to one, at the start, "
                    "with test accuracy",
                    tuple(Closeness(Layers(one, "signal", "last")) for one in _NETS),
                    tuple(Accuracy(one) for one in _NETS),
                ),
                0.3,
            ),
        ),
    ),
    Claim(
        number=48,
        section="6",
        original="初始化能够帮助模型对数据的分布有一个更好的建模，并让模型在训练过程中更加稳定",
        text="Initialization helps a model to describe the data, and to train stably.",
        reading="It decides what a net comes to: He's start is more than five points "
        "ahead of zeros, and ahead of N(0, 0.02²), in the deep net.",
        predictions=tuple(
            above(
                Difference(
                    Accuracy(runs("methods", "he_normal", depth=12)),
                    Accuracy(runs("methods", scheme, depth=12)),
                ),
                CLEAR,
            )
            for scheme in ("zeros", "normal(0.02)")
        ),
    ),
)
