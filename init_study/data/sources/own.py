"""Data of the user's own, by what their name begins with."""

import os
from pathlib import Path

from init_study.data.listing import Source
from init_study.data.sources import folder, npz, parquet
from init_study.data.splits import Published
from init_study.errors import ExitCode, MissingPackage, UserError


def find_own(name: str, image_size: int | None) -> Source | Published:
    """Find the pictures or arrays that a name of the user's own means.

    Args:
        name: as `folder:DIR`; the folder or file is there.
        image_size: that they are to be brought to.

    Raises: UserError if it does not hold what its name says.
    """
    try:
        return _find(name, image_size)
    except UserError as error:
        # The name is right; what is wrong is in the files.
        if error.exit_code is ExitCode.USAGE and not isinstance(error, MissingPackage):
            error.exit_code = ExitCode.DAMAGED
        raise


def _find(name: str, image_size: int | None) -> Source | Published:
    kind, _, place = name.partition(":")
    path = Path(os.path.expanduser(place))
    if kind == "arrays":
        return npz.find_npz(name, path, image_size)
    if kind == "parquet" or folder.holds_parquet(path):
        return parquet.find_parquet(name, path)
    return folder.find_folder(name, path)
