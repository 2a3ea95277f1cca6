"""What is on the disk is whole or absent, whoever was killed when."""

import dataclasses
import errno
import json
import multiprocessing
import shutil
from typing import NamedTuple

import numpy as np
import orbax.checkpoint as ocp
import pytest

from init_study import store
from init_study.errors import ExitCode, UserError
from init_study.study import Study

STUDY = Study(schemes=("zeros",), learning_rates=(0.1, 0.2), seeds=2, steps=10)
PROGRAM = STUDY.programs()[0]
ODD = np.array([0.1, np.nan, np.inf, -1e-20], np.float32)


@pytest.fixture
def workdir(tmp_path):
    store.write_manifest(tmp_path, {"study": STUDY.to_dict()})
    return tmp_path


def records_file(workdir):
    return workdir / store.RECORDS


def test_records_come_back_as_they_were(workdir):
    store.Recorder(workdir).append(PROGRAM, 5, {"validation/loss": ODD})
    table = store.load(workdir)
    np.testing.assert_array_equal(table["value"].astype(np.float32), ODD)
    assert list(table["member"]) == [m.name for m in STUDY.members()]
    assert set(table["split"]) == {"validation"} and set(table["metric"]) == {"loss"}
    assert set(table["step"]) == {5} and set(table["program"]) == {PROGRAM.id}
    assert list(table["learning_rate"]) == [0.1, 0.1, 0.2, 0.2]


def test_records_of_another_version_are_named(workdir):
    other = dataclasses.replace(PROGRAM, depth=9)
    store.Recorder(workdir).append(other, 5, {"validation/loss": ODD})
    with pytest.raises(UserError, match="another version"):
        store.load(workdir)


def test_every_line_is_strict_json(workdir):
    store.Recorder(workdir).append(PROGRAM, 5, {"validation/loss": ODD})

    def refuse(constant):
        raise AssertionError(constant)

    for line in records_file(workdir).read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_a_torn_last_line_is_no_record_and_is_cut_off(workdir):
    recorder = store.Recorder(workdir)
    recorder.append(PROGRAM, 0, {"validation/loss": ODD})
    whole = records_file(workdir).read_bytes()
    recorder.append(PROGRAM, 5, {"validation/loss": ODD})
    both = records_file(workdir).read_bytes()
    for cut in range(len(whole), len(both)):
        records_file(workdir).write_bytes(both[:cut])
        assert set(store.load(workdir)["step"]) == {0}
        again = store.Recorder(workdir)
        assert again.has(PROGRAM, 0) and not again.has(PROGRAM, 5)
        again.append(PROGRAM, 5, {"validation/loss": ODD})
        assert records_file(workdir).read_bytes() == both


def test_the_same_records_again_are_not_written_twice(workdir):
    store.Recorder(workdir).append(PROGRAM, 5, {"validation/loss": ODD})
    before = records_file(workdir).read_bytes()
    store.Recorder(workdir).append(PROGRAM, 5, {"validation/loss": ODD})
    assert records_file(workdir).read_bytes() == before


def test_other_records_for_the_same_step_are_an_error(workdir):
    store.Recorder(workdir).append(PROGRAM, 5, {"validation/loss": ODD})
    with pytest.raises(UserError, match=r"step 5 .* came out differently"):
        store.Recorder(workdir).append(PROGRAM, 5, {"validation/loss": 2 * ODD})


def test_last_steps_are_the_last(workdir):
    recorder = store.Recorder(workdir)
    for step in (0, 5, 10):
        recorder.append(PROGRAM, step, {"validation/loss": ODD})
    assert store.last_steps(workdir) == {PROGRAM.id: 10}


