"""The settings on which advice is measured: small nets, each raced over one field.

What `advise` says of a network before training is worth what races of other networks
say of it. These are those: nets × depths × activations × norms × data, each trained
from the schemes that it admits at four learning rates and three seeds. Widths and
numbers of steps are small, so that the whole is affordable; what is found is found for
nets of this size, in short runs of momentum 0.9.

A family is what is left out together when advice is measured out of sample: nets of
one kind, whose settings are no independent evidence of one another.
"""

from collections.abc import Mapping
from typing import Any

from init_study.study import Study

# What any network admits, whatever its activation: the rules of textbooks, the defaults
# of frameworks and the fixed scales, and those that follow from the network or a batch.
FIELD = (
    "he_normal",
    "xavier_normal",
    "flax",
    "torch",
    "normal(0.02)",
    "orthogonal",
    "lsuv",
    "autoinit",
    "edge_of_chaos",
    "zero_head(rest='he_normal')",
)
# With ReLU it is `he_normal` itself.
_OF_OTHER_ACTIVATIONS = ("gain_normal",)
_OF_BRANCHES = ("depth_scaled", "branch_gain", "zero_branch")
_OF_NORMED_BRANCHES = ("zero_gamma", "zero_branch")


def setting(
    model: str,
    dataset: str,
    depth: int | None = None,
    activation: str | None = None,
    norm: str | None = None,
    further: tuple[str, ...] = (),
    **fields: Any,
) -> Study:
    """Describe the race of one network.

    Args:
        model: a name.
        dataset: a name.
        depth: as the model counts it.
        activation: by default the model's own, which has to be a ReLU then.
        norm: by default the model's own.
        further: schemes that this network admits beyond `FIELD`.
        fields: further ones of `Study`.
    """
    relu = activation in (None, "relu")
    short = "fashion" if dataset == "fashion_mnist" else dataset
    words = [model, depth, activation, norm and f"{norm}_norm", short]
    return Study(
        name="_".join(str(word) for word in words if word not in (None, "none_norm")),
        schemes=(*FIELD, *(() if relu else _OF_OTHER_ACTIVATIONS), *further),
        learning_rates=(0.01, 0.03, 0.1, 0.3),
        seeds=3,
        dataset=(dataset,),
        model=(model,),
        depth=(depth,),
        activation=(activation,),
        norm=(norm,),
        **{"width": 8, "batch_size": 32, "steps": 150, "evaluations": 3, **fields},
    )


_SMALL_FASHION: Mapping[str, Any] = {"image_size": 14, "evaluations": 1}
_LENET: Mapping[str, Any] = {"image_size": 16, "evaluations": 1, "width": None}

_PLAIN = [
    *(setting("cnn", "digits", depth, "relu") for depth in (2, 4, 8, 16)),
    *(setting("cnn", "digits", depth, "tanh") for depth in (4, 8, 16)),
    *(setting("cnn", "digits", depth, "gelu") for depth in (4, 8)),
    *(setting("cnn", "digits", depth, "silu") for depth in (4, 8)),
    setting("cnn", "digits", 3, "sigmoid"),
    setting("cnn", "digits", 8, "selu"),
]
_PLAIN_FASHION = [
    *(
        setting("cnn", "fashion_mnist", depth, "relu", **_SMALL_FASHION)
        for depth in (4, 8, 16)
    ),
    setting("cnn", "fashion_mnist", 8, "tanh", **_SMALL_FASHION),
    setting("cnn", "fashion_mnist", 8, "gelu", **_SMALL_FASHION),
]
_PLAIN_NORMED = [
    *(setting("cnn", "digits", depth, "relu", "batch") for depth in (4, 12)),
    setting("cnn", "digits", 8, "tanh", "batch"),
    setting("cnn", "digits", 8, "gelu", "layer"),
    setting("cnn", "fashion_mnist", 8, "relu", "batch", **_SMALL_FASHION),
]
_CIRCULAR = [
    setting(
        "plain_circular",
        "digits",
        8,
        activation,
        further=("delta_orthogonal",),
    )
    for activation in ("tanh", "relu", "silu")
]
_RESIDUAL = [
    *(
        setting("resnet", "digits", depth, "relu", "none", _OF_BRANCHES, width=4)
        for depth in (8, 14, 26)
    ),
    setting("resnet", "digits", 14, "tanh", "none", _OF_BRANCHES, width=4),
    setting(
        "resnet",
        "fashion_mnist",
        14,
        "relu",
        "none",
        _OF_BRANCHES,
        **{**_SMALL_FASHION, "width": 4},
    ),
]
_RESIDUAL_NORMED = [
    *(
        setting("resnet", "digits", depth, "relu", "batch", _OF_NORMED_BRANCHES, width=4)
        for depth in (8, 20)
    ),
    setting("resnet", "digits", 14, "silu", "batch", _OF_NORMED_BRANCHES, width=4),
]
_MIXERS = [
    setting("convmixer", "digits", 2, "gelu", "batch", width=16),
    setting("convmixer", "digits", 4, "relu", "none", width=16),
    setting("convmixer", "digits", 4, "gelu", "none", width=16),
]
_STAGES = [
    setting("vgg_stages", "digits", 2, "relu", "none"),
    setting("vgg_stages", "digits", 3, "relu", "none"),
    setting("vgg_stages", "digits", 3, "relu", "batch"),
    setting("vgg_stages", "digits", 3, "tanh", "none"),
]
_LENETS = [
    setting("lenet", "fashion_mnist", None, activation, **_LENET)
    for activation in ("tanh", "relu", "sigmoid")
]
_ALL_CONVOLUTIONS = [
    setting("all_cnn_c", "fashion_mnist", None, activation, **_SMALL_FASHION)
    for activation in ("relu", "gelu")
]

FAMILIES: Mapping[str, tuple[Study, ...]] = {
    "plain": (*_PLAIN, *_PLAIN_FASHION),
    "plain, normed": tuple(_PLAIN_NORMED),
    "plain, circular": tuple(_CIRCULAR),
    "residual": tuple(_RESIDUAL),
    "residual, normed": tuple(_RESIDUAL_NORMED),
    "mixer": tuple(_MIXERS),
    "stages": tuple(_STAGES),
    "lenet": tuple(_LENETS),
    "all convolutions": tuple(_ALL_CONVOLUTIONS),
}
SETTINGS: Mapping[str, Study] = {
    study.name: study for studies in FAMILIES.values() for study in studies
}
