"""Checkpoints of one program's population, by Orbax, with what Orbax leaves out.

Orbax replaces nothing until the new files are whole, but it does not notice a flipped
bit, nor that a folder was renamed or is another run's: a checksum per leaf is kept
beside the arrays, with what they are of, and checked on the way back.
"""

import contextlib
import errno
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from init_study.errors import ExitCode, UserError
from init_study.store.disk_room import check_disk

_STATE, _CHECKSUMS = "state", "checksums"
_GO_ON = "then run the same command again to go on"
# Seconds: more than any clock jumps. Orbax takes the time of day for its patience, and
# gives a save up that a sleeping laptop interrupts.
_PATIENCE = 10 * 365 * 86_400
# Bytes beside the arrays: some twenty small files, each a block of the disk, which also
# say of each array what it is.
_OF_A_SAVE, _OF_A_LEAF = 24 * 4096, 1024
# Of errors that say that files are gone or not what they should be. All others are of
# the disk, the network or the process, and may be gone when it is tried again.
_OF_FILES = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP}
_OS_ERROR = re.compile(r"\[OS error (\d+)")


class Checkpoints:
    """The checkpoints of one program: the newest two are kept.

    A save goes on in the background while training does; it counts as saved only
    after `wait`, which the next `save` does first.

    Args:
        folder: where they lie.
        about: what they are of, e.g. the ids of program and study; one that says
            otherwise is not used.
        only_read: touch nothing: what is unfinished may be what another process writes.
    """

    def __init__(
        self,
        folder: Path,
        about: Mapping[str, str] | None = None,
        only_read: bool = False,
    ) -> None:
        self._folder = folder.absolute()
        self._about = dict(about or {})
        options = ocp.CheckpointManagerOptions(
            max_to_keep=2,
            cleanup_tmp_directories=not only_read,
            async_options=ocp.AsyncOptions(timeout_secs=_PATIENCE),
            **_alone(self._folder),
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
        # Before Orbax's threads fill the disk and say so in many words.
        leaves = jax.tree.leaves(state)
        needed = _OF_A_SAVE + sum(_OF_A_LEAF + leaf.nbytes for leaf in leaves)
        check_disk(self._folder, needed, "a checkpoint takes", _GO_ON)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            checksums=ocp.args.JsonSave(self._label(step, _checksums(state))),
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
        Raises: UserError if the disk does not let it be read.
        """
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return step, self._restore_step(step, template)
            # Whatever the damage makes Orbax, TensorStore or JSON raise: the step
            # cannot be used, and the one before it can.
            except Exception as error:
                if _may_pass(error):
                    raise self._unreadable(step, error) from error
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
            _check_fields(found, self._checked(step, restored[_CHECKSUMS]))
        # As in `restore`.
        except Exception as error:
            if _may_pass(error):
                raise self._unreadable(step, error) from error
            raise UserError(
                f"checkpoint {self._folder / str(step)} cannot be used: "
                f"{_reason(error)}; run again in a new folder",
                ExitCode.DAMAGED,
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
        if _checksums(state) != self._checked(step, restored[_CHECKSUMS]):
            raise ValueError("the arrays do not match their checksums")
        return state

    def _unreadable(self, step: int, error: Exception) -> UserError:
        return UserError(
            f"checkpoint {self._folder / str(step)} cannot be read: {_reason(error)}; "
            "when that is mended, run the same command again to go on",
            ExitCode.IO,
        )

    def _label(self, step: int, checksums: dict[str, int]) -> dict[str, Any]:
        """Say what the arrays are, with a checksum of just that."""
        label = {"step": step, **self._about, "arrays": checksums}
        return {**label, "sum": _sum_of(label)}

    def _checked(self, step: int, label: dict[str, Any]) -> dict[str, int]:
        """Make sure that the arrays are of this step and program, as they say.

        Returns: their checksums. Those of an earlier version say nothing else.
        """
        if "arrays" not in label:
            return label
        own = {name: value for name, value in label.items() if name != "sum"}
        if label.get("sum") != _sum_of(own):
            raise ValueError("what it says of itself does not fit its checksum")
        for name, value in {"step": step, **self._about}.items():
            if label.get(name) != value:
                raise ValueError(f"it is of {name} {label.get(name)}, not of {value}")
        return label["arrays"]

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


def _alone(folder: Path) -> dict[str, Any]:
    """Say what lets one of several processes of JAX save without the others."""
    if jax.process_count() == 1:
        return {}
    # Orbax makes no folder for one process of many.
    folder.mkdir(parents=True, exist_ok=True)
    process = jax.process_index()
    own = ocp.options.MultiprocessingOptions(
        primary_host=process,
        active_processes={process},
        barrier_sync_key_prefix=f"process {process}",
    )
    return {"create": False, "multiprocessing_options": own}


def _may_pass(error: BaseException | None) -> bool:
    """Say whether an error is of the disk or the process, not of the files.

    TensorStore tells of the system's errors in its texts.
    """
    while error is not None:
        told = {int(number) for number in _OS_ERROR.findall(str(error))}
        if isinstance(error, OSError) and error.errno is not None:
            told.add(error.errno)
        if isinstance(error, MemoryError) or told - _OF_FILES:
            return True
        error = error.__cause__ or error.__context__
    return False


def _sum_of(label: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(label, sort_keys=True).encode()).hexdigest()[:16]


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what Orbax raises on a failed write into one line."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason, way_out = _reason(error), "make room or mend the folder"
        if "No space left" in str(error):
            reason = "the disk is full"
        if isinstance(error, TimeoutError):
            reason = "the disk did not answer in time, or the clock was set meanwhile"
            way_out = "see that both are well"
        raise UserError(
            f"a checkpoint could not be written to {folder}: {reason}; {way_out}, "
            f"{_GO_ON}",
            ExitCode.IO,
        ) from error


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
