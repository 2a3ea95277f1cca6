"""What TFDS says without being asked, kept from the user."""

import contextlib
import io
from collections.abc import Iterator
from logging import ERROR, WARNING, LogRecord

from absl import logging


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Hide TFDS's banners and warnings: of modules it misses, of half-written folders.

    Its errors are shown, and warnings of others as well.

    Example:
        >>> with without_noise():
        ...     print("a banner")
    """
    logger = logging.get_absl_logger()
    logger.addFilter(_is_worth_it)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.removeFilter(_is_worth_it)


def _is_worth_it(record: LogRecord) -> bool:
    is_warning = WARNING <= record.levelno < ERROR
    return not (is_warning and "tensorflow_datasets" in record.pathname)
