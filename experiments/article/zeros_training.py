"""Claims 17–19 and 49–53: what a start from zeros does to training."""

from init_study.answers.claims.claim import Claim, Part, above, below
from init_study.answers.claims.combinations import Difference, Exceeds
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Earlier, Layers, Rises

from .shared_rules import (
    BOUNDED,
    at,
    behind,
    gap,
    no_death,
    small_range,
    small_updates,
)
from .studies import CLEAR

_ZEROS = at("zeros")
_DEEP = at("zeros", 12, 0.01)
_DEEP_HE = at("he_normal", 12, 0.01)


def _spread(scheme: str, activation: str) -> Layers:
    return Layers(runs("bounded", scheme, activation=activation), "spread", "last")


def _accuracy(scheme: str, activation: str) -> Accuracy:
    return Accuracy(runs("bounded", scheme, activation=activation))


CLAIMS = (
    Claim(
        number=17,
        section="3.1.2",
        original="当网络非常深、具有较多参数时，Zeros初始化可能导致参数更新幅度过小，导致训练过程"
        "不稳定",
        text="In very deep nets zeros make updates too small, which makes training "
        "unstable.",
        reading="In the net of twelve convolutions.",
        parts=(
            Part(
                "Updates are too small: gradients by hidden weights are below a tenth "
                "of He's at the first step.",
                (small_updates(12),),
            ),
            Part(
                "Training is unstable: at rate 0.01 the loss climbs by more than a "
                "tenth of a nat more than from He's law, in all, in most seeds.",
                (above(Exceeds(Rises(_DEEP), Rises(_DEEP_HE), by=0.1), 0.5),),
            ),
        ),
    ),
    Claim(
        number=18,
        section="3.1.2",
        original="Zeros初始化可能导致某些神经元学习到的特征是过拟合，甚至对测试数据产生巨大错误",
        text="With zeros some neurons learn overfitted features, with huge errors on "
        "test data.",
        reading="A net from zeros is more than five points better on its training "
        "batches than on test data.",
        predictions=(above(gap(_ZEROS), CLEAR),),
    ),
    Claim(
        number=19,
        section="3.1.2",
        original="对于激活函数为sigmoid或者tanh的网络，Zeros初始化可能导致它们的输出变化范围过大，"
        "导致模型在训练过程中难以收敛",
        text="With sigmoid or tanh, zeros make outputs vary over too large a range, so "
        "that training hardly converges.",
        parts=(
            Part(
                "Before the first step the outputs vary more over images than with "
                "Xavier.",
                tuple(
                    above(
                        Difference(_spread("zeros", a), _spread("xavier_normal", a)),
                        0.0,
                    )
                    for a in BOUNDED
                ),
            ),
            *(
                Part(
                    f"Nets with {a} come out more than five points behind Xavier's.",
                    (
                        below(
                            Difference(
                                _accuracy("zeros", a), _accuracy("xavier_normal", a)
                            ),
                            -CLEAR,
                        ),
                    ),
                )
                for a in BOUNDED
            ),
        ),
        against=(51,),
    ),
    Claim(
        number=49,
        section="6",
        original="训练初期，对权重参数的更新幅度较小，能够加快训练速度",
        text="Zeros: small updates at the beginning speed up training.",
        parts=(
            Part(
                "Updates are small: gradients by hidden weights are below a tenth of "
                "He's at the first step, in the net of four convolutions.",
                (small_updates(4),),
            ),
            Part(
                "Training is faster: each at its best rate, zeros get to 30 % accuracy "
                "before Xavier, in most seeds.",
                (above(Earlier(_ZEROS, at("xavier_normal"), 0.3), 0.5),),
            ),
        ),
    ),
    Claim(
        number=50,
        section="6",
        original="能很好的解决“死亡”问题，即模型的权重参数为0，网络并不学习任何特征",
        text='Zeros solve "death", that weights are 0 and no features are learned.',
        parts=no_death("zeros"),
        against=(9, 52),
    ),
    Claim(
        number=51,
        section="6",
        original="对激活函数为sigmoid、tanh的网络，输出范围较小，训练初期对模型的影响小",
        text="Zeros: with sigmoid and tanh the range of outputs is small, and affects "
        "the model little at the beginning.",
        parts=small_range("zeros"),
        against=(19,),
    ),
    Claim(
        number=52,
        section="6",
        original="模型在训练初期，学习能力较弱",
        text="Zeros: weak learning at the beginning.",
        reading="After the few steps of study early, with ReLU and with tanh, accuracy "
        "is more than five points behind Xavier's.",
        predictions=tuple(
            below(
                Difference(
                    Accuracy(runs("early", "zeros", activation=a)),
                    Accuracy(runs("early", "xavier_normal", activation=a)),
                ),
                -CLEAR,
            )
            for a in ("relu", "tanh")
        ),
        against=(14, 50),
    ),
    Claim(
        number=53,
        section="6",
        original="大多数情况下，不建议使用",
        text="Zeros are mostly not to be recommended.",
        reading="In nets of one, four and twelve convolutions, zeros are more than "
        "five points behind He.",
        predictions=tuple(
            below(behind("zeros", "he_normal", depth), -CLEAR) for depth in (1, 4, 12)
        ),
        literature="Some zeros help: in the last layer of residual branches (Fixup, "
        "Zhang et al. 2019) or its norm's scale (Goyal et al. 2017).",
    ),
)
