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

from init_study.advice.candidates import FOR_ALL
from init_study.study import Study

# With ReLU it is `he_normal` itself.
_OF_OTHER_ACTIVATIONS = ("gain_normal",)
_OF_BRANCHES = ("depth_scaled", "branch_gain", "zero_branch")
_OF_NORMED_BRANCHES = ("zero_gamma", "zero_branch")
_OF_CIRCLES = ("delta_orthogonal",)


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
        further: schemes that this network admits beyond `FOR_ALL`.
        fields: further ones of `Study`.
    """
    relu = activation in (None, "relu")
    short = "fashion" if dataset == "fashion_mnist" else dataset
    words = [model, depth, activation, norm and f"{norm}_norm", short]
    return Study(
        name="_".join(str(word) for word in words if word not in (None, "none_norm")),
        schemes=(*FOR_ALL, *(() if relu else _OF_OTHER_ACTIVATIONS), *further),
        learning_rates=(0.01, 0.03, 0.1, 0.3),
        seeds=(0, 1, 2),
        dataset=(dataset,),
        model=(model,),
        depth=(depth,),
        activation=(activation,),
        norm=(norm,),
        **{"width": 8, "batch_size": 32, "steps": 150, "evaluations": 3, **fields},
    )


_FASHION: Mapping[str, Any] = {"image_size": 8, "evaluations": 1}

_PLAIN = [
    *(setting("cnn", "digits", depth, "relu") for depth in (2, 4, 8, 16)),
    *(setting("cnn", "digits", depth, "tanh") for depth in (2, 4, 8, 12)),
    *(setting("cnn", "digits", depth, "gelu") for depth in (3, 8)),
    setting("cnn", "digits", 2, "silu"),
    setting("cnn", "digits", 8, "silu"),
    setting("cnn", "digits", 8, "selu"),
    setting("cnn", "digits", 3, "sigmoid"),
    *(setting("cnn", "fashion_mnist", n, "relu", **_FASHION) for n in (2, 4)),
    setting("cnn", "fashion_mnist", 3, "tanh", **_FASHION),
]
_PLAIN_NORMED = [
    setting("cnn", "digits", 4, "relu", "batch"),
    setting("cnn", "digits", 2, "tanh", "batch"),
    setting("cnn", "digits", 3, "gelu", "layer"),
    setting("cnn", "fashion_mnist", 2, "relu", "batch", **_FASHION),
]
_CIRCULAR = [
    setting("plain_circular", "digits", depth, activation, None, _OF_CIRCLES)
    for depth, activation in ((8, "tanh"), (4, "relu"), (4, "silu"))
]
_RESIDUAL = [
    setting("resnet", "digits", 8, "relu", "none", _OF_BRANCHES, width=4),
    setting("resnet", "digits", 8, "tanh", "none", _OF_BRANCHES, width=4),
    setting(
        "resnet",
        "fashion_mnist",
        8,
        "relu",
        "none",
        _OF_BRANCHES,
        **{**_FASHION, "width": 4},
    ),
]
_RESIDUAL_NORMED = [
    setting("resnet", "digits", 8, activation, "batch", _OF_NORMED_BRANCHES, width=4)
    for activation in ("relu", "silu")
]
_MIXERS = [
    setting("convmixer", "digits", 2, activation, norm, width=16)
    for activation, norm in (("gelu", "batch"), ("relu", "none"), ("gelu", "none"))
]
_STAGES = [
    setting("vgg_stages", "digits", 2, activation, norm)
    for activation, norm in (("relu", "none"), ("tanh", "none"), ("relu", "batch"))
]
_LENETS = [
    setting(
        "lenet",
        "fashion_mnist",
        None,
        activation,
        **{**_FASHION, "image_size": 16, "width": None},
    )
    for activation in ("tanh", "relu", "sigmoid")
]
_ALL_CONVOLUTIONS = [
    setting(
        "all_cnn_c", "fashion_mnist", None, activation, **{**_FASHION, "image_size": 10}
    )
    for activation in ("relu", "gelu")
]

FAMILIES: Mapping[str, tuple[Study, ...]] = {
    "plain": tuple(_PLAIN),
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
