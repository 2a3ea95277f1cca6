"""Claims 9–19 and 49–53: what a start from zeros does."""

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.combinations import Check, Difference
from init_study.answers.claims.evidence import Runs, runs
from init_study.answers.claims.quantities import (
    Accuracy,
    Earlier,
    Layers,
    Learned,
    Rises,
)

from .studies import CLEAR, MARGIN


def _zeros(depth: int, rate: float | None = None) -> Runs:
    return runs("methods", "zeros", rate, depth=depth)


def _he(depth: int, rate: float | None = None) -> Runs:
    return runs("methods", "he_normal", rate, depth=depth)


def _behind(depth: int) -> Difference:
    return Difference(Accuracy(_zeros(depth)), Accuracy(_he(depth)))


def _gap(one: Runs) -> Difference:
    return Difference(Accuracy(one, "train"), Accuracy(one))


_BOUNDED = ("tanh", "sigmoid")

CLAIMS = (
    Claim(
        number=9,
        section="3.1",
        original="由于所有权重参数都是相同的值，因此容易导致模型的无效拟合",
        text="Equal weights make a model fit to no effect.",
        reading="From a constant as from zeros, the filters of a layer are still "
        "copies of one another after training, and accuracy is more than five points "
        "behind He's.",
        predictions=(
            below(
                Layers(
                    runs("methods", "constant(0.05)", depth=4),
                    "distinct",
                    "greatest",
                    first=False,
                ),
                0.1,
            ),
            below(_behind(4), -CLEAR),
            below(
                Difference(
                    Accuracy(runs("methods", "constant(0.05)", depth=4)),
                    Accuracy(_he(4)),
                ),
                -CLEAR,
            ),
        ),
        literature="Blumenfeld et al. 2020 train nets with equal features where the "
        "machine's own noise breaks the symmetry; these runs are deterministic.",
    ),
    Claim(
        number=10,
        section="3.1",
        original="同时也会增加训练的难度",
        text="And make training harder.",
        reading="Fewer than half of the runs from zeros learn anything.",
        predictions=(below(Learned(_zeros(4)), 0.5),),
    ),
    Claim(
        number=11,
        section="3.1",
        original="因此，该方法通常用于较小的模型结构和激活函数较少的神经网络",
        text="Hence zeros are used for small models with few activations.",
        reading="They suit such models: with a single convolution, zeros are no more "
        "than a point behind He.",
        predictions=(above(_behind(1), -MARGIN),),
        literature="Where nothing is hidden, as in linear and logistic regression, "
        "the problem is convex and zeros are a usual start: see study convex.",
    ),
    Claim(
        number=12,
        section="3.1",
        original="而不会出现太大的过拟合现象",
        text="Where they do not overfit much.",
        reading="A small net from zeros fits, above 50 % accuracy on its own batches, "
        "and is less than five points worse on test data.",
        predictions=(
            above(Accuracy(_zeros(1), "train"), 0.5),
            below(_gap(_zeros(1)), CLEAR),
        ),
    ),
    Claim(
        number=13,
        section="3.1.1",
        original="使用较小的初始学习速率，可加快收敛速度",
        text="With a small initial learning rate zeros speed up convergence.",
        reading="At the small rate 0.01 zeros get to 30 % accuracy before Xavier, in "
        "most seeds.",
        predictions=(
            above(
                Earlier(
                    _zeros(4, 0.01),
                    runs("methods", "xavier_normal", 0.01, depth=4),
                    0.3,
                ),
                0.5,
            ),
        ),
    ),
    Claim(
        number=14,
        section="3.1.1",
        original="可避免死亡梯度的问题",
        text="Zeros avoid dying gradients.",
        reading="At the first step the weights of every hidden layer have a gradient.",
        predictions=(above(Layers(_zeros(4), "weight_gradient", "greatest"), 0.0),),
        against=(9, 52),
    ),
    Claim(
        number=15,
        section="3.1.1",
        original="可以减少网络的参数数量，降低计算资源的占用",
        text="Zeros reduce the number of parameters and the use of resources.",
        reading="The parameters that are held and trained are fewer than with He.",
        predictions=(
            below(
                Check(
                    "parameters_of_zeros",
                    "parameters with zeros over those with he_normal",
                ),
                1.0,
            ),
        ),
    ),
    Claim(
        number=16,
        section="3.1.1",
        original="如果输入数据是均匀分布，那么Zeros初始化后的网络的参数估计值将接近真实参数值，"
        "因此避免了参数估计值的不确定性",
        text="If the input is uniformly distributed, the parameters that a net from "
        "zeros arrives at are close to the true ones.",
        reading="On uniform inputs, a net from zeros explains nine tenths of what a "
        "net with the same architecture computes, whose parameters are the true ones.",
        predictions=(
            below(
                Check(
                    "student_of_uniform_inputs",
                    "share of the teacher's variance that a student from zeros leaves "
                    "unexplained",
                    "%",
                ),
                0.1,
            ),
        ),
    ),
    Claim(
        number=17,
        section="3.1.2",
        original="当网络非常深、具有较多参数时，Zeros初始化可能导致参数更新幅度过小，导致训练过程"
        "不稳定",
        text="In very deep nets zeros make updates too small, which makes training "
        "unstable.",
        reading="Hidden weights have no gradient, and the loss climbs on its way by "
        "more than a tenth of a nat in all.",
        predictions=(
            below(Layers(_zeros(12), "weight_gradient", "greatest"), 1e-20),
            above(Rises(_zeros(12, 0.01)), 0.1),
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
        predictions=(above(_gap(_zeros(4)), CLEAR),),
    ),
    Claim(
        number=19,
        section="3.1.2",
        original="对于激活函数为sigmoid或者tanh的网络，Zeros初始化可能导致它们的输出变化范围过大，"
        "导致模型在训练过程中难以收敛",
        text="With sigmoid or tanh, zeros make outputs vary over too large a range.",
        reading="Before the first step the outputs vary more over images than with "
        "Xavier.",
        predictions=tuple(
            above(
                Difference(
                    Layers(runs("bounded", "zeros", activation=a), "spread", "last"),
                    Layers(
                        runs("bounded", "xavier_normal", activation=a), "spread", "last"
                    ),
                ),
                0.0,
            )
            for a in _BOUNDED
        ),
        against=(51,),
    ),
    Claim(
        number=49,
        section="6",
        original="训练初期，对权重参数的更新幅度较小，能够加快训练速度",
        text="Zeros: small updates at the beginning speed up training.",
        reading="Each at its best rate, zeros get to 30 % accuracy before Xavier, in "
        "most seeds.",
        predictions=(
            above(
                Earlier(_zeros(4), runs("methods", "xavier_normal", depth=4), 0.3), 0.5
            ),
        ),
    ),
    Claim(
        number=50,
        section="6",
        original="能很好的解决“死亡”问题，即模型的权重参数为0，网络并不学习任何特征",
        text='Zeros solve "death", that weights are 0 and no features are learned.',
        reading="After training, fewer than half of the weights of each hidden layer "
        "are zero.",
        predictions=(
            below(Layers(_zeros(4), "zero_weights", "greatest", first=False), 0.5),
        ),
        against=(9, 52),
    ),
    Claim(
        number=51,
        section="6",
        original="对激活函数为sigmoid、tanh的网络，输出范围较小，训练初期对模型的影响小",
        text="Zeros: with sigmoid and tanh the range of outputs is small.",
        reading="Before the first step the outputs vary less over images than with "
        "Xavier.",
        predictions=tuple(
            below(
                Difference(
                    Layers(runs("bounded", "zeros", activation=a), "spread", "last"),
                    Layers(
                        runs("bounded", "xavier_normal", activation=a), "spread", "last"
                    ),
                ),
                0.0,
            )
            for a in _BOUNDED
        ),
        against=(19,),
    ),
    Claim(
        number=52,
        section="6",
        original="模型在训练初期，学习能力较弱",
        text="Zeros: weak learning at the beginning.",
        reading="After the few steps of study early, with tanh, accuracy is more than "
        "five points behind Xavier's.",
        predictions=(
            below(
                Difference(
                    Accuracy(runs("early", "zeros", activation="tanh")),
                    Accuracy(runs("early", "xavier_normal", activation="tanh")),
                ),
                -CLEAR,
            ),
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
        predictions=tuple(below(_behind(depth), -CLEAR) for depth in (1, 4, 12)),
        literature="Some zeros help: in the last layer of residual branches (Fixup, "
        "Zhang et al. 2019) or its norm's scale (Goyal et al. 2017).",
    ),
)
