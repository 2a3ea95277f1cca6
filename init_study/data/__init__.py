"""Images with labels, split once and for all, and the batches that training sees.

`names` names the sets, `dataset` reads one, `splits` says what is trained and tested
on, `batches` and `augmentation` are pure functions for the device.

JAX is imported when one of those functions is asked for: names of sets need none.

Example:
    >>> from init_study.data import batch_indices, load_dataset, standardize
    >>> dataset = load_dataset("digits", cache_dir=".")
    >>> key = jax.random.key(0)
    >>> indices = batch_indices(key, 0, 1, len(dataset.train.labels), 32)[0]
    >>> batch = jnp.asarray(dataset.train.images)[indices]
    >>> mean, std = jnp.asarray(dataset.mean), jnp.asarray(dataset.std)
    >>> standardize(batch, mean, std).shape
    (32, 8, 8, 1)
"""

import importlib
from typing import TYPE_CHECKING, Any

from init_study.data.names import DATASETS, check_dataset_name, describe_datasets

if TYPE_CHECKING:
    from init_study.data.augmentation import AUGMENTATIONS
    from init_study.data.batches import batch_indices, standardize
    from init_study.data.dataset import Dataset, load_dataset, make_dataset
    from init_study.data.splits import Split

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "Dataset",
    "Split",
    "batch_indices",
    "check_dataset_name",
    "describe_datasets",
    "load_dataset",
    "make_dataset",
    "standardize",
]

_LATER = {
    "AUGMENTATIONS": "augmentation",
    "Dataset": "dataset",
    "Split": "splits",
    "batch_indices": "batches",
    "load_dataset": "dataset",
    "make_dataset": "dataset",
    "standardize": "batches",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
