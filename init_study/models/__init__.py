"""Models by name, in plain Flax Linen, and a user's own as `module:NAME`."""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
from absl import logging

from init_study.errors import UserError, nearest, unknown
from init_study.models.alexnet import AlexNet, AlexNetSmall, AlexNetTorchvision
from init_study.models.all_cnn import AllCNN
from init_study.models.cnn import CNN
from init_study.models.convmixer import ConvMixer
from init_study.models.convnext import ConvNeXt
from init_study.models.densenet import DenseNet, DenseNetBC
from init_study.models.googlenet import GoogLeNet, GoogLeNetTorchvision
from init_study.models.lenet import LeNet
from init_study.models.linear import Linear
from init_study.models.mobilenet import MobileNetV2
from init_study.models.nfnet import NFNet
from init_study.models.plain_circular import PlainCircular
from init_study.models.resnet import (
    ResNet,
    ResNet20CIFAR,
    ResNet32CIFAR,
    ResNet44CIFAR,
    ResNet56CIFAR,
    ResNet110CIFAR,
)
from init_study.models.resnet_imagenet import (
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
)
from init_study.models.resnet_v2 import (
    ResNet18V2,
    ResNet34V2,
    ResNet50V2,
    ResNet101V2,
    ResNet152V2,
    WideResNet,
)
from init_study.models.unet import UNet
from init_study.models.vgg import VGG11, VGG13, VGG16, VGG19, VGG11Small
from init_study.models.vgg_stages import VGGStages
from init_study.models.vit import ViT
from init_study.study.program import MODEL_FIELDS

# Of our own models. A layer takes some 30 ms to be followed, and longer to compile.
_MOST_DEPTH, _DEEP, _LAYERS_A_SECOND = 1_000, 200, 30

__all__ = [
    "CNN",
    "MODELS",
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG19",
    "AlexNet",
    "AlexNetSmall",
    "AlexNetTorchvision",
    "AllCNN",
    "ConvMixer",
    "ConvNeXt",
    "DenseNet",
    "DenseNetBC",
    "GoogLeNet",
    "GoogLeNetTorchvision",
    "LeNet",
    "Linear",
    "MobileNetV2",
    "NFNet",
    "PlainCircular",
    "ResNet",
    "ResNet18",
    "ResNet18V2",
    "ResNet20CIFAR",
    "ResNet32CIFAR",
    "ResNet34",
    "ResNet34V2",
    "ResNet44CIFAR",
    "ResNet50",
    "ResNet50V2",
    "ResNet56CIFAR",
    "ResNet101",
    "ResNet101V2",
    "ResNet110CIFAR",
    "ResNet152",
    "ResNet152V2",
    "UNet",
    "VGG11Small",
    "VGGStages",
    "ViT",
    "WideResNet",
    "build_model",
]


