"""Checkpoints of one program's population, by Orbax, with what Orbax leaves out.

Orbax replaces nothing until the new files are whole, but it does not notice a flipped
bit: a checksum per leaf is kept beside the arrays and checked on the way back.
"""

import contextlib
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from init_study.errors import ExitCode, UserError

_STATE, _CHECKSUMS = "state", "checksums"


class Checkpoints:
    """The checkpoints of one program: the newest two are kept.

    A save goes on in the background while training does; it counts as saved only
    after `wait`, which the next `save` does first.
    """

    def __init__(self, folder: Path, only_read: bool = False) -> None:
        self._folder = folder.absolute()
        # What is unfinished may be what another process is writing.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=2, cleanup_tmp_directories=not only_read
        )
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def save(self, step: int, state: Any) -> None:
        """Begin to save host arrays `[members, ...]`.

        Args:
            step: that they are of; saved once.
            state: a tree of arrays.

        Raises: UserError if there is no room for it, or if the save before this one
            failed.
        """
        self.wait()
        if step in self._manager.all_steps():
            return
        _check_room(self._folder, state)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            checksums=ocp.args.JsonSave(_checksums(state)),
        )
        with _explained(self._folder):
            self._manager.save(step, args=items)

    def wait(self) -> None:
        """Wait until the last save is on the disk.

        Raises: UserError if it failed.
        """
        with _explained(self._folder):
            self._manager.wait_until_finished()

    def restore(self, template: Any) -> tuple[int, Any] | None:
        """Restore the newest whole checkpoint, if there is one.

        A damaged one is set aside with a warning and the one before it taken: training
        is deterministic, so nothing but time is lost.

        Args:
            template: host arrays of the shapes and types that were saved.

        Returns: step and state; None if there is no whole checkpoint.
        """
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return step, self._restore_step(step, template)
            # Whatever the damage makes Orbax, TensorStore or JSON raise: the step
            # cannot be used, and the one before it can.
            except Exception as error:
                self._set_aside(step, _reason(error))
        return None

    def read(self, step: int, fields: Sequence[str]) -> dict[str, Any]:
        """Read some fields of a checkpoint as plain dicts; nothing is set aside.

        Args:
            step: that they are of.
            fields: of the saved tuple, each a tree of dicts with keys of text.

        Raises: UserError if there is no whole checkpoint of that step.
        """
        steps = sorted(self._manager.all_steps())
        if step not in steps:
            raise UserError(
                f"{self._folder} has checkpoints of steps {steps or 'none'}, not of "
                f"{step}; go on with the command that began the run"
            )
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(), checksums=ocp.args.JsonRestore()
        )
        try:
            restored = self._manager.restore(step, args=items)
            found = {name: restored[_STATE].get(name) or {} for name in fields}
            _check_fields(found, restored[_CHECKSUMS])
        # As in `restore`.
        except Exception as error:
            raise UserError(
                f"checkpoint {self._folder / str(step)} cannot be used: "
                f"{_reason(error)}; run again in a new folder",
                exit_code=ExitCode.DAMAGED,
            ) from error
        return found

    def close(self) -> None:
        """Wait, then let go of Orbax's threads."""
        self.wait()
        self._manager.close()

    def _restore_step(self, step: int, template: Any) -> Any:
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(template),
            checksums=ocp.args.JsonRestore(),
        )
        restored = self._manager.restore(step, args=items)
        state = jax.tree.map(np.asarray, restored[_STATE])
        if _checksums(state) != restored[_CHECKSUMS]:
            raise ValueError("the arrays do not match their checksums")
        return state

    def _set_aside(self, step: int, reason: str) -> None:
        damaged = self._folder / str(step)
        aside = self._folder.with_name(f"{self._folder.name}-damaged-{step}")
        logging.warning(
            "checkpoint %s cannot be used (%s); set aside as %s, going on from an "
            "earlier one",
            damaged,
            reason,
            aside,
        )
        count = 0
        while aside.exists():
            count += 1
            aside = aside.with_name(f"{self._folder.name}-damaged-{step}.{count}")
        damaged.rename(aside)
        self._manager.reload()


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what Orbax raises on a failed write into one line."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = _reason(error)
        if "No space left" in str(error):
            reason = "the disk is full"
        raise UserError(
            f"a checkpoint could not be written to {folder}: {reason}; make room or "
            "mend the folder, then run the same command again to go on",
            exit_code=ExitCode.IO,
        ) from error


def _check_room(folder: Path, state: Any) -> None:
    """Refuse to save where the disk has no room.

    Before Orbax's threads fill the disk and say so in many words.
    """
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"the disk of {folder} is full: a checkpoint takes {needed / 1e6:.1f} MB, "
            f"{free / 1e6:.1f} MB are free; make room, then run the same command again "
            "to go on",
            exit_code=ExitCode.IO,
        )


def _checksums(state: Any) -> dict[str, int]:
    return {
        jax.tree_util.keystr(path): zlib.crc32(np.ascontiguousarray(leaf).tobytes())
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


def _check_fields(found: dict[str, Any], saved: dict[str, int]) -> None:
    """Compare the checksums of some fields of a tuple with those of the whole."""
    own = {
        f".{name}{path}": checksum
        for name, field in found.items()
        for path, checksum in _checksums(field).items()
    }
    begins = tuple(f".{name}[" for name in found)
    if own != {path: saved[path] for path in saved if path.startswith(begins)}:
        raise ValueError("the arrays do not match their checksums")
