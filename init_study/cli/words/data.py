"""Data sets: which there are, which are here, and how to have one here."""

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from init_study.answers.columns import format_columns
from init_study.cli.invocation import Answer, Invocation
from init_study.data.cache import data_folder
from init_study.data.checking import check_datasets
from init_study.data.known_sets import say_by_hand
from init_study.data.names import OWN_SETS, check_dataset_name, is_own, tfds_folder
from init_study.data.overview import (
    BEGUN,
    BY_HAND,
    REMOTE,
    DatasetRow,
    find_datasets,
    find_kept,
    is_same_set,
)
from init_study.data.sources import fashion_mnist
from init_study.data.sources.mirrors import check_mirror
from init_study.errors import ExitCode, UserError, check_count, extra

if TYPE_CHECKING:
    from init_study.data.dataset import Dataset


def answer(invocation: Invocation) -> Answer:
    """List data sets, prepare one, or check what is prepared."""
    flags = invocation.flags
    if flags.dataset is not None:
        check_dataset_name(flags.dataset, flags.data_dir)
    if flags.check:
        return _check(flags.dataset, flags.data_dir)
    if flags.dataset is None:
        return _list(flags.data_dir)
    return _prepare(invocation)


def _list(data_dir: str | None) -> Answer:
    rows = find_datasets(data_dir)
    table = [
        {
            "name": row.name,
            "examples": row.examples,
            "image": _image(row.image),
            "classes": row.classes,
            "state": row.state,
            "bytes": row.bytes,
        }
        for row in rows
    ]
    places = [
        f"{row.name} {_image(row.image) or ''}: {row.where}"
        for row in rows
        if row.where and _is_here(row)
    ]
    wanted = [
        f"{row.name}: is downloaded, or put its published files into {row.where}"
        for row in rows
        if row.state in (REMOTE, BEGUN)
    ]
    missing = [
        _wrapped(f"{row.name}: {_by_hand(row)}") for row in rows if row.state == BY_HAND
    ]
    others = ", ".join(("any image classification set of TFDS", *OWN_SETS))
    how = (
        f"python launch.py data --dataset=NAME has one here; NAME may be {others}, too"
    )
    lines = [format_columns(table), "", *places, *wanted, *missing, "", _wrapped(how)]
    document = {
        "tfds_dir": str(tfds_folder(data_dir)),
        "kept_in": str(data_folder(None)),
        "datasets": [row._asdict() for row in rows],
    }
    return Answer(document, "\n".join(lines))


def _wrapped(text: str) -> str:
    return fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _is_here(row: DatasetRow) -> bool:
    return not row.missing and row.bytes is not None


def _by_hand(row: DatasetRow) -> str:
    return say_by_hand(row.missing, str(row.where))


def _prepare(invocation: Invocation) -> Answer:
    flags = invocation.flags
    name, image_size = flags.dataset, flags.image_size
    data_dir, mirror = flags.data_dir, flags.mirror
    if image_size is not None:
        check_count("image_size", image_size)
    if mirror is not None:
        mirror = check_mirror(mirror)
    for row in find_datasets(data_dir):
        if row.state == BY_HAND and is_same_set(name, row.name):
            raise UserError(
                f"data set {name!r} cannot be downloaded by a program: {_by_hand(row)}"
            )
    before = _kept_places(name)
    came = _download(name, data_dir, mirror, before)
    dataset = _load(name, image_size, data_dir, flags.strict)
    parts = {part: len(getattr(dataset, part).labels) for part in dataset.checksums}
    added = sorted(_kept_places(name) - before)
    there = set() if added else _kept_places(name, dataset.image_shape)
    document = {
        "dataset": name,
        "image_shape": list(dataset.image_shape),
        "num_classes": dataset.num_classes,
        "examples": parts,
        "downloaded": came,
        "prepared": added,
        "prepared_before": sorted(there),
        "kept_in": str(data_folder(None)),
    }
    return Answer(document, _prepared_text(document))


def _load(
    name: str, image_size: int | None, data_dir: str | None, strict: bool
) -> "Dataset":
    # Imported here because a list needs none of it.
    from init_study.data.dataset import load_dataset

    try:
        return load_dataset(
            name, image_size=image_size, data_dir=data_dir, strict=strict
        )
    except UserError as error:
        # What a study calls a field is a flag of this word.
        text = str(error)
        if "--study.image_size" not in text:
            raise
        text = text.replace("--study.image_size", "--image_size")
        raise UserError(text) from error


def _download(
    name: str, data_dir: str | None, mirror: str | None, kept: Iterable[str]
) -> dict[str, str]:
    """Have the published files of a set, and say where each came from."""
    if kept or is_own(name) or name == "digits":
        if mirror is not None:
            why = f"is prepared in {min(kept)}" if kept else "is not downloaded"
            raise UserError(f"data set {name!r} {why}; leave out --mirror={mirror}")
        return {}
    if mirror is None and name == "fashion_mnist" and fashion_mnist.is_installed():
        return {}
    # Imported here because TFDS takes a second.
    with extra("data"):
        from init_study.data.sources.tfds_preparing import download

    return download(name, data_dir, mirror)


def _kept_places(name: str, image: tuple[int, ...] | None = None) -> set[str]:
    """Find the folders that a set is kept in, or its images of one shape."""
    rows = [row for row in find_kept() if is_same_set(name, row.name)]
    return {str(row.where) for row in rows if image in (None, row.image)}


def _prepared_text(document: dict[str, Any]) -> str:
    parts = ", ".join(
        f"{count:,} {part}" for part, count in document["examples"].items()
    )
    lines = [
        f"{document['dataset']}: {_image(document['image_shape'])}, "
        f"{document['num_classes']} classes; {parts}"
    ]
    lines += [f"{file} from {place}" for file, place in document["downloaded"].items()]
    lines += [f"prepared in {place}" for place in document["prepared"]]
    there = document["prepared_before"]
    lines += [f"was prepared before, in {place}" for place in there]
    if not document["prepared"] and not there:
        lines.append(f"is not kept; what is kept lies in {document['kept_in']}")
    return "\n".join(lines)


def _check(name: str | None, data_dir: str | None) -> Answer:
    checked = check_datasets(name, data_dir)
    damaged = [f"{Path(c.where)}: {line}" for c in checked for line in c.damaged]
    unverified = [(c.where, c.unverified) for c in checked if c.unverified]
    files = sum(one.files for one in checked)
    lines = [f"damaged: {line}" for line in damaged]
    lines += [
        f"cannot be verified, being no array_record: {len(names)} files in {where}, "
        f"as {names[0]}"
        for where, names in unverified
    ]
    what = "nothing is here to check"
    if checked:
        what = f"{files} files in {len(checked)} folders: "
        intact = "all as they were written" if files else "none was verified"
        what += f"{len(damaged)} damaged" if damaged else intact
    if damaged:
        what += "; remove the folder of a damaged file, and it is prepared anew"
    document = {
        "intact": not damaged,
        "unverified": sum(len(names) for _, names in unverified),
        "checked": [one._asdict() for one in checked],
    }
    text = "\n".join([*lines, what])
    return Answer(document, text, exit_code=ExitCode.DAMAGED if damaged else 0)


def _image(shape: Iterable[int] | None) -> str | None:
    return None if shape is None else "x".join(map(str, shape))
