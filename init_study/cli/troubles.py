"""What the system refuses, in one line, and the streams that a process may lack."""

import contextlib
import errno
import os
import sys
from pathlib import Path

from init_study.errors import ExitCode, UserError

_NO_PLACE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
}
_WAYS_OUT = {
    errno.ENOSPC: "make room, then run the same command again to go on",
    errno.EDQUOT: "make room, then run the same command again to go on",
    errno.EFBIG: "files may be no larger here (ulimit -f); allow more, then run the "
    "same command again to go on",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENAMETOOLONG: "give a shorter one",
    errno.EISDIR: "a file belongs there; name another place",
    errno.ENOTDIR: "a folder belongs there; name another place",
}


def say_trouble(error: OSError) -> UserError:
    """Turn what the system refused into one line with the place and the way out.

    Example:
        >>> trouble = say_trouble(OSError(errno.EFBIG, "File too large", "page.html"))
        >>> int(trouble.exit_code), str(trouble)[:26]
        (74, 'page.html: File too large;')
    """
    names = [str(name) for name in (error.filename, error.filename2) if name]
    where = " to ".join(names) or "the disk or the network"
    what = error.strerror or str(error) or type(error).__name__
    code = ExitCode.NO_PLACE if error.errno in _NO_PLACE else ExitCode.IO
    default = "allow writing there, or name another place"
    way_out = _WAYS_OUT.get(error.errno or 0, default)
    if code is ExitCode.IO and error.errno not in _WAYS_OUT:
        way_out = "mend it, then run the same command again"
    return UserError(f"{where}: {what}; {way_out}", exit_code=code)


def check_here() -> None:
    """Refuse to begin in a folder that is gone.

    Raises: UserError.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise UserError(
            f"the working directory is gone ({error.strerror}); change to another one",
            exit_code=ExitCode.NO_PLACE,
        ) from None


def steady_streams() -> None:
    """See to it that the three streams are there and take any text.

    A file that is opened where one of them was closed would get what is printed. What
    an encoding has no letters for is written as an escape.
    """
    with contextlib.suppress(OSError):
        while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(opened)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore


def hide_echoes() -> None:
    """Have Python not show that an event loop is closed, where nothing can raise it.

    To be called once, by a program. Orbax reads the arrays of a checkpoint together,
    and closes its loop when the first cannot be read, which is raised. TensorStore's
    threads come back to that loop with the others, each for a traceback to be shown.
    """
    show = sys.unraisablehook

    def show_others(found: "sys.UnraisableHookArgs") -> None:
        if str(found.exc_value) != "Event loop is closed":
            show(found)

    sys.unraisablehook = show_others


def let_go_of_output() -> None:
    """Let the interpreter's own last flush succeed, where nobody takes the output."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def cannot_write(what: str, path: Path, error: OSError) -> str:
    """Say that a file could not be written, and why.

    Args:
        what: the file is.
        path: of it.
        error: of the system.

    Example:
        >>> cannot_write("the page", Path("w"), OSError(errno.EROFS, "Read-only"))
        'the page could not be written to w: Read-only'
    """
    return f"{what} could not be written to {path}: {error.strerror or error}"
