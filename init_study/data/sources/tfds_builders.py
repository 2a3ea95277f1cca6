"""TFDS's builder of a name, and what to say where there is none."""

import os

import tensorflow_datasets as tfds
from tensorflow_datasets.core.registered import DatasetNotFoundError

from init_study.data.names import CATALOG
from init_study.data.sources.quiet import without_noise
from init_study.errors import ExitCode, UserError, unknown


def find(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
    """Find TFDS's builder of a name; nothing is downloaded or read yet.

    Args:
        name: of the data set.
        data_dir: where TFDS keeps prepared sets; TFDS's own default if None.

    Raises: UserError if TFDS has no such set or cannot open it here.
    """
    root = None if data_dir is None else os.path.expanduser(data_dir)
    try:
        with without_noise():
            return tfds.builder(name, data_dir=root)
    except ImportError as error:
        raise import_error(name, root or "DIR", error) from error
    except (DatasetNotFoundError, ValueError, AssertionError, TypeError) as error:
        raise _unknown_name(name, error) from error


def is_ready(builder: tfds.core.DatasetBuilder) -> bool:
    """Say whether a set is prepared.

    Raises: UserError if its folder is there, but lacks what makes it a set: TFDS would
        take it for the set and find no examples.
    """
    with without_noise():
        if builder.is_prepared():
            return True
    if builder.data_path.exists():
        raise UserError(
            f"{builder.data_path} holds a data set that is not whole: it has no "
            "dataset_info.json; remove the folder and try again",
            exit_code=ExitCode.DAMAGED,
        )
    return False


def import_error(name: str, folder: str, error: ImportError) -> UserError:
    """Make the error for a package that a set needs and that is not installed."""
    if "tensorflow" not in str(error):
        return UserError(f"data set {name!r}: {one_line(error)}; install it")
    return UserError(
        f"data set {name!r} needs TensorFlow to be prepared, which is not installed "
        f"here. Prepare it once elsewhere: {build_command(name, folder)}"
    )


def build_command(name: str, folder: str) -> str:
    """Write the command that prepares a set where there is TensorFlow."""
    return (
        f"`tfds build {name} --file_format=array_record --data_dir={folder}`, with "
        f"TensorFlow installed, then pass --data_dir={folder}"
    )


def _unknown_name(name: str, error: Exception) -> UserError:
    """Make the error for a name: the nearest one, or why TFDS cannot open the set."""
    names = tfds.list_builders(with_community_datasets=False)
    dataset, _, config = name.partition("/")
    if dataset.partition(":")[0] not in names:
        return unknown("data set", name, ["digits", *names], CATALOG)
    configs = tfds.builder_cls(dataset.partition(":")[0]).builder_configs
    config = config.partition(":")[0]
    if not config or config in configs:
        return UserError(f"data set {name!r}: {one_line(error)}")
    listed = ", ".join(list(configs)[:10]) + (", ..." if len(configs) > 10 else "")
    what = f"configuration of {dataset}"
    return unknown(what, config, configs, listed or "it has none")


def one_line(error: object) -> str:
    r"""Say an error in one line.

    Example:
        >>> one_line("two\nlines")
        'two lines'
    """
    return " ".join(str(error).split())