def build_model(
    name: str,
    num_classes: int,
    arguments: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Make the module that a name means, with some of its fields set.

    Args:
        name: in `MODELS`, or `module:NAME` for one of the user's own, imported from
            Python's path: a class or a function that makes a module of Flax, Haiku or
            Equinox, or a module.
        num_classes: given to what makes the module, if it takes it.
        arguments: further fields, e.g. `{"depth": 8}`.
        given: modules that the caller holds, or what makes them, by name.

    Returns: a Linen module of ours; of the user's own what `network.adapters` takes.

    Raises: UserError for a name that is not there, a module that does not import, or
        an argument that the model does not have.

    Example:
        >>> build_model("cnn", 10, {"depth": 2}).depth
        2
    """
    known = {**MODELS, **(given or {})}
    model = known[name] if name in known else _users_own(name)
    takes = _arguments(model)
    missing = [argument for argument in arguments if argument not in takes]
    if missing:
        raise _no_field(name, missing, takes - {"num_classes"})
    if name in MODELS and model is MODELS[name]:
        if not arguments.get("scanned", getattr(model, "scanned", False)):
            _check_depth(name, arguments.get("depth", 1))
    given = dict(arguments)
    if "num_classes" in takes:
        given["num_classes"] = num_classes
    if not (isinstance(model, type) and issubclass(model, nn.Module)):
        return functools.partial(model, **given) if given else model
    try:
        return model(**given)
    except TypeError as error:
        raise UserError(f"model {name!r} cannot be made: {error}") from error


def _check_depth(name: str, depth: int) -> None:
    """Refuse a depth that would be followed, layer by layer, for minutes."""
    if depth > _MOST_DEPTH:
        raise UserError(
            f"depth={depth} of model {name!r} is too large: nets are followed layer by "
            f"layer; the most is {_MOST_DEPTH:,}"
        )
    if depth > _DEEP:
        logging.warning(
            "%s of depth %d is followed layer by layer, which takes about %d s",
            name,
            depth,
            depth // _LAYERS_A_SECOND,
        )


def _no_field(name: str, missing: list[str], takes: set[str]) -> UserError:
    """Make the error for fields that a model does not have, with the way out.

    Fields that studies set on models are no slip of the pen: they are to be left out.
    """
    names = ", ".join(sorted(takes)) or "no fields"
    for argument in missing:
        if argument not in MODEL_FIELDS:
            return unknown(f"field of model {name}:", argument, takes, names)
    given = ", ".join(map(repr, missing))
    flags = " ".join(f"--study.{argument}=default" for argument in missing)
    return UserError(
        f"unknown field of model {name}: {given}; leave it out, or say {flags}. The "
        f"model's fields: {names}"
    )


def _arguments(model: Any) -> set[str]:
    """List what a class or a function that makes a module takes.

    A module that is made already takes nothing.
    """
    if isinstance(model, type) and issubclass(model, nn.Module):
        fields = dataclasses.fields(model)
        return {field.name for field in fields} - {"parent", "name"}
    if not (isinstance(model, type) or inspect.isfunction(model)):
        return set()
    call = model.__init__ if isinstance(model, type) else model
    return set(inspect.signature(call).parameters) - {"self", "rngs", "key"}


def _users_own(name: str) -> Any:
    module_name, colon, own_name = name.partition(":")
    if name == "vgg":
        raise UserError(
            "model 'vgg' is called 'vgg_stages', as its depth counts stages; the nets "
            "of VGG's paper are vgg11, vgg13, vgg16, vgg19, and vgg11_small"
        )
    if not colon:
        way_out = (
            "python launch.py list --kind=models; one of your own is module:NAME, as "
            f"my_package.nets:{name}"
        )
        raise unknown("model", name, MODELS, way_out)
    if "/" in module_name or module_name.endswith(".py"):
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise UserError(
            f"model {name!r} names a file; write it as Python imports it, from the "
            f"folder you are in or Python's path: {dotted}:{own_name}"
        )
    try:
        module = importlib.import_module(module_name)
    # The user's module runs here: whatever it raises is why it does not import.
    except Exception as error:
        lines = str(error).splitlines() or [""]
        raise UserError(
            f"model {name!r}: {module_name!r} does not import: "
            f"{type(error).__name__}: {lines[0]}{_cure(error, module_name)}"
        ) from error
    if not hasattr(module, own_name):
        near = nearest(own_name, [n for n in vars(module) if not n.startswith("_")])
        hint = f"; did you mean {near!r}?" if near else ""
        raise UserError(
            f"model {name!r}: module {module_name!r} has no {own_name!r}{hint}"
        )
    return getattr(module, own_name)


def _cure(error: Exception, module_name: str) -> str:
    """Say how to get what is absent: a framework, or the user's module itself."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing in ("haiku", "equinox"):
        return f'; get it by: pip install "init_study[{missing}]"'
    if missing and f"{module_name}.".startswith(f"{missing}."):
        return "; it is looked for in the folder you are in, and on Python's path"
    return ""


MODELS: dict[str, type[nn.Module]] = {
    "cnn": CNN,
    "lenet": LeNet,
    "linear": Linear,
    "resnet": ResNet,
    "vgg_stages": VGGStages,
    "alexnet": AlexNet,
    "alexnet_torchvision": AlexNetTorchvision,
    "alexnet_small": AlexNetSmall,
    "vgg11": VGG11,
    "vgg13": VGG13,
    "vgg16": VGG16,
    "vgg19": VGG19,
    "vgg11_small": VGG11Small,
    "resnet18": ResNet18,
    "resnet34": ResNet34,
    "resnet50": ResNet50,
    "resnet101": ResNet101,
    "resnet152": ResNet152,
    "resnet18_v2": ResNet18V2,
    "resnet34_v2": ResNet34V2,
    "resnet50_v2": ResNet50V2,
    "resnet101_v2": ResNet101V2,
    "resnet152_v2": ResNet152V2,
    "resnet20_cifar": ResNet20CIFAR,
    "resnet32_cifar": ResNet32CIFAR,
    "resnet44_cifar": ResNet44CIFAR,
    "resnet56_cifar": ResNet56CIFAR,
    "resnet110_cifar": ResNet110CIFAR,
    "wide_resnet28_10": WideResNet,
    "all_cnn_c": AllCNN,
    "densenet40": DenseNet,
    "densenet_bc100": DenseNetBC,
    "mobilenet_v2": MobileNetV2,
    "convnext_tiny": ConvNeXt,
    "convmixer": ConvMixer,
    "vit_small": ViT,
    "plain_circular": PlainCircular,
    "googlenet": GoogLeNet,
    "googlenet_torchvision": GoogLeNetTorchvision,
    "nfnet_f0": NFNet,
    "unet": UNet,
}
