"""Claims 54–58: what the article's summary says of random draws."""

from init_study.answers.claims.claim import Claim, Prediction, above, below
from init_study.answers.claims.combinations import Check, Difference, Exceeds, Log10
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Layers, Rises

_UNIFORM, _NORMAL = "uniform(0.05)", "normal(0.02)"


def _deep(scheme: str, metric: str, part: str) -> Layers:
    return Layers(runs("methods", scheme, depth=12), metric, part)


def _gradient_ratio(scheme: str) -> Log10:
    return Log10(_deep(scheme, "gradient", "last over first"))


def _climb(scheme: str, activation: str) -> Rises:
    return Rises(runs("early", scheme, 0.1, activation=activation))


def _spreads_beyond_xavier(scheme: str, activation: str) -> Prediction:
    ours, xavier = (
        Layers(runs("bounded", s, activation=activation), "spread", "last")
        for s in (scheme, "xavier_normal")
    )
    return above(Difference(ours, xavier), 0.0)


CLAIMS = (
    Claim(
        number=54,
        section="6",
        original="随机初始化的方法较为简单",
        text="Random: the method is simple.",
        reading="There is at most one number to choose.",
        predictions=(
            below(
                Check("numbers_to_choose", "numbers to choose, uniform, Gaussian"), 1.5
            ),
        ),
    ),
    Claim(
        number=55,
        section="6",
        original="可避免“死亡”问题，即某些神经元的权重参数为0，不再学习",
        text='Random avoids "death", that weights of some neurons are 0 and learn no '
        "more.",
        reading="Before the first step fewer than one in a thousand weights of any "
        "layer are zero, all filters differ, and all layers have a gradient, of a size "
        "that float32 still holds, in the deep net too. Whether they learn enough is "
        "claims 23 and 30.",
        predictions=tuple(
            prediction
            for scheme in (_UNIFORM, _NORMAL)
            for prediction in (
                below(_deep(scheme, "zero_weights", "greatest"), 0.001),
                above(_deep(scheme, "distinct", "least"), 0.999),
                above(Log10(_deep(scheme, "weight_gradient", "least")), -38.0),
            )
        ),
        against=(25, 32),
    ),
    Claim(
        number=56,
        section="6",
        original="通过控制权重参数的方差来控制模型的发散性，缓解梯度消失或爆炸的问题",
        text="Random: controlling the variance of weights mitigates vanishing and "
        "exploding gradients.",
        reading="In the deep net, from the last hidden layer to the first, gradients "
        "change by less than two orders of magnitude with He's variance, and by more "
        "than ten with N(0, 0.02²).",
        predictions=(
            above(_gradient_ratio("he_normal"), -2.0),
            below(_gradient_ratio("he_normal"), 2.0),
            above(_gradient_ratio(_NORMAL), 10.0),
        ),
        literature="The subject of Glorot & Bengio 2010 and He et al. 2015.",
    ),
    Claim(
        number=57,
        section="6",
        original="在权重参数方差较大时，可能引起模型的震荡",
        text="Random: with a large variance the model may oscillate.",
        reading="With 16 times He's variance, in most seeds, the loss climbs by more "
        "than a tenth of a nat more than with He's, in sum over the first steps, at "
        "rate 0.1.",
        predictions=(
            above(
                Exceeds(
                    _climb("variance_scaling(32)", "relu"),
                    _climb("variance_scaling(2)", "relu"),
                    by=0.1,
                ),
                0.5,
            ),
        ),
    ),
    Claim(
        number=58,
        section="6",
        original="对激活函数为sigmoid、tanh的网络，输出范围较大，训练初期容易发生震荡",
        text="Random: with sigmoid and tanh the range of outputs is large, and "
        "training oscillates at the beginning.",
        reading="With the article's own sizes, outputs vary more over images than with "
        "Xavier, and the loss of a tanh net climbs by more in the first steps, in most "
        "seeds.",
        predictions=tuple(
            prediction
            for scheme in (_UNIFORM, _NORMAL)
            for prediction in (
                _spreads_beyond_xavier(scheme, "tanh"),
                _spreads_beyond_xavier(scheme, "sigmoid"),
                above(
                    Exceeds(_climb(scheme, "tanh"), _climb("xavier_normal", "tanh")),
                    0.5,
                ),
            )
        ),
        literature="Glorot & Bengio 2010: saturated units make a plateau.",
    ),
)
