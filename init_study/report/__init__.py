"""Records of a run to one page that opens anywhere. Reads the files of a run only."""

import os
from pathlib import Path

__all__ = ["write_report"]


def write_report(workdir: str | os.PathLike[str]) -> Path:
    """Write `report.html` into the folder of a run; one file, no network needed.

    The same records give the same bytes. Programs that are not finished are named.

    Returns: the path of the page.
    Raises: UserError if the folder holds no run, or a run without records.
    """
    # Drawing takes a second to import, which `launch.py list` need not wait for.
    from init_study.report.page import render
    from init_study.store import load, read_manifest, write_atomically

    folder = Path(workdir)
    path = folder / "report.html"
    write_atomically(path, render(load(folder), read_manifest(folder)))
    return path
