"""Image classification sets of TensorFlow Datasets (TFDS), without TensorFlow.

TFDS reads sets in its format `array_record` without TensorFlow. How a set that is not
on the disk comes there is in `tfds_preparing`.
"""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from init_study.data.names import CATALOG
from init_study.data.sources.quiet import without_noise
from init_study.data.sources.tfds_builders import build_command
from init_study.data.sources.tfds_builders import find as find
from init_study.data.sources.tfds_preparing import prepare
from init_study.data.splits import Published, Split
from init_study.errors import ExitCode, UserError

_READ_AT_ONCE = 1000
_SPLITS = ("train", "validation", "test")


def read(builder: tfds.core.DatasetBuilder, name: str) -> Published:
    """Read all labelled images of a set, which is prepared first if need be.

    Args:
        builder: what `find` returned.
        name: what the user calls the set, for messages.

    Raises: UserError if the set does not classify images of one uint8 shape, or if it
        can be neither read nor prepared here.
    """
    check_features(name, builder.info.features)
    builder = prepare(builder, name)
    features: Any = builder.info.features
    return Published(
        splits={
            split: _read_split(builder, name, split) for split in parts_of(builder)
        },
        num_classes=features["label"].num_classes,
    )


def parts_of(builder: tfds.core.DatasetBuilder) -> list[str]:
    """List the published parts of a prepared set that are of use."""
    return [split for split in _SPLITS if split in builder.info.splits]


def varies(builder: tfds.core.DatasetBuilder) -> bool:
    """Say whether a set of images is known to have images of several shapes."""
    features: Any = builder.info.features
    try:
        shape = features["image"].shape
    except (KeyError, TypeError):
        return False
    return len(shape or ()) == 3 and None in shape


def check_features(name: str, features: Any, image_size: int | None = None) -> None:
    """Refuse a set whose features are not a uint8 image and its class.

    Args:
        name: what the user calls the set.
        features: of TFDS.
        image_size: that images are brought to; without one they must be of one shape.

    Raises: UserError saying what they are.
    """
    try:
        image, label = features["image"], features["label"]
    except (KeyError, TypeError):
        raise UserError(
            f"data set {name!r} is not image classification: it has no features "
            f"'image' and 'label' but {_feature_names(features)}; see {CATALOG}"
        ) from None
    if not isinstance(label, tfds.features.ClassLabel):
        raise UserError(
            f"data set {name!r} is not classification: its label is a "
            f"{type(label).__name__}, not a ClassLabel; see {CATALOG}"
        )
    is_open = image_size is None and None in (image.shape or ())
    if len(image.shape or ()) != 3 or is_open:
        raise UserError(
            f"the images of data set {name!r} vary in shape: (height, width, "
            f"channels) is {image.shape}; give --study.image_size=64, or another size"
        )
    if image.np_dtype != np.uint8:
        raise UserError(
            f"the images of data set {name!r} are {np.dtype(image.np_dtype).name}, not "
            "uint8; choose a set with 8-bit images"
        )


def _feature_names(features: Any) -> str:
    try:
        return ", ".join(sorted(features)) or "none"
    except TypeError:
        return type(features).__name__


def open_split(builder: Any, name: str, split: str, **options: Any) -> Any:
    """Open one part of a prepared set, to read examples by their rows.

    Args:
        builder: of `prepare`.
        name: what the user calls the set, for messages.
        split: the part.
        options: further ones of TFDS's `as_data_source`.

    Raises: UserError if it needs TensorFlow, or lacks examples.
    """
    try:
        source = builder.as_data_source(split=split, **options)
    except NotImplementedError as error:
        raise UserError(
            f"data set {name!r} in {builder.data_dir} needs TensorFlow to be read. "
            f"Prepare it anew elsewhere: {build_command(name, 'DIR')}"
        ) from error
    expected = builder.info.splits[split].num_examples
    if len(source) != expected:
        raise UserError(
            f"data set {name!r} in {builder.data_dir} is incomplete: {split} has "
            f"{len(source)} of {expected} examples; remove the folder and try again",
            exit_code=ExitCode.DAMAGED,
        )
    return source


def _read_split(builder: Any, name: str, split: str) -> Split:
    source = open_split(builder, name, split)
    shape = builder.info.features["image"].shape
    images = np.empty((len(source), *shape), dtype=np.uint8)
    labels = np.empty(len(source), dtype=np.int32)
    for start in range(0, len(source), _READ_AT_ONCE):
        rows = range(start, min(start + _READ_AT_ONCE, len(source)))
        with without_noise():
            examples = source.__getitems__(rows)
        for row, example in zip(rows, examples, strict=True):
            images[row], labels[row] = example["image"], example["label"]
    if (labels < 0).any():
        raise UserError(f"data set {name!r}: its part {split!r} has no labels")
    return Split(images, labels)
