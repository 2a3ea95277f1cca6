"""Models by name, and a user's own as `module:Class`. Plain Flax Linen."""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from init_study.errors import UserError, unknown
from init_study.models.cnn import CNN
from init_study.models.lenet import LeNet
from init_study.models.linear import Linear
from init_study.models.resnet import ResNet
from init_study.models.vgg import VGG

__all__ = ["CNN", "MODELS", "VGG", "LeNet", "Linear", "ResNet", "build_model"]


def build_model(name: str, num_classes: int, arguments: Mapping[str, Any]) -> nn.Module:
    """The module that a name means, with some of its fields set.

    Args:
        name: in `MODELS`, or `module:Class` for a Flax Linen module of the user's own,
            imported from Python's path.
        num_classes: given to the module if it has such a field.
        arguments: further fields, e.g. `{"depth": 8}`.

    Raises: UserError for a name that is not there, a module that does not import, or
        an argument that the model does not have.
    """
    model = MODELS[name] if name in MODELS else _users_own(name)
    fields = {
        f.name for f in dataclasses.fields(model) if f.name not in ("parent", "name")
    }
    for argument in arguments:
        if argument not in fields:
            names = ", ".join(sorted(fields - {"num_classes"})) or "no fields"
            raise unknown(f"field of model {name}:", argument, fields, names)
    given = dict(arguments)
    if "num_classes" in fields:
        given["num_classes"] = num_classes
    try:
        return model(**given)
    except TypeError as error:
        raise UserError(f"model {name!r} cannot be made: {error}") from error


def _users_own(name: str) -> type[nn.Module]:
    module_name, colon, class_name = name.partition(":")
    if not colon:
        raise unknown("model", name, MODELS, "python launch.py list --kind=models")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except AttributeError:
        raise UserError(
            f"model {name!r}: module {module_name!r} has no class {class_name!r}"
        ) from None
    # The user's module runs here: whatever it raises is why it does not import.
    except Exception as error:
        raise UserError(
            f"model {name!r}: {module_name!r} does not import: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"model {name!r} is not a flax.linen.Module class")
    if "__call__" not in vars(found) and not any(
        "__call__" in vars(parent) for parent in found.__mro__[1:-1]
    ):
        raise UserError(f"model {name!r} has no __call__ that takes images")
    return found


MODELS: dict[str, type[nn.Module]] = {
    "cnn": CNN,
    "lenet": LeNet,
    "linear": Linear,
    "resnet": ResNet,
    "vgg": VGG,
}
