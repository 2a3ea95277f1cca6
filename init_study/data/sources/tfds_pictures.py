"""Sets of TFDS whose images are brought to a size, or are too many for the memory.

TFDS hands out the files of the pictures, which are decoded by the rule of `pictures`,
as those of a folder are.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from init_study.data.kept import IN_MEMORY
from init_study.data.listing import Encoded, ListedPart, Listing, Source
from init_study.data.sources import tfds as sets
from init_study.errors import UserError

_AT_ONCE = 64


def list_builder(
    builder: tfds.core.DatasetBuilder, name: str, image_size: int | None
) -> Source:
    """Take a set of TFDS as pictures that are to be prepared.

    Args:
        builder: what `tfds.find` returned.
        name: what the user calls the set.
        image_size: that the pictures are to be brought to.

    Raises: UserError if it does not classify 8-bit images.
    """
    sets.check_features(name, builder.info.features, image_size)
    dataset, _, version = builder.info.full_name.replace("/", "-").rpartition("-")
    return Source(name, dataset, version, lambda: _list(builder, name))


def is_large(builder: tfds.core.DatasetBuilder) -> bool:
    """Say whether the images of a prepared set are too many to lie in memory."""
    features: Any = builder.info.features
    parts = [builder.info.splits[part] for part in sets.parts_of(builder)]
    count = sum(part.num_examples for part in parts)
    return count * math.prod(features["image"].shape) > IN_MEMORY


def _list(builder: tfds.core.DatasetBuilder, name: str) -> Listing:
    builder = sets.prepare(builder, name)
    features: Any = builder.info.features
    label = features["label"]
    parts = {part: _part(builder, name, part) for part in sets.parts_of(builder)}
    channels = features["image"].shape[-1]
    return Listing(parts, tuple(label.names), channels if channels in (1, 3) else None)


def _part(builder: Any, name: str, part: str) -> ListedPart:
    options = {}
    if isinstance(builder.info.features["image"], tfds.features.Image):
        options = {"decoders": {"image": tfds.decode.SkipDecoding()}}
    source = sets.open_split(builder, name, part, **options)
    labels = np.empty(len(source), np.int32)
    for start in range(0, len(source), _AT_ONCE):
        rows = range(start, min(start + _AT_ONCE, len(source)))
        labels[rows.start : rows.stop] = [e["label"] for e in source.__getitems__(rows)]
    if (labels < 0).any():
        raise UserError(f"data set {name!r}: its part {part!r} has no labels")

    def read(rows: Sequence[int]) -> Iterator[Encoded]:
        for start in range(0, len(rows), _AT_ONCE):
            for example in source.__getitems__(rows[start : start + _AT_ONCE]):
                yield example["image"]

    return ListedPart(labels, read, lambda row: f"example {row} of {name} {part}")