def test_no_run_and_no_records_are_said(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        store.load(tmp_path)
    store.write_manifest(tmp_path, {"study": STUDY.to_dict()})
    with pytest.raises(UserError, match="no records yet"):
        store.load(tmp_path)


def test_workdir_of_another_study_names_the_fields(workdir):
    store.open_workdir(workdir, STUDY)
    with pytest.raises(UserError, match=r"steps: \[11\] here, \[10\] there"):
        store.open_workdir(workdir, STUDY.replace(steps=11))


def test_workdir_that_is_a_file_or_full_of_other_things_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        store.open_workdir(file, STUDY)
    with pytest.raises(UserError, match="other files"):
        store.open_workdir(tmp_path, STUDY)
    with pytest.raises(UserError, match=r"Not a directory"):
        store.open_workdir(file / "below", STUDY)
    assert file.read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_refused(workdir, monkeypatch):
    # The superuser may write anywhere: the system's answer is stood in for.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="cannot be written to"):
        store.open_workdir(workdir, STUDY)


def _try_lock(workdir, queue):
    try:
        with store.lock(workdir):
            queue.put("held")
    except UserError as error:
        queue.put(str(error))


def test_a_second_process_is_kept_out_and_told_who_is_in(workdir):
    queue = multiprocessing.get_context("spawn").Queue()
    context = multiprocessing.get_context("spawn")
    with store.lock(workdir):
        other = context.Process(target=_try_lock, args=(workdir, queue))
        other.start()
        answer = queue.get(timeout=60)
        other.join(timeout=60)
    assert "in use by process" in answer
    _try_lock(workdir, queue)
    assert queue.get(timeout=60) == "held"


def test_checkpoints_come_back_bit_for_bit(tmp_path):
    state = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([1, 2])}
    checkpoints = store.Checkpoints(tmp_path / "one")
    for step in (3, 6, 9):
        checkpoints.save(step, {**state, "n": state["n"] + step})
    checkpoints.close()
    step, restored = store.Checkpoints(tmp_path / "one").restore(state)
    assert step == 9
    np.testing.assert_array_equal(restored["a"], state["a"])
    np.testing.assert_array_equal(restored["n"], state["n"] + 9)
    assert store.Checkpoints(tmp_path / "none").restore(state) is None


def test_a_full_disk_is_said_before_it_is_filled(tmp_path, monkeypatch):
    state = {name: np.zeros(1000, np.float32) for name in "abc"}
    checkpoints = store.Checkpoints(tmp_path / "one")
    checkpoints.save(1, state)
    checkpoints.wait()
    # With all of its small files, each in blocks of the disk.
    files = [path for path in (tmp_path / "one" / "1").rglob("*") if path.is_file()]
    taken = sum(-(-path.stat().st_size // 4096) * 4096 for path in files)
    assert taken > 2 * sum(leaf.nbytes for leaf in state.values())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=taken))
    with pytest.raises(
        UserError,
        match=rf"a checkpoint takes [\d,]+ bytes on the disk, and {taken:,} are free",
    ):
        checkpoints.save(2, state)
    step, _ = checkpoints.restore(state)
    assert step == 1, "the one before it is still there"


