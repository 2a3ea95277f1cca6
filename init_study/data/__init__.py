"""Images with labels, split once and for all, and the batches that training sees.

    dataset = load_dataset("digits")
    indices = batch_indices(key, step, 1, len(dataset.train.labels), 32)[0]
    inputs = standardize(dataset.train.images[indices], dataset.mean, dataset.std)

`dataset` names the sets, `splits` says what is trained and tested on, `batches` and
`augmentation` are pure functions for the device.
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
