"""PyTorch's twins of the nets in `cases`: same layers, same sizes, same order."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.cases import NUM_CLASSES, Case


def twin(case: Case) -> nn.Module:
    """Build the twin of a case's net, with PyTorch's own initial parameters.

    It takes images `[n, c, h, w]`. Only the classes that `cases.CASES` uses are known.
    """
    return _TWINS[type(case.module).__name__](case)


class Mean(nn.Module):
    """Global average pooling: `[n, c, h, w]` to `[n, c]`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Block(nn.Module):
    """A basic block of a residual net, its shortcut projected where shapes change."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_conv_norm(into, out, 3, stride), nn.ReLU(), *_conv_norm(out, out, 3, 1)
        )
        changes = stride != 1 or into != out
        shortcut = _conv_norm(into, out, 1, stride) if changes else [nn.Identity()]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.shortcut(x))


def _cnn(case: Case) -> nn.Module:
    module: Any = case.module
    size, channels, layers = case.image_shape[0], case.image_shape[-1], []
    for index in range(module.depth):
        layers += [nn.Conv2d(channels, module.width, 3, padding=1), nn.ReLU()]
        channels = module.width
        if index < 2 and size >= 8:
            layers.append(nn.MaxPool2d(2))
            size //= 2
    return nn.Sequential(*layers, Mean(), nn.Linear(channels, NUM_CLASSES))


def _small(case: Case) -> nn.Module:
    height, width, channels = case.image_shape
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), 128),
        nn.ReLU(),
        nn.Linear(128, NUM_CLASSES),
    )


def _lenet(case: Case) -> nn.Module:
    height, width, channels = case.image_shape
    left = ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * left, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, NUM_CLASSES),
    )


def _vgg_stages(case: Case) -> nn.Module:
    module: Any = case.module
    into, layers = case.image_shape[-1], []
    for stage in range(module.depth):
        out = module.width * min(2**stage, 8)
        layers += [*_conv_norm(into, out, 3, 1), nn.ReLU()]
        layers += [*_conv_norm(out, out, 3, 1), nn.ReLU(), nn.MaxPool2d(2)]
        into = out
    return nn.Sequential(*layers, Mean(), nn.Linear(into, NUM_CLASSES))


def _resnet(case: Case) -> nn.Module:
    module: Any = case.module
    into = module.width
    layers = [*_conv_norm(case.image_shape[-1], into, 3, 1), nn.ReLU()]
    for stage in range(3):
        for block in range((module.depth - 2) // 6):
            out = module.width * 2**stage
            layers.append(Block(into, out, 2 if stage > 0 and block == 0 else 1))
            into = out
    return nn.Sequential(*layers, Mean(), nn.Linear(into, NUM_CLASSES))


def _conv_norm(into: int, out: int, size: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(into, out, size, stride, padding=size // 2, bias=False)
    return [conv, nn.BatchNorm2d(out)]


_TWINS = {
    "CNN": _cnn,
    "Small": _small,
    "LeNet": _lenet,
    "VGGStages": _vgg_stages,
    "ResNet": _resnet,
}


def to_torch(params: Mapping[str, Any], module: nn.Module) -> dict[str, Tensor]:
    """Give one member's Flax parameters the names and layouts of its twin.

    The k-th convolution, norm and dense layer of either side belong together. Rows of
    a dense kernel that follow a flattened map go from (h, w, c) to (c, h, w).
    """
    converted: dict[str, Tensor] = {}
    seen = {"Conv": 0, "BatchNorm": 0, "Dense": 0}
    kinds = {nn.Conv2d: "Conv", nn.BatchNorm2d: "BatchNorm", nn.Linear: "Dense"}
    channels = 0
    for path, layer in module.named_modules():
        kind = kinds.get(type(layer))
        if kind is None:
            continue
        leaves = {k: np.asarray(v) for k, v in params[f"{kind}_{seen[kind]}"].items()}
        if kind == "Conv":
            leaves["kernel"] = leaves["kernel"].transpose(3, 2, 0, 1)
            channels = layer.out_channels
        if kind == "Dense":
            kernel = leaves["kernel"]
            if seen[kind] == 0:
                by_pixel = kernel.reshape(-1, channels, kernel.shape[-1])
                kernel = by_pixel.swapaxes(0, 1).reshape(kernel.shape)
            leaves["kernel"] = kernel.T
        seen[kind] += 1
        for name, leaf in leaves.items():
            own = "bias" if name == "bias" else "weight"
            converted[f"{path}.{own}"] = torch.tensor(np.ascontiguousarray(leaf))
    return converted