def flip_a_bit(folder):
    """In the middle of the largest file: where the arrays are."""
    largest = max(
        (p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def test_a_flipped_bit_is_noticed_and_the_one_before_is_taken(tmp_path):
    noise = np.random.default_rng(0).random((4, 5000), np.float32)
    checkpoints = store.Checkpoints(tmp_path / "one")
    checkpoints.save(1, {"a": noise})
    checkpoints.save(2, {"a": 2 * noise})
    checkpoints.close()
    flip_a_bit(tmp_path / "one" / "2")
    step, restored = store.Checkpoints(tmp_path / "one").restore({"a": noise})
    assert step == 1
    np.testing.assert_array_equal(restored["a"], noise)
    assert (tmp_path / "one-damaged-2").is_dir(), "nothing is deleted"
    again = store.Checkpoints(tmp_path / "one")
    again.save(2, {"a": 3 * noise})
    again.close()
    step, restored = store.Checkpoints(tmp_path / "one").restore({"a": noise})
    assert step == 2
    np.testing.assert_array_equal(restored["a"], 3 * noise)


class Saved(NamedTuple):
    """As a training state is: some trees, and more that nobody reads back."""

    params: dict
    model_state: dict
    step: np.ndarray


def test_some_fields_are_read_and_nothing_is_touched(tmp_path):
    """Without a template; what another process is writing stays."""
    noise = np.random.default_rng(0).random((4, 5000), np.float32)
    params = {"net/~/linear": {"w": noise}}
    checkpoints = store.Checkpoints(tmp_path / "one")
    checkpoints.save(1, Saved(params, {}, np.zeros(4)))
    checkpoints.close()
    unfinished = tmp_path / "one" / "2.orbax-checkpoint-tmp"
    unfinished.mkdir()
    reader = store.Checkpoints(tmp_path / "one", only_read=True)
    found = reader.read(1, ("params", "model_state"))
    np.testing.assert_array_equal(found["params"]["net/~/linear"]["w"], noise)
    assert found["model_state"] == {}
    with pytest.raises(UserError, match=r"has checkpoints of steps \[1\], not of 2"):
        reader.read(2, ("params",))
    flip_a_bit(tmp_path / "one" / "1")
    with pytest.raises(UserError, match="cannot be used") as caught:
        reader.read(1, ("params",))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "one" / "1").is_dir(), "a reader sets nothing aside"
    # Orbax cleans in the background, and has done so when it is closed.
    reader.close()
    assert unfinished.is_dir()


ABOUT = {"program": "3f2a", "study": "91c0"}


def saved(folder, about=ABOUT):
    checkpoints = store.Checkpoints(folder, about)
    for step in (3, 6):
        checkpoints.save(step, {"a": np.full(4, step, np.float32)})
    checkpoints.close()


def restored(folder, about=ABOUT):
    checkpoints = store.Checkpoints(folder, about)
    found = checkpoints.restore({"a": np.zeros(4, np.float32)})
    checkpoints.close()
    return found and (found[0], float(found[1]["a"][0]))


def test_a_checkpoint_under_another_steps_name_is_not_used(tmp_path, caplog):
    saved(tmp_path / "one")
    (tmp_path / "one" / "6").rename(tmp_path / "one" / "9")
    assert restored(tmp_path / "one") == (3, 3.0)
    assert "it is of step 6, not of 9" in caplog.text
    assert (tmp_path / "one-damaged-9").is_dir(), "nothing is deleted"


@pytest.mark.parametrize("name", ["program", "study"])
def test_checkpoints_of_something_else_are_not_used(tmp_path, caplog, name):
    saved(tmp_path / "one")
    assert restored(tmp_path / "one", ABOUT | {name: "other"}) is None
    assert f"it is of {name} {ABOUT[name]}, not of other" in caplog.text


def test_what_a_checkpoint_says_of_itself_is_checked(tmp_path, caplog):
    saved(tmp_path / "one")
    files = [p for p in (tmp_path / "one" / "6").rglob("*") if p.is_file()]
    (label,) = (p for p in files if b"3f2a" in p.read_bytes())
    label.write_text(label.read_text().replace("3f2a", "other"))
    assert restored(tmp_path / "one", ABOUT | {"program": "other"}) is None
    assert "does not fit its checksum" in caplog.text


def test_checkpoints_from_before_they_said_what_they_are_of_are_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(store.Checkpoints, "_label", lambda self, step, sums: sums)
    saved(tmp_path / "one")
    monkeypatch.undo()
    assert restored(tmp_path / "one") == (6, 6.0)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.EMFILE, "Too many open files"),
        ValueError("UNKNOWN: Error reading b/d: [OS error 5: EIO Input/output]"),
        MemoryError(),
    ],
)
def test_an_error_of_the_disk_sets_no_checkpoint_aside(tmp_path, monkeypatch, error):
    saved(tmp_path / "one")

    def fail(self, step, args):
        raise RuntimeError("while it was read") from error

    monkeypatch.setattr(ocp.CheckpointManager, "restore", fail)
    with pytest.raises(UserError, match=r"6 cannot be read.*again to go on") as caught:
        restored(tmp_path / "one")
    assert caught.value.exit_code == ExitCode.IO
    monkeypatch.undo()
    assert restored(tmp_path / "one") == (6, 6.0)
