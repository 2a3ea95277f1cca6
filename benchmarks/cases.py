"""What is trained: nets, image shapes and batches, the same for every way."""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.models import Small
from init_study.data import Dataset, Split
from init_study.errors import unknown
from init_study.models import CNN, LeNet, ResNet, VGGStages

BATCH_SIZE = 64
NUM_CLASSES = 10
NUM_BATCHES = 8


class Case(NamedTuple):
    """A net and the images it is trained on.

    Attributes:
        name: in `CASES`; PyTorch's twin has the same name.
        module: the Flax Linen net.
        image_shape: `(height, width, channels)`.
    """

    name: str
    module: nn.Module
    image_shape: tuple[int, int, int]


CASES = {
    case.name: case
    for case in (
        Case("tiny", CNN(NUM_CLASSES, depth=4, width=16), (8, 8, 1)),
        Case("small", Small(NUM_CLASSES), (28, 28, 1)),
        Case("lenet", LeNet(NUM_CLASSES), (28, 28, 1)),
        Case("vgg_stages", VGGStages(NUM_CLASSES), (32, 32, 3)),
        Case("resnet20", ResNet(NUM_CLASSES), (32, 32, 3)),
    )
}


def find_case(name: str) -> Case:
    """Find a case by name.

    Raises: UserError with the nearest name for one that is not there.
    """
    if name not in CASES:
        raise unknown("case", name, CASES, ", ".join(CASES))
    return CASES[name]


def case_dataset(case: Case) -> Dataset:
    """Make synthetic images, on whose values speed does not depend.

    Nothing is downloaded, and no library is needed that reads data.
    """
    part = _synthetic(case.image_shape)
    channels = part.images.reshape(-1, case.image_shape[-1]) / np.float32(255)
    return Dataset(
        name="synthetic",
        train=part,
        validation=part,
        test=part,
        num_classes=NUM_CLASSES,
        mean=channels.mean(0),
        std=channels.std(0),
        checksums={},
    )


def _synthetic(image_shape: tuple[int, int, int]) -> Split:
    draw = np.random.default_rng(0)
    count = NUM_BATCHES * BATCH_SIZE
    return Split(
        images=draw.integers(0, 256, (count, *image_shape), np.uint8),
        labels=draw.integers(0, NUM_CLASSES, count, np.int32),
    )


def peer_batches(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Make standardized images `[batches, batch, h, w, c]` and labels.

    Labels are `[batches, batch]`.

    Made once: the peers cycle through them and pay for no gather.
    """
    dataset = case_dataset(case)
    count = NUM_BATCHES * BATCH_SIZE
    images = dataset.train.images[:count].astype(np.float32) / 255
    images = (images - dataset.mean) / dataset.std
    labels = dataset.train.labels[:count].astype(np.int32)
    shape = (NUM_BATCHES, BATCH_SIZE)
    return images.reshape(*shape, *case.image_shape), labels.reshape(shape)


def learning_rates(members: int) -> np.ndarray:
    """Space learning rates, float32 `[members]`, so low that no net diverges."""
    return np.geomspace(1e-3, 1e-2, members).astype(np.float32)


def multiply_adds(case: Case) -> int:
    """Count those of convolutions and dense layers, forward, for one example."""
    counts: list[int] = []

    def note(
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        output, module = call(*args, **kwargs), context.module
        if isinstance(module, (nn.Conv, nn.Dense)) and context.method_name != "setup":
            kernel = module.variables["params"]["kernel"]
            counts.append(kernel.size * prod(output.shape[1:-1]))
        return output

    images = jax.ShapeDtypeStruct((1, *case.image_shape), jnp.float32)
    with nn.intercept_methods(note):
        jax.eval_shape(case.module.init, jax.random.key(0), images)
    return sum(counts)


def step_gflop(case: Case) -> float:
    """Estimate the work of a member-step: forward, and twice that for gradients."""
    return 3 * 2 * multiply_adds(case) * BATCH_SIZE / 1e9
