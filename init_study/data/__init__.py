"""Images with labels, split once and for all, and the batches that training sees.

`dataset` names the sets, `splits` says what is trained and tested on, `batches` and
`augmentation` are pure functions for the device.

Example:
    >>> dataset = load_dataset("digits", cache_dir=".")
    >>> key = jax.random.key(0)
    >>> indices = batch_indices(key, 0, 1, len(dataset.train.labels), 32)[0]
    >>> batch = dataset.train.images[indices]
    >>> standardize(batch, dataset.mean, dataset.std).shape
    (32, 8, 8, 1)
"""

from init_study.data.augmentation import AUGMENTATIONS
from init_study.data.batches import batch_indices, standardize
from init_study.data.dataset import (
    DATASETS,
    Dataset,
    describe_datasets,
    load_dataset,
    make_dataset,
)
from init_study.data.splits import Split

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "Dataset",
    "Split",
    "batch_indices",
    "describe_datasets",
    "load_dataset",
    "make_dataset",
    "standardize",
]
