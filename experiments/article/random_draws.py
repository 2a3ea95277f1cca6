"""Claims 20–33: uniform and Gaussian draws of a fixed size, each by itself."""

from init_study.answers.claims.claim import Claim, Prediction, above, below
from init_study.answers.claims.combinations import Check, Difference
from init_study.answers.claims.evidence import Runs, runs
from init_study.answers.claims.quantities import Accuracy, Layers, Learned

from .studies import CLEAR, MARGIN, NORMALS, UNIFORMS

_UNIFORM, _NORMAL = "uniform(0.05)", "normal(0.02)"
_FINDS_HE = (
    "He et al. 2015 and Glorot & Bengio 2010: the size that suits a layer depends on "
    "its fans."
)


def _at(scheme: str, depth: int = 4) -> Runs:
    return runs("methods", scheme, depth=depth)


def _largest_fails(scheme: str) -> Prediction:
    """Predict that the largest size fails; its mean is zero like that of all others."""
    return above(Learned(runs("variances", scheme)), 0.5)


def _harder_when_large(schemes: tuple[str, ...]) -> Prediction:
    """Predict that 25 times the variance that is He's for most layers is too large."""
    largest, middle = (runs("variances", schemes[i]) for i in (4, 2))
    return below(Difference(Accuracy(largest), Accuracy(middle)), -MARGIN)


def _needs_a_range(schemes: tuple[str, ...]) -> Prediction:
    smallest, middle = (runs("variances", schemes[i]) for i in (0, 2))
    return below(Difference(Accuracy(smallest), Accuracy(middle)), -CLEAR)


def _solved(scheme: str) -> tuple[Prediction, ...]:
    return tuple(
        above(
            Difference(Accuracy(_at(scheme, d)), Accuracy(_at("he_normal", d))), -CLEAR
        )
        for d in (4, 12)
    )


def _zero_layer(scheme: str) -> Prediction:
    return above(Layers(_at(scheme, 12), "zero_weights", "greatest", head=True), 0.5)


def _mean_is_zero(law: str) -> Prediction:
    text = f"distance of the mean of draws from zero, in standard errors ({law})"
    return below(Check("distance_of_means", text), 4.0)


_SOLVED = (
    "At its best rate it is no more than five points behind He, in nets of four and of "
    "twelve convolutions."
)
_MEAN = (
    "Its mean is zero, and that keeps nets from failing: with a standard deviation of "
    "0.6 most runs learn as well, at their best rate."
)
_LARGE = (
    "With a standard deviation of 0.6, five times that of He's law, accuracy is more "
    "than a point lower at the best rate."
)
_DEATH = "Before the first step more than half of the weights of some layer are zero."
_RANGE = (
    "A sixth of He's standard deviation, at its own best rate, is more than five "
    "points behind it."
)

