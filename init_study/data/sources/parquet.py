"""Pictures in Parquet files, as Hugging Face keeps them, read group by group of rows.

    DIR/data/train-00000-of-00002.parquet  ...    parts by the names of files or folders

A column `image` or `img` holds the bytes of the pictures, a column `label` their
classes, whose names are in the files' description.
"""

import bisect
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from init_study.data.listing import Encoded, ListedPart, Listing, Source
from init_study.data.sources.folder import PART_FOLDERS, fingerprint, plain_name
from init_study.data.sources.picture_files import DiskFile, files_below
from init_study.data.splits import ALL
from init_study.errors import ExitCode, UserError, extra
from init_study.host import available_bytes
from init_study.printable import listed

# Rows that are read at once, and bytes that the label of a row takes on its way.
_AT_ONCE, _PER_ROW = 16, 32
_IMAGES, _LABELS = ("image", "img"), ("label", "labels", "fine_label")


class _Columns(NamedTuple):
    """Where pictures and labels are, and what the labels mean."""

    image: str
    is_struct: bool
    label: str
    names: tuple[str, ...] | None


class _File(NamedTuple):
    """One file of a part, with the first row of each of its groups, and the end."""

    path: Path
    starts: list[int]
    stamp: DiskFile


def find_parquet(name: str, root: Path) -> Source:
    """Look a folder of Parquet files through; no picture is read yet.

    Args:
        name: what the user calls the set.
        root: the folder.

    Raises: UserError if it has no such files.
    """
    parts = _find_parts(root)
    return Source(
        name=name,
        kept_as=f"parquet.{plain_name(root.resolve().name)}",
        version=fingerprint(file for files in parts.values() for file in files),
        list_pictures=lambda: _list(root, parts),
    )


def _find_parts(root: Path) -> dict[str, list[DiskFile]]:
    files = [file for file in files_below(root, "") if file.ending == ".parquet"]
    if not files:
        raise UserError(f"{root} has no files called *.parquet")
    parts: dict[str, list[DiskFile]] = {}
    for file in files:
        parts.setdefault(_part_of(file), []).append(file)
    for part, found in parts.items():
        folders = sorted({os.path.dirname(file.path) for file in found})
        if len(folders) > 1:
            raise UserError(
                f"{root} has files of the part {part} in several folders, "
                f"{', '.join(folders)}; give one of them: parquet:{root / folders[0]}"
            )
    if ALL in parts and len(parts) > 1:
        raise UserError(
            f"{root / parts[ALL][0].path} is of no part by its name, as others are, "
            "train-*, validation-* or test-*; rename it, or take it away"
        )
    order = [part for part in (ALL, *PART_FOLDERS) if part in parts]
    return {part: parts[part] for part in order}


def _part_of(file: DiskFile) -> str:
    words = (
        re.split(r"[-_.]", file.name)[0],
        os.path.basename(os.path.dirname(file.path)),
    )
    for word in words:
        for part, names in PART_FOLDERS.items():
            if word in names:
                return part
    return ALL


def _list(root: Path, found: Mapping[str, list[DiskFile]]) -> Listing:
    with extra("data"):
        import pyarrow as pa  # noqa: F401
    found_parts: dict[str, tuple[list[_File], np.ndarray]] = {}
    columns: _Columns | None = None
    for part, files in found.items():
        try:
            opened = [_open(root, file) for file in files]
            here = _columns(root / files[0].path)
            labels = np.concatenate([_labels(file, here) for file in opened])
        except UserError:
            raise
        # Arrow raises whatever its readers trip over.
        except Exception as error:
            raise _refused(
                f"{root}: a file of {part} cannot be read: {_why(error)}"
            ) from error
        columns = columns or here
        if here != columns:
            raise UserError(f"{root}: the columns of {part} are not those of train")
        if (labels == -1).all() and part == "test":
            logging.warning("%s: the part test has no labels: it is not used", root)
            continue
        found_parts[part] = opened, labels
    assert columns is not None, "there are files"
    names = columns.names or _numbers(
        root, [labels for _, labels in found_parts.values()]
    )
    for part, (_, labels) in found_parts.items():
        if labels.min(initial=0) < 0 or labels.max(initial=0) >= len(names):
            raise UserError(
                f"{root}: labels of {part} go from {labels.min()} to {labels.max()}; "
                f"there are {len(names)} classes, from 0 on"
            )
    if len(names) < 2:
        raise UserError(f"{root} has one class alone; a comparison takes two at least")
    parts = {
        part: _part(files, labels, columns)
        for part, (files, labels) in found_parts.items()
    }
    return Listing(parts, names)


def _numbers(root: Path, labels: list[np.ndarray]) -> tuple[str, ...]:
    most = max(int(part.max(initial=0)) for part in labels)
    if most >= 100_000:
        raise UserError(f"{root} has a label {most}; give numbers of classes from 0 on")
    return tuple(map(str, range(most + 1)))


