"""How benchmarks begin and keep figures: flags, one line for what is wrong."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app, flags

from init_study.errors import UserError
from init_study.store.documents import write_atomically


def start(main: Callable[[list[str]], int | None]) -> None:
    """Run a benchmark; what cannot be used is one line, and exit code 1."""
    try:
        app.run(main, flags_parser=lambda argv: flags.FLAGS(argv))
    except (UserError, flags.Error) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


def check_file(path: str | None) -> None:
    """Make sure that figures can be kept before any is measured.

    Raises: UserError for a file whose folder is not there.
    """
    if path and not Path(path).absolute().parent.is_dir():
        raise UserError(f"--json={path}: its folder is not there; make it first")


def keep(path: str | None, document: Any) -> None:
    """Write all figures so far, whole or not at all; nothing without a file."""
    if path:
        write_atomically(Path(path), json.dumps(document, indent=1) + "\n")
