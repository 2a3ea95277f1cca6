"""Claims 20–33: uniform and Gaussian draws of a fixed size, each by itself."""

from init_study.answers.claims.claim import Claim, Part, Prediction, above, below
from init_study.answers.claims.combinations import Average, Check, Difference, Log10
from init_study.answers.claims.evidence import Runs, runs
from init_study.answers.claims.quantities import Accuracy, Layers, Learned

from .shared_rules import at, behind, falls_behind, is_simple
from .studies import CLEAR, MARGIN, NORMALS, ONE_SIDED, RANDOM, SIGNED, UNIFORMS

_UNIFORM, _NORMAL = RANDOM
_FINDS_HE = (
    "He et al. 2015 and Glorot & Bengio 2010: the size that suits a layer depends on "
    "its fans."
)


def _little_divergence(law: str, schemes: tuple[str, ...]) -> tuple[Part, ...]:
    """Say the rule of claims 22 and 29: the mean is near zero, and what comes of it."""
    place = ("uniform", "gaussian").index(law)
    means = Check(
        f"mean_of_{law}",
        f"distance of the mean of draws from zero, in standard errors ({law})",
    )
    one_sided, signed = (
        _growth(runs("means", "module", model=models[place]))
        for models in (ONE_SIDED, SIGNED)
    )
    return (
        Part("The mean is near zero: within four standard errors.", (below(means, 4),)),
        Part(
            "A mean of zero keeps signals from diverging: with the same draws without "
            "their signs they grow over the layers by more than an order of magnitude "
            "more.",
            (above(Difference(one_sided, signed), 1.0),),
        ),
        Part(
            "It is enough for that: with a standard deviation of 0.6, five times that "
            "of He's law, they grow by less than an order of magnitude.",
            (below(_growth(runs("variances", schemes[4])), 1.0),),
        ),
    )


def _growth(of: Runs) -> Log10:
    return Log10(Layers(of, "signal", "last over first"))


def _harder_when_large(schemes: tuple[str, ...]) -> Prediction:
    """Predict that 25 times the variance that is He's for most layers is too large."""
    largest, middle = (runs("variances", schemes[i]) for i in (4, 2))
    return below(Difference(Accuracy(largest), Accuracy(middle)), -MARGIN)


def _needs_a_range(schemes: tuple[str, ...]) -> tuple[Part, ...]:
    """Say the rule of claims 26 and 33: below and above a range it is worse."""
    smallest, middle, largest = schemes[::2]
    return (
        Part(
            "It can be too small: with a sixth of He's standard deviation, at its own "
            "best rate, accuracy is more than five points behind that with He's.",
            (falls_behind(smallest, middle),),
        ),
        Part(
            "It can be too large: so is that with five times He's.",
            (falls_behind(largest, middle),),
        ),
    )


def _over_sizes(schemes: tuple[str, ...]) -> Average:
    name = f"accuracies of {schemes[0].partition('(')[0]} by size"
    return Average(name, tuple(Accuracy(runs("variances", s)) for s in schemes))


def _solved(scheme: str) -> tuple[Prediction, ...]:
    return tuple(above(behind(scheme, "he_normal", d), -CLEAR) for d in (4, 12))


def _zero_layer_and_death(scheme: str) -> tuple[Part, ...]:
    """Say the rule of claims 25 and 32, in the net of twelve convolutions."""
    deep = at(scheme, 12)
    return (
        Part(
            "Weights of some layer are zero: before the first step more than half.",
            (above(Layers(deep, "zero_weights", "greatest", head=True), 0.5),),
        ),
        Part(
            "The network dies: fewer than half of the runs learn, at their best rate.",
            (below(Learned(deep), 0.5),),
        ),
    )


_SOLVED = (
    "At its best rate it is no more than five points behind He, in nets of four and of "
    "twelve convolutions."
)
_LARGE = (
    "With a standard deviation of 0.6, five times that of He's law, accuracy is more "
    "than a point lower at the best rate."
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
                    at(_UNIFORM, 12), "weight_square", "greatest over least", head=True
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
        reading="One expression of NumPy, of a kernel's shape and the law's numbers, "
        "draws them: a million draws are within 0.005 of the law.",
        predictions=(is_simple("uniform"),),
    ),
    Claim(
        number=22,
        section="3.2.1.1",
        original="均匀分布生成的权重参数具备均值接近零的特性，对整体模型的发散性较小",
        text="Uniform weights have a mean near zero, so that the model diverges "
        "little.",
        parts=_little_divergence("uniform", UNIFORMS),
        literature="A mean of zero is needed; how far a net diverges is a matter of "
        "fan_in times the variance.",
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
        parts=_zero_layer_and_death(_UNIFORM),
        literature="A continuous law gives zero with probability zero. Signals may "
        "vanish all the same: claim 56.",
        against=(55,),
    ),
    Claim(
        number=26,
        section="3.2.1.2",
        original="需要在一定范围内去调整初始化的参数范围",
        text="The range of uniform draws has to be tuned.",
        parts=_needs_a_range(UNIFORMS),
        literature=_FINDS_HE,
    ),
    Claim(
        number=27,
        section="3.2.2",
        original="该方法可以对权重参数初始值的范围做更精细的控制",
        text="Gaussian draws control the range of weights more finely.",
        reading="The range, a kernel's largest weight in size, varies less from draw "
        "to draw than that of uniform draws.",
        predictions=(
            below(
                Check(
                    "range_scatter",
                    "relative scatter of the range over draws, Gaussian less uniform",
                    "%",
                ),
                0.0,
            ),
        ),
        literature="A Gaussian law is unbounded; each of them has one scale.",
    ),
    Claim(
        number=28,
        section="3.2.2.1",
        original="更加灵活，可控性强",
        text="Gaussian draws are more flexible and easier to control.",
        reading="Beside uniform draws of the same variance.",
        parts=(
            Part(
                "More flexible: nets do with more sizes, so that in the mean over five "
                "sizes accuracy is more than five points ahead.",
                (
                    above(
                        Difference(_over_sizes(NORMALS), _over_sizes(UNIFORMS)), CLEAR
                    ),
                ),
            ),
            Part(
                "Easier to control: the standard deviation that a kernel comes to "
                "varies less from draw to draw.",
                (
                    below(
                        Check(
                            "size_scatter",
                            "relative scatter of the standard deviation over draws, "
                            "Gaussian less uniform",
                            "%",
                        ),
                        0.0,
                    ),
                ),
            ),
        ),
    ),
    Claim(
        number=29,
        section="3.2.2.1",
        original="高斯分布生成的权重参数具有均值接近零的特性，对整体模型的发散性较小",
        text="Gaussian weights have a mean near zero, so that the model diverges "
        "little.",
        parts=_little_divergence("gaussian", NORMALS),
        literature="A mean of zero is needed; how far a net diverges is a matter of "
        "fan_in times the variance.",
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
        parts=_zero_layer_and_death(_NORMAL),
        literature="A continuous law gives zero with probability zero. Signals may "
        "vanish all the same: claim 56.",
        against=(55,),
    ),
    Claim(
        number=33,
        section="3.2.2.2",
        original="需要在一定范围内去调整初始化的参数范围",
        text="The range of Gaussian draws has to be tuned.",
        parts=_needs_a_range(NORMALS),
        literature=_FINDS_HE,
    ),
)