def _open(root: Path, file: DiskFile) -> _File:
    import pyarrow.parquet as pq

    path = root / file.path
    with pq.ParquetFile(path) as opened:
        head = opened.metadata
        free = available_bytes()
        if free is not None and _PER_ROW * head.num_rows > free:
            raise _refused(
                f"{path} has {head.num_rows:,} rows by its head, whose labels do not "
                f"fit into {free:,} bytes of memory"
            )
        sizes = [head.row_group(g).num_rows for g in range(head.num_row_groups)]
    return _File(path, [0, *np.cumsum(sizes, dtype=int).tolist()], file)


def _columns(path: Path) -> _Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    image = next((name for name in _IMAGES if name in schema.names), None)
    label = next((name for name in _LABELS if name in schema.names), None)
    if image is None or label is None:
        raise UserError(
            f"{path} has columns {listed(schema.names)}; it needs 'image' or 'img', "
            "and 'label'"
        )
    kind = schema.field(schema.names.index(image)).type
    is_struct = pa.types.is_struct(kind)
    held = kind.field("bytes").type if is_struct and "bytes" in kind.names else kind
    if not (pa.types.is_binary(held) or pa.types.is_large_binary(held)):
        raise UserError(f"{path}: {image!r} holds {kind}, not the bytes of pictures")
    for name in (image, label):
        if schema.names.count(name) > 1:
            raise UserError(f"{path} has two columns {name!r}; keep one of them")
    label_kind = schema.field(schema.names.index(label)).type
    if not pa.types.is_integer(label_kind):
        raise UserError(f"{path}: {label!r} holds {label_kind}, not whole numbers")
    return _Columns(image, is_struct, label, _names(schema.metadata or {}, label))


def _names(metadata: Mapping[bytes, bytes], label: str) -> tuple[str, ...] | None:
    """Read the names of classes from what Hugging Face writes beside the columns."""
    try:
        described: Any = json.loads(metadata[b"huggingface"])
        return tuple(map(str, described["info"]["features"][label]["names"]))
    # Nesting without end is no such text either.
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _labels(file: _File, columns: _Columns) -> np.ndarray:
    import pyarrow.parquet as pq

    column = pq.read_table(file.path, columns=[columns.label])[columns.label]
    if len(column) != file.starts[-1]:
        raise _refused(
            f"{file.path} has {len(column):,} labels for {file.starts[-1]:,} rows"
        )
    if column.null_count:
        raise UserError(f"{file.path}: {column.null_count} rows have no label")
    labels = column.to_numpy()
    if len(labels) and not -1 <= labels.min() <= labels.max() < 2**31:
        raise UserError(f"{file.path}: labels from {labels.min()} to {labels.max()}")
    return labels.astype(np.int32)


def _part(files: list[_File], labels: np.ndarray, columns: _Columns) -> ListedPart:
    ends = np.cumsum([file.starts[-1] for file in files]).tolist()

    def place_of(row: int) -> tuple[int, int]:
        number = bisect.bisect_right(ends, row)
        return number, row - (ends[number - 1] if number else 0)

    def read(rows: Sequence[int]) -> Iterator[Encoded]:
        held: tuple[int, int] | None = None
        group: Any = None
        for row in rows:
            number, inner = place_of(row)
            file = files[number]
            place = bisect.bisect_right(file.starts, inner) - 1
            if held != (number, place):
                held, group = (number, place), _read_group(file, place, columns)
            yield group[inner - file.starts[place]].as_py() or b""

    def name(row: int) -> str:
        number, inner = place_of(row)
        return f"row {inner} of {files[number].path}"

    return ListedPart(labels, read, name)


def _read_group(file: _File, place: int, columns: _Columns) -> Any:
    import pyarrow.parquet as pq

    stat = file.path.stat()
    if (stat.st_size, stat.st_mtime_ns) != file.stamp[1:]:
        raise UserError(f"{file.path} has changed while it is read; try again")
    wanted = f"{columns.image}.bytes" if columns.is_struct else columns.image
    try:
        with pq.ParquetFile(file.path) as opened:
            column = _bounded(file.path, opened, place, wanted)
    except UserError:
        raise
    # Arrow raises whatever its readers trip over.
    except Exception as error:
        raise _refused(f"{file.path} cannot be read: {_why(error)}") from error
    if len(column) != file.starts[place + 1] - file.starts[place]:
        raise _refused(f"{file.path} has another number of rows than its head says")
    return column.field("bytes") if columns.is_struct else column


def _bounded(path: Path, opened: Any, place: int, wanted: str) -> Any:
    """Read a group of rows piece by piece: a few bytes may stand for very many."""
    import pyarrow as pa

    free, held, pieces = available_bytes(), 0, []
    batches = opened.iter_batches(
        _AT_ONCE, row_groups=[place], columns=[wanted], use_threads=False
    )
    for batch in batches:
        pieces.append(batch.column(0))
        held += batch.nbytes
        if held > 2**31 or (free is not None and 4 * held > free):
            raise _refused(
                f"{path}: group {place} of its rows holds more than {held:,} bytes of "
                "pictures; write smaller groups"
            )
    return pa.concat_arrays(pieces)


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _refused(message: str) -> UserError:
    return UserError(message, exit_code=ExitCode.DAMAGED)
