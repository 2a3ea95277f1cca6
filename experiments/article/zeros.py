"""Claims 9–16: what a start from zeros is said to be for."""

from init_study.answers.claims.claim import Claim, Part, above, below
from init_study.answers.claims.combinations import Check, Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Earlier, Layers, Learned

from .shared_rules import at, behind, gap
from .studies import CLEAR, MARGIN

_ZEROS, _HE = at("zeros"), at("he_normal")
_CONSTANT = at("constant(0.05)")
_LINEAR, _LINEAR_HE = (runs("convex", s) for s in ("zeros", "he_normal"))


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
            below(Layers(_CONSTANT, "distinct", "greatest", first=False), 0.1),
            below(behind("zeros", "he_normal"), -CLEAR),
            below(behind("constant(0.05)", "he_normal"), -CLEAR),
        ),
        literature="Blumenfeld et al. 2020 train nets with equal features where the "
        "machine's own noise breaks the symmetry; these runs are deterministic.",
    ),
    Claim(
        number=10,
        section="3.1",
        original="同时也会增加训练的难度",
        text="And make training harder.",
        reading="Fewer than half of the runs from zeros learn anything, and more than "
        "half of those from He's law, each at its best rate.",
        predictions=(below(Learned(_ZEROS), 0.5), above(Learned(_HE), 0.5)),
    ),
    Claim(
        number=11,
        section="3.1",
        original="因此，该方法通常用于较小的模型结构和激活函数较少的神经网络",
        text="Hence zeros are used for small models with few activations.",
        reading="They suit such models: they are no more than a point behind He. How "
        "often they are used is not to be seen here.",
        parts=(
            Part(
                "They suit a small model: a single convolution and a head.",
                (above(behind("zeros", "he_normal", 1), -MARGIN),),
            ),
            Part(
                "They suit a model without activations: one linear layer.",
                (above(Difference(Accuracy(_LINEAR), Accuracy(_LINEAR_HE)), -MARGIN),),
            ),
        ),
        literature="Where nothing is hidden, as in linear and logistic regression, "
        "the problem is convex and zeros are a usual start.",
    ),
    Claim(
        number=12,
        section="3.1",
        original="而不会出现太大的过拟合现象",
        text="Where they do not overfit much.",
        reading="There: in the models of claim 11. Accuracy on training batches is "
        "less than five points above that on test data. A net that learns nothing has "
        "nothing to overfit.",
        parts=(
            Part(
                "No large gap in a small model: a single convolution and a head.",
                (below(gap(at("zeros", 1)), CLEAR),),
            ),
            Part(
                "No large gap in a model without activations: one linear layer.",
                (below(gap(_LINEAR), CLEAR),),
            ),
        ),
    ),
    Claim(
        number=13,
        section="3.1.1",
        original="使用较小的初始学习速率，可加快收敛速度",
        text="With a small initial learning rate zeros speed up convergence.",
        reading="At the small rate 0.01 zeros get to 30 % accuracy before Xavier, in "
        "most seeds; and they come to an accuracy that is more than five points above "
        "that of zeros at rate 0.1.",
        predictions=(
            above(
                Earlier(at("zeros", 4, 0.01), at("xavier_normal", 4, 0.01), 0.3), 0.5
            ),
            above(
                Difference(
                    Accuracy(at("zeros", 4, 0.01)), Accuracy(at("zeros", 4, 0.1))
                ),
                CLEAR,
            ),
        ),
    ),
    Claim(
        number=14,
        section="3.1.1",
        original="可避免死亡梯度的问题",
        text="Zeros avoid dying gradients.",
        reading="At the first step the weights of every hidden layer have a gradient.",
        predictions=(above(Layers(_ZEROS, "weight_gradient", "least"), 0.0),),
        against=(9, 52),
    ),
    Claim(
        number=15,
        section="3.1.1",
        original="可以减少网络的参数数量，降低计算资源的占用",
        text="Zeros reduce the number of parameters and the use of resources.",
        parts=(
            Part(
                "The parameters that are held and trained are fewer than with He.",
                (
                    below(
                        Check(
                            "parameters_of_zeros",
                            "parameters with zeros over those with he_normal",
                        ),
                        1.0,
                    ),
                ),
            ),
            Part(
                "A training step takes fewer operations, and fewer bytes.",
                (
                    below(
                        Check(
                            "operations_of_zeros",
                            "operations, and bytes, of a step from zeros over those "
                            "from he_normal",
                        ),
                        1.0,
                    ),
                ),
            ),
        ),
    ),
    Claim(
        number=16,
        section="3.1.1",
        original="如果输入数据是均匀分布，那么Zeros初始化后的网络的参数估计值将接近真实参数值，"
        "因此避免了参数估计值的不确定性",
        text="If the input is uniformly distributed, the parameters that a net from "
        "zeros arrives at are close to the true ones, which avoids uncertainty.",
        reading="The true parameters are those of a net of the same kind, which made "
        "the data.",
        parts=(
            Part(
                "They are close in a linear net: within a tenth of their size.",
                (
                    below(
                        Check(
                            "distance_in_a_linear_net",
                            "distance of a linear student's parameters from the true "
                            "ones",
                            "%",
                        ),
                        0.1,
                    ),
                ),
            ),
            Part(
                "They are close in a net with a hidden ReLU layer: so that less than a "
                "tenth of what the true ones compute is left unexplained.",
                (
                    below(
                        Check(
                            "unexplained_in_a_relu_net",
                            "share of the teacher's variance that a ReLU student from "
                            "zeros leaves unexplained",
                            "%",
                        ),
                        0.1,
                    ),
                ),
            ),
            Part(
                "It is the uniform law that does it: on Gaussian inputs they are not "
                "as close, by more than a hundredth.",
                (
                    below(
                        Check(
                            "gain_of_uniform_inputs",
                            "these shares on uniform inputs less those on Gaussian "
                            "ones",
                            "%",
                        ),
                        -0.01,
                    ),
                ),
            ),
            Part(
                "They are less uncertain: with fresh data and start they vary less "
                "than those from random weights, in the net with a hidden layer.",
                (
                    below(
                        Check(
                            "spread_of_estimates",
                            "spread of estimates from zeros over that from random "
                            "weights",
                        ),
                        1.0,
                    ),
                ),
            ),
        ),
        literature="For linear regression gradient descent from zero finds the "
        "parameters, or the least ones that fit. Those of a net with a hidden layer "
        "are no more than one of many sets that compute the same.",
    ),
)
