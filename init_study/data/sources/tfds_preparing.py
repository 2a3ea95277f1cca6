"""Sets of TFDS on the disk, in a format that is read without TensorFlow.

The MNIST and CIFAR families are prepared by `tensorflow_free`, others by TFDS itself,
which for most sets needs TensorFlow once. A lock keeps two processes from preparing one
set at once.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.util import DownloadError

from init_study.data.known_sets import KNOWN_SETS, say_by_hand
from init_study.data.locks import hold_lock
from init_study.data.sources import fashion_mnist, tensorflow_free
from init_study.data.sources.download import NotDownloaded
from init_study.data.sources.quiet import without_noise
from init_study.data.sources.tfds_builders import (
    build_command,
    find,
    import_error,
    is_ready,
    one_line,
)
from init_study.errors import ExitCode, UserError

# TFDS tries ten times with doubling waits: over three minutes to notice that there is
# no network. Three times take two seconds.
_DOWNLOAD_RETRIES = 3


def prepare(builder: tfds.core.DatasetBuilder, name: str) -> tfds.core.DatasetBuilder:
    """Have a set in a format that can be read without TensorFlow.

    Args:
        builder: what `find` returned.
        name: what the user calls the set, for messages.

    Returns: the builder of what is on the disk.

    Raises: UserError saying what to do if that is not possible here.
    """
    if is_ready(builder):
        return builder
    root = Path(builder.data_dir_root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with hold_lock(root / f".{builder.name}.lock", f"data set {name!r}"):
            # Who waited for the lock finds what the other process prepared.
            builder = find(name, os.fspath(root))
            if not is_ready(builder):
                _prepare(builder, name)
    except OSError as error:
        raise _cannot(name, os.fspath(root), error) from error
    return find(name, os.fspath(root))


def download(name: str, data_dir: str | None, mirror: str | None) -> dict[str, str]:
    """Have the published files of a set, for `prepare`.

    Args:
        name: of the data set.
        data_dir: where TFDS keeps prepared sets.
        mirror: to try first, of `mirrors.check_mirror`.

    Returns: where each file came from that was not there yet, by its name; nothing of
        a set that is prepared, or whose files come by TFDS itself.

    Raises: UserError if the files cannot be had, or not by a mirror.
    """
    builder = find(name, data_dir)
    root = Path(builder.data_dir_root)
    is_ours = builder.name in tensorflow_free.BUILDERS
    if mirror is not None and not is_ours:
        raise UserError(
            f"--mirror is for {', '.join(tensorflow_free.BUILDERS)}; of {name} "
            f"{_offline_way_out(builder, name)}"
        )
    if mirror is not None and is_ready(builder):
        raise UserError(
            f"data set {name!r} is prepared in {builder.data_dir}; leave out "
            f"--mirror={mirror}"
        )
    if not is_ours or is_ready(builder):
        return {}
    try:
        root.mkdir(parents=True, exist_ok=True)
        with hold_lock(root / f".{builder.name}.lock", f"data set {name!r}"):
            return tensorflow_free.download_builder(builder, mirror)
    except NotDownloaded as error:
        raise _not_downloaded(builder, name, error) from error
    except OSError as error:
        raise _cannot(name, os.fspath(root), error) from error


def _prepare(builder: tfds.core.DatasetBuilder, name: str) -> None:
    root = os.fspath(builder.data_dir_root)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        with without_noise(), _few_retries():
            if builder.name in tensorflow_free.BUILDERS:
                tensorflow_free.prepare_builder(builder)
            else:
                config = tfds.download.DownloadConfig(try_download_gcs=False)
                builder.download_and_prepare(
                    file_format="array_record", download_config=config
                )
    except ImportError as error:
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise _by_hand(builder, name) from error
        raise import_error(name, root, error) from error
    except UserError:
        raise
    except (
        NotDownloaded,
        requests.exceptions.RequestException,
        DownloadError,
    ) as error:
        raise _not_downloaded(builder, name, error) from error
    except NonMatchingChecksumError as error:
        raise UserError(
            f"data set {name!r}: a downloaded file is not the published one; remove it "
            f"and try again: {one_line(error)}",
            exit_code=ExitCode.DAMAGED,
        ) from error
    except (OSError, ValueError, AssertionError, NotImplementedError) as error:
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise _by_hand(builder, name) from error
        raise _cannot(name, root, error) from error


def _by_hand(builder: tfds.core.DatasetBuilder, name: str) -> UserError:
    """Make the error for a set whose files no program may download."""
    folder = Path(builder.data_dir_root) / "downloads" / "manual"
    files = KNOWN_SETS[builder.name].by_hand if builder.name in KNOWN_SETS else ()
    if files:
        return UserError(
            f"data set {name!r} cannot be downloaded by a program: "
            f"{say_by_hand(files, os.fspath(folder))}"
        )
    told = one_line(builder.MANUAL_DOWNLOAD_INSTRUCTIONS)
    return UserError(
        f"data set {name!r} cannot be downloaded by a program; into {folder} belongs "
        f"what its publisher says: {told} Or take pictures in DIR/train/CLASS and "
        "DIR/val/CLASS as --dataset=folder:DIR"
    )


def _cannot(name: str, root: str, error: Exception) -> UserError:
    return UserError(
        f"data set {name!r} cannot be prepared in {root}: {one_line(error)}",
        exit_code=ExitCode.IO,
    )


def _not_downloaded(builder: Any, name: str, error: Exception) -> UserError:
    why = type(error).__name__
    if isinstance(error, NotDownloaded):
        why = one_line(error)
    return UserError(
        f"data set {name!r} is not in {os.fspath(builder.data_dir_root)} and cannot be "
        f"downloaded ({why}). Without a network {_offline_way_out(builder, name)}, or "
        "choose the data set 'digits', which needs no download",
        exit_code=ExitCode.IO,
    )


def _offline_way_out(builder: tfds.core.DatasetBuilder, name: str) -> str:
    """Say which files to put where, by hand."""
    urls = builder.url_infos or {}
    files = sorted({info.filename for info in urls.values() if info.filename})
    listed = ", ".join(files[:4]) + (", ..." if len(files) > 4 else "")
    if builder.name not in tensorflow_free.BUILDERS:
        folder = Path(builder.data_dir_root) / "downloads" / "manual"
        return (
            f"put {listed or 'the published files'} into {folder}, or prepare it where "
            f"there is one: {build_command(name, 'DIR')}"
        )
    way_out = f"put {listed} into {tensorflow_free.manual_folder(builder)}"
    way_out += f", or have it from elsewhere: {_mirror_command(name)}"
    if builder.name == "fashion_mnist":
        way_out += f", or install Debian's package {fashion_mnist.PACKAGE}"
    return way_out


def _mirror_command(name: str) -> str:
    return f"python launch.py data --dataset={name} --mirror=ADDRESS-OR-FOLDER"


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    before = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = _DOWNLOAD_RETRIES
    try:
        yield
    finally:
        downloader.MAX_RETRIES = before