CLAIMS = (
    Claim(
        number=20,
        section="3.2.1",
        original="均匀分布随机初始化利用均匀分布随机采样生成权重参数，该方法可以让权重参数初始值的"
        "范围大致相当",
        text="Uniform draws give weights of about the same range.",
        reading="Between layers the mean squares of weights differ by less than half.",
        predictions=(
            below(
                Layers(
                    _at(_UNIFORM, 12), "weight_square", "greatest over least", head=True
                ),
                1.5,
            ),
        ),
        literature="The same range of weights is not the same size of signals: that "
        "takes n·Var(W).",
    ),
    Claim(
        number=21,
        section="3.2.1.1",
        original="参数初始化比较简单，易于实现",
        text="Uniform draws are simple to implement.",
        reading="There is at most one number to choose.",
        predictions=(
            below(
                Check("numbers_to_choose", "numbers to choose, uniform, Gaussian"), 1.5
            ),
        ),
    ),
    Claim(
        number=22,
        section="3.2.1.1",
        original="均匀分布生成的权重参数具备均值接近零的特性，对整体模型的发散性较小",
        text="Uniform weights have a mean near zero, so that the model diverges "
        "little.",
        reading=_MEAN,
        predictions=(_mean_is_zero("uniform"), _largest_fails(UNIFORMS[4])),
    ),
    Claim(
        number=23,
        section="3.2.1.1",
        original="能够较好的解决初始化方式的问题，减少初始化的影响",
        text="Uniform draws solve the problem of initialization and lessen its effect.",
        reading=f"The one the article may mean is U(−0.05, 0.05). {_SOLVED}",
        predictions=_solved(_UNIFORM),
        literature=_FINDS_HE,
    ),
    Claim(
        number=24,
        section="3.2.1.2",
        original="生成的权重参数的方差可能较大，因而会带来不同的权重更新，增大模型的训练难度",
        text="The variance of uniform draws may be large, which makes training harder.",
        reading=_LARGE,
        predictions=(_harder_when_large(UNIFORMS),),
        literature="Large or small: the variance is chosen, it is no property of a "
        "law.",
    ),
    Claim(
        number=25,
        section="3.2.1.2",
        original="在深度神经网络模型中，随机初始化可能会导致某些层的权重为零，从而造成网络的死亡",
        text="In deep nets uniform draws may make the weights of some layers zero, and "
        "the network dies.",
        reading=_DEATH,
        predictions=(_zero_layer(_UNIFORM),),
        literature="A continuous law gives zero with probability zero. Signals may "
        "vanish all the same: claim 56.",
        against=(55,),
    ),
    Claim(
        number=26,
        section="3.2.1.2",
        original="需要在一定范围内去调整初始化的参数范围",
        text="The range of uniform draws has to be tuned.",
        reading=_RANGE,
        predictions=(_needs_a_range(UNIFORMS),),
        literature=_FINDS_HE,
    ),
    Claim(
        number=27,
        section="3.2.2",
        original="该方法可以对权重参数初始值的范围做更精细的控制",
        text="Gaussian draws control the range of weights more finely.",
        reading="A Gaussian law has more numbers to choose than a uniform one.",
        predictions=(
            above(
                Check(
                    "more_to_choose_than_uniform",
                    "numbers to choose of the Gaussian law, less those of the uniform",
                ),
                0.0,
            ),
        ),
    ),
    Claim(
        number=28,
        section="3.2.2.1",
        original="更加灵活，可控性强",
        text="Gaussian draws are more flexible and easier to control.",
        reading="So that more can be reached with them: of the same variance, He's, "
        "they are more than a point ahead of uniform ones.",
        predictions=(
            above(
                Difference(
                    Accuracy(runs("laws", "he_normal")),
                    Accuracy(runs("laws", "he_uniform")),
                ),
                MARGIN,
            ),
        ),
    ),
    Claim(
        number=29,
        section="3.2.2.1",
        original="高斯分布生成的权重参数具有均值接近零的特性，对整体模型的发散性较小",
        text="Gaussian weights have a mean near zero, so that the model diverges "
        "little.",
        reading=_MEAN,
        predictions=(_mean_is_zero("Gaussian"), _largest_fails(NORMALS[4])),
    ),
    Claim(
        number=30,
        section="3.2.2.1",
        original="能够较好的解决初始化方式的问题，减少初始化的影响",
        text="Gaussian draws solve the problem of initialization and lessen its "
        "effect.",
        reading=f"The one of the article's code is N(0, 0.02²). {_SOLVED}",
        predictions=_solved(_NORMAL),
        literature=_FINDS_HE,
    ),
    Claim(
        number=31,
        section="3.2.2.2",
        original="高斯分布生成的权重参数的方差可能较大，因而会带来不同的权重更新，增大模型的训练难度",
        text="The variance of Gaussian draws may be large, which makes training "
        "harder.",
        reading=_LARGE,
        predictions=(_harder_when_large(NORMALS),),
        literature="Large or small: the variance is chosen, it is no property of a "
        "law.",
    ),
    Claim(
        number=32,
        section="3.2.2.2",
        original="在深度神经网络模型中，随机初始化可能会导致某些层的权重为零，从而造成网络的死亡",
        text="In deep nets Gaussian draws may make the weights of some layers zero, "
        "and the network dies.",
        reading=_DEATH,
        predictions=(_zero_layer(_NORMAL),),
        literature="A continuous law gives zero with probability zero. Signals may "
        "vanish all the same: claim 56.",
        against=(55,),
    ),
    Claim(
        number=33,
        section="3.2.2.2",
        original="需要在一定范围内去调整初始化的参数范围",
        text="The range of Gaussian draws has to be tuned.",
        reading=_RANGE,
        predictions=(_needs_a_range(NORMALS),),
        literature=_FINDS_HE,
    ),
)
