"""Claims 59–63: what the article's summary says of Xavier's law."""

from init_study.answers.claims.claim import Claim, Part, Prediction, above, below
from init_study.answers.claims.combinations import Check, Difference
from init_study.answers.claims.evidence import runs
from init_study.answers.claims.quantities import Accuracy, Learned

from .shared_rules import (
    STALLS,
    controlled_variance,
    needs_layers_and_neurons,
    no_death,
    small_range,
)
from .studies import CLEAR, DOUBLED, HALVED, INPUTS


def _gain(scheme: str) -> tuple[Prediction, ...]:
    """Predict that another variance is no more than five points ahead of Xavier's."""
    return tuple(
        below(
            Difference(
                Accuracy(runs("halves", scheme, depth=depth)),
                Accuracy(runs("halves", "xavier_normal", depth=depth)),
            ),
            CLEAR,
        )
        for depth in (4, 12)
    )


CLAIMS = (
    Claim(
        number=59,
        section="6",
        original="能够较好的解决“死亡”问题，即某些神经元的权重参数为0，不再学习",
        text='Xavier: solves "death", that weights of some neurons are 0 and learn no '
        "more.",
        parts=no_death("xavier_normal"),
        literature=STALLS,
    ),
    Claim(
        number=60,
        section="6",
        original="能够较好的控制参数方差，使得权重参数不至于过大或过小",
        text="Xavier controls the variance, so that weights are neither too large nor "
        "too small.",
        reading="Too large or too small is what another size improves on, in ReLU nets "
        "of four and of twelve convolutions, each at its best rate.",
        parts=(
            controlled_variance(),
            Part(
                "Weights are not too large: half the variance is no more than five "
                "points ahead.",
                _gain(HALVED),
            ),
            Part(
                "Weights are not too small: twice the variance is no more than five "
                "points ahead.",
                _gain(DOUBLED),
            ),
        ),
        literature="Its variance keeps the signal of linear layers and, nearly, of "
        "tanh; ReLU halves it at every layer (He et al. 2015).",
    ),
    Claim(
        number=61,
        section="6",
        original="对激活函数为sigmoid、tanh的网络，输出范围较小，训练初期对模型的影响小",
        text="Xavier: with sigmoid and tanh the range of outputs is small, and affects "
        "the model little at the beginning.",
        parts=small_range("xavier_normal"),
        literature="Glorot & Bengio 2010, table 1: five sigmoid layers have 82.61 % "
        "error on Shapeset even so.",
    ),
    Claim(
        number=62,
        section="6",
        original="Xavier/Glorot初始化需要预先知道网络的层数和每层神经元的个数，实现起来比较复杂",
        text="Xavier: needs the number of layers and of neurons, and is complex.",
        parts=needs_layers_and_neurons(),
    ),
    Claim(
        number=63,
        section="6",
        original="不适用于非正态分布的数据，可能引发不可预料的结果",
        text="Xavier: not suitable for data that are not normal; results may be "
        "unforeseeable.",
        reading="On inputs of other laws the signal behind a layer is more than 10 % "
        "from what is predicted, and fewer than half of the runs on such inputs "
        "(pixels as they are, two values, cubes) learn.",
        predictions=(
            above(
                Check(
                    "xavier_on_input_laws",
                    "deviation from the predicted signal, five laws of inputs",
                    "%",
                ),
                0.1,
            ),
            *(
                below(Learned(runs("inputs", "xavier_normal", model=model)), 0.5)
                for model in INPUTS
            ),
        ),
    ),
)
