"""Names of the data sets that there are, without reading or importing one."""

import functools
import importlib.util
import os
import re
from pathlib import Path

from init_study.errors import UserError, nearest, unknown

CATALOG = "https://www.tensorflow.org/datasets/catalog/overview"
_NO_SETS = ("core", "scripts", "testing")


def describe_datasets() -> dict[str, str]:
    """Describe each name of `DATASETS` in one line, and all the others in one.

    Example:
        >>> describe_datasets()["cifar10"]
        '60,000 small photographs, 32x32 colour, 10 classes'
    """
    others = "any other image classification set of TensorFlow Datasets, by its name"
    return DATASETS | {"NAME or NAME/CONFIG": others} | OWN_SETS


def check_dataset_name(name: str, data_dir: str | None = None) -> None:
    """Refuse a name that no data set can have, in a moment.

    Importing TFDS to look a name up takes many seconds on a cold disk.

    Args:
        name: also as `name/config` or `name:version`, or one of `OWN_SETS`.
        data_dir: where TFDS keeps prepared sets, some of which it may not know by
            itself.

    Raises: UserError with the nearest name, of `DATASETS` first, or of the nearest
        folder or file.

    Example:
        >>> check_dataset_name("digits")
    """
    base = re.split("[/:]", name)[0]
    if base in DATASETS:
        return
    if is_own(name):
        _check_place(name)
        return
    known = _tfds_names()
    is_name = re.fullmatch(r"\w[\w.-]{0,99}", base, re.ASCII)
    if base in known or (is_name and (tfds_folder(data_dir) / base).is_dir()):
        return
    check_kind(name)
    ours = nearest(base, DATASETS)
    raise unknown("data set", name, [ours] if ours else known, CATALOG)


def tfds_folder(data_dir: str | None) -> Path:
    """Say where TFDS keeps prepared sets.

    Example:
        >>> tfds_folder("mine").as_posix()
        'mine'
    """
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    # A user without a home has it in the folder that they are in.
    return Path(os.path.expanduser(chosen).removeprefix("~/"))


def check_kind(name: str) -> None:
    """Refuse what looks like a folder or file of the user's own, but misspelt.

    Raises: UserError with the name that is meant.

    Example:
        >>> check_kind("mnist:3.0.1")
    """
    kind, colon, place = name.partition(":")
    kinds = [own.partition(":")[0] for own in OWN_SETS]
    near = nearest(kind, kinds) if colon else None
    if near and near != kind and kind not in _tfds_names():
        listed = ", ".join((*OWN_SETS, CATALOG))
        raise unknown("data set", name, [f"{near}:{place}"], listed)


def is_own(name: str) -> bool:
    """Say whether a name is that of a folder or file of the user's own.

    Example:
        >>> is_own("folder:pets"), is_own("mnist:3.0.1")
        (True, False)
    """
    kind, colon, _ = name.partition(":")
    return bool(colon) and any(place.startswith(f"{kind}:") for place in OWN_SETS)


def resolve_name(name: str) -> str:
    """Write the name of a folder or file of the user's own with its whole path.

    Any other name stays as it is.

    Example:
        >>> resolve_name("folder:/pets/../cats/"), resolve_name("mnist")
        ('folder:/cats', 'mnist')
    """
    if not is_own(name):
        return name
    kind, _, place = name.partition(":")
    return f"{kind}:{Path(os.path.expanduser(place)).resolve()}"


def _check_place(name: str) -> None:
    """Refuse a folder or file that is not there."""
    kind, _, place = name.partition(":")
    path = Path(os.path.expanduser(place))
    wanted = "file" if kind == "arrays" else "folder"
    if place and (path.is_file() if kind == "arrays" else path.is_dir()):
        return
    beside = path.parent if path.parent.is_dir() else Path()
    fits = Path.is_dir if wanted == "folder" else lambda p: p.suffix == ".npz"
    near = nearest(path.name, [entry.name for entry in beside.iterdir() if fits(entry)])
    hint = f". Did you mean '{kind}:{beside / near}'?" if near and place else ""
    if place and path.exists():
        hint = ": it is a folder" if path.is_dir() else ": it is a file"
        hint = hint if path.is_file() or path.is_dir() else ": it is a pipe or a device"
    raise UserError(f"data set {name!r}: there is no {wanted} {place!r}{hint}")


@functools.cache
def _tfds_names() -> frozenset[str]:
    """Collect the names of TFDS's sets, and some more.

    Those of its packages and files of sets, and of the classes in them.
    """
    spec = importlib.util.find_spec("tensorflow_datasets")
    found: set[str] = set()
    for root in (spec and spec.submodule_search_locations) or []:
        rooms = [path for path in Path(root).iterdir() if path.is_dir()]
        for room in rooms:
            if room.name == "datasets":
                found |= {path.name for path in room.iterdir()}
            elif room.name not in _NO_SETS:
                found |= _names_in(room)
    return frozenset(found)


def _names_in(room: Path) -> set[str]:
    files = [p for p in room.rglob("*.py") if not p.name.endswith("_test.py")]
    pattern = re.compile(r"^class (\w+)\(", re.MULTILINE)
    classes = {c for path in files for c in pattern.findall(path.read_text("utf-8"))}
    return {path.stem for path in files} | {_snake(name) for name in classes}


def _snake(name: str) -> str:
    """Name a set by its class, as TFDS does: `Food101` is `food101`."""
    spaced = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", spaced).lower()


# Data of the user's own, by what it is.
OWN_SETS: dict[str, str] = {
    "folder:DIR": "your own pictures, DIR/train/CLASS/*.png or DIR/CLASS/*.png, ...",
    "arrays:FILE.npz": "your own arrays, images and labels",
    "parquet:DIR": "your own pictures in Parquet files, as Hugging Face keeps them",
}
DATASETS: dict[str, str] = {
    "digits": "1,797 handwritten digits, 8x8 grey, from scikit-learn; no download",
    "fashion_mnist": "70,000 articles of clothing, 28x28 grey, 10 classes",
    "mnist": "70,000 handwritten digits, 28x28 grey, 10 classes",
    "kmnist": "70,000 handwritten Japanese characters, 28x28 grey, 10 classes",
    "cifar10": "60,000 small photographs, 32x32 colour, 10 classes",
    "cifar100": "60,000 small photographs, 32x32 colour, 100 classes",
}
