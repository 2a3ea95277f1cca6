"""Claims 43–48: the article's code, and its outlook."""

from init_study.answers.claims.claim import Claim, Part, above
from init_study.answers.claims.combinations import Check, Closeness, RankCorrelation
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Layers

from .shared_rules import at, behind, oscillates
from .studies import CLEAR, LARGE, NORMALS, SCHEMES, SUITED, UNIFORMS

_NETS = (
    *(at(s, d) for s in SCHEMES if s != "zeros" for d in (4, 12)),
    *(runs("variances", scheme) for scheme in (*NORMALS, *UNIFORMS)),
)

CLAIMS = (
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
        parts=(
            Part(
                "A model comes to describe the data better: He's start is more than "
                "five points ahead of zeros, and of N(0, 0.02²), in the net of twelve "
                "convolutions.",
                tuple(
                    above(behind("he_normal", scheme, 12), CLEAR)
                    for scheme in ("zeros", "normal(0.02)")
                ),
            ),
            Part(
                "It trains more stably: with weights of the size of He's the loss "
                "climbs less than with five times that, in most seeds.",
                tuple(
                    oscillates(large, suited)
                    for large, suited in zip(LARGE, SUITED, strict=True)
                ),
            ),
        ),
    ),
)
