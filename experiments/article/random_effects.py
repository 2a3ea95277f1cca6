"""Claims 54–58: what the article's summary says of random draws."""

from init_study.answers.claims.claim import Claim, Part, above, below, between
from init_study.answers.claims.combinations import Log10
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Layers

from .shared_rules import BOUNDED, is_simple, no_death, oscillates, saturation
from .studies import LARGE, NORMALS, RANDOM, SUITED, UNIFORMS


def _gradient_ratio(scheme: str) -> Log10:
    return Log10(Layers(runs("gradients", scheme), "gradient", "last over first"))


def _range_and_oscillation(size: str, schemes: tuple[str, ...]) -> tuple[Part, ...]:
    """Say the rule of claim 58 for draws of some size, uniform and Gaussian."""
    cases = [(scheme, a) for scheme in schemes for a in BOUNDED]
    return (
        Part(
            f"{size}: the range of outputs is large; before the first step more than "
            "one in twenty outputs of some hidden layer is saturated, with tanh and "
            "with sigmoid.",
            tuple(above(saturation(scheme, a), 0.05) for scheme, a in cases),
        ),
        Part(
            f"{size}: training oscillates; in the first steps the loss climbs more "
            "than from Xavier, in most seeds.",
            tuple(oscillates(scheme, "xavier_normal", a) for scheme, a in cases),
        ),
    )


CLAIMS = (
    Claim(
        number=54,
        section="6",
        original="随机初始化的方法较为简单",
        text="Random: the method is simple.",
        reading="As claim 21, of both laws.",
        predictions=(is_simple("uniform"), is_simple("gaussian")),
    ),
    Claim(
        number=55,
        section="6",
        original="可避免“死亡”问题，即某些神经元的权重参数为0，不再学习",
        text='Random avoids "death", that weights of some neurons are 0 and learn no '
        "more.",
        reading="Of N(0, 0.02²), as in the article's code, and U(±0.05), Keras's "
        "default.",
        parts=no_death(*RANDOM),
        against=(25, 32),
    ),
    Claim(
        number=56,
        section="6",
        original="通过控制权重参数的方差来控制模型的发散性，缓解梯度消失或爆炸的问题",
        text="Random: controlling the variance of weights mitigates vanishing and "
        "exploding gradients.",
        reading="In the deep net, from the last hidden layer to the first, gradients "
        "change by less than two orders of magnitude with a standard deviation of "
        "0.118, He's; and by more with others.",
        parts=(
            Part(
                "Vanishing: with a standard deviation of 0.02 they shrink by more than "
                "two orders, and with 0.118 they do not.",
                tuple(
                    prediction
                    for laws in (UNIFORMS, NORMALS)
                    for prediction in (
                        above(_gradient_ratio(laws[0]), 2.0),
                        between(_gradient_ratio(laws[2]), -2.0, 2.0),
                    )
                ),
            ),
            Part(
                "Exploding: with 0.6 they grow by more than two orders, and with 0.118 "
                "they do not.",
                tuple(
                    prediction
                    for laws in (UNIFORMS, NORMALS)
                    for prediction in (
                        below(_gradient_ratio(laws[4]), -2.0),
                        between(_gradient_ratio(laws[2]), -2.0, 2.0),
                    )
                ),
            ),
        ),
        literature="The subject of Glorot & Bengio 2010 and He et al. 2015.",
    ),
    Claim(
        number=57,
        section="6",
        original="在权重参数方差较大时，可能引起模型的震荡",
        text="Random: with a large variance the model may oscillate.",
        reading="With 25 times the variance that is He's for most layers the loss "
        "climbs by more than a tenth of a nat more than with that, in sum over the "
        "first steps, at rate 0.1, in most seeds; with uniform and Gaussian draws.",
        predictions=tuple(
            oscillates(large, suited)
            for large, suited in zip(LARGE, SUITED, strict=True)
        ),
    ),
    Claim(
        number=58,
        section="6",
        original="对激活函数为sigmoid、tanh的网络，输出范围较大，训练初期容易发生震荡",
        text="Random: with sigmoid and tanh the range of outputs is large, and "
        "training oscillates at the beginning.",
        reading="The article does not say how large its random weights are: N(0, "
        "0.02²), as in its code, and U(±0.05), Keras's default; and both laws with a "
        "large variance.",
        parts=(
            *_range_and_oscillation("With these small sizes", RANDOM),
            *_range_and_oscillation("With a standard deviation of 0.6", LARGE),
        ),
        literature="Glorot & Bengio 2010: saturated units make a plateau.",
    ),
)
