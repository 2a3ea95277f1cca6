"""Images with labels, split once and for all, and the batches that training sees.

`names` names the sets, `dataset` reads one, `splits` says what is trained and tested
on, `batches` and `augmentation` are pure functions for the device.

A set of pictures goes through `sources` (where they are), `listing` (what is known of
them), `survey` (their shapes), `decoding` by the rule of `pictures` (block by block)
and `prepared`, which keeps what comes out; `kept` says whether it still is that.
`cache` keeps sets that are arrays from the start, in the same files.

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

from init_study.data.names import (
    DATASETS,
    OWN_SETS,
    check_dataset_name,
    describe_datasets,
)

if TYPE_CHECKING:
    from init_study.data.augmentation import AUGMENTATIONS
    from init_study.data.batches import batch_indices, standardize
    from init_study.data.dataset import Dataset, load_dataset, make_dataset
    from init_study.data.kept import check_prepared
    from init_study.data.rows import Images
    from init_study.data.splits import Split

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "OWN_SETS",
    "Dataset",
    "Images",
    "Split",
    "batch_indices",
    "check_dataset_name",
    "check_prepared",
    "describe_datasets",
    "load_dataset",
    "make_dataset",
    "standardize",
]

_LATER = {
    "AUGMENTATIONS": "augmentation",
    "Dataset": "dataset",
    "Images": "rows",
    "Split": "splits",
    "batch_indices": "batches",
    "check_prepared": "kept",
    "load_dataset": "dataset",
    "make_dataset": "dataset",
    "standardize": "batches",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
