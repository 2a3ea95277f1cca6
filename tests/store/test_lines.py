"""Lines have checksums: what was not written so is found, with its place."""

import json
from pathlib import Path

import numpy as np
import pytest

from init_study import store
from init_study.errors import UserError
from init_study.store.lines import append_line, first_sum, read_sealed
from init_study.study import Study

STUDY = Study(schemes="zeros", learning_rates=0.1, seeds=2, steps=20, evaluations=4)
PROGRAM = STUDY.programs()[0]
STEPS = (0, 5, 10, 15, 20)


@pytest.fixture
def path(tmp_path):
    """Records of a run of five evaluations."""
    store.write_manifest(tmp_path, {"study": STUDY.to_dict(), "chain": STUDY.hash})
    return recorded(tmp_path)


@pytest.fixture
def older(tmp_path):
    """The same, begun before lines were chained to their run."""
    store.write_manifest(tmp_path, {"study": STUDY.to_dict()})
    return recorded(tmp_path)


def recorded(workdir):
    names = (store.LAYERS, store.FILTERS, store.RECORDS)
    layers, filters, records = (store.Recorder(workdir, name) for name in names)
    for step in STEPS:
        if step in (0, 20):
            layers.append(PROGRAM, step, {"gain": np.ones((2, 1), np.float32)})
            filters.append(PROGRAM, step, {})
        records.append(PROGRAM, step, losses(step))
    return workdir / store.RECORDS


def losses(step):
    return {"validation/loss": np.array([0.25 * step, 1 / 3], np.float32)}


def steps(path):
    return [line["step"] for line in store.read_lines(path.parent, path.name)]


def test_lines_come_back_in_order(path):
    assert steps(path) == list(STEPS)


def changed(lines):
    """Yield what can befall lines, with the number of the first that is wrong then."""
    for place, line in enumerate(lines):
        number = place + 1
        rest = lines[:place], lines[place + 1 :]
        for wrong in (
            line.replace(b'"step": ', b'"step":  '),
            line.replace(b"0.3333", b"0.3334"),
            line.replace(b"validation", b"test"),
            line[:-3] + b'f"}\n' if line[-4:-3] != b"f" else line[:-4] + b'e"}\n',
            b"\n",
            b"[1]\n",
            b"\0\0\0\n",
            b"\xff\xfe\n",
            b"null\n",
            line[:40] + b"\n",
        ):
            if wrong != line:
                yield [*rest[0], wrong, *rest[1]], number
        if rest[1]:
            yield [*rest[0], *rest[1]], number
            yield [*rest[0], rest[1][0], line, *rest[1][1:]], number
        if place > 1:
            yield [*lines[: place + 1], lines[0], *rest[1]], number + 1


def test_every_change_is_found_with_its_place(path):
    lines = path.read_bytes().splitlines(keepends=True)
    cases = list(changed(lines))
    assert len(cases) > 50
    for wrong, number in cases:
        path.write_bytes(b"".join(wrong))
        with pytest.raises(UserError, match=f"line {number} is not as it was written"):
            steps(path)


def test_every_bit_counts(path):
    """Of the whole file but its last newline, without which the last line is torn."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(content) - 1, 300, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(flipped))
        with pytest.raises(UserError, match="not as it was written"):
            steps(path)


@pytest.mark.parametrize("read", [store.load, store.last_steps, store.Recorder])
def test_all_that_reads_says_so_in_one_line(path, read):
    path.write_bytes(path.read_bytes().replace(b"1.25", b"1.26"))
    with pytest.raises(UserError, match="line 2 is not") as caught:
        read(path.parent)
    assert "\n" not in str(caught.value) and "--workdir" in str(caught.value)


def test_a_line_that_is_there_twice_counts_once_and_is_said(path, caplog):
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(True)[-1])
    with caplog.at_level("WARNING"):
        assert steps(path) == list(STEPS)
    assert "line 6 is there twice" in caplog.text


def test_what_comes_behind_a_line_that_is_there_twice_fits(path):
    *lines, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[-1]]))
    store.Recorder(path.parent).append(PROGRAM, 20, losses(20))
    assert steps(path) == list(STEPS)


def test_what_is_cut_off_is_said(path, caplog):
    path.write_bytes(path.read_bytes()[:-7])
    with caplog.at_level("WARNING"):
        assert not store.Recorder(path.parent).has(PROGRAM, 20)
    assert "bytes are cut off" in caplog.text
    assert steps(path) == list(STEPS[:-1])


def test_lines_of_another_file_are_none_of_this(path):
    other = path.with_name(store.LAYERS)
    other.write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="line 1 is not"):
        steps(other)


def without_sums(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    plain = [{n: v for n, v in line.items() if n != "sum"} for line in lines]
    return [json.dumps(line) + "\n" for line in plain]


def test_a_file_without_sums_is_read_and_goes_on_without(older, caplog):
    older.write_text("".join(without_sums(older)[:-1]))
    with caplog.at_level("WARNING"):
        assert steps(older) == list(STEPS[:-1])
    assert "has no checksums" in caplog.text
    store.Recorder(older.parent).append(PROGRAM, 20, losses(20))
    assert steps(older) == list(STEPS)
    assert b'"sum"' not in older.read_bytes()


def test_sums_cannot_be_left_out_of_a_run_that_has_them(path):
    path.write_text("".join(without_sums(path)))
    with pytest.raises(UserError, match="line 1 is not"):
        steps(path)


@pytest.mark.parametrize(
    "values", [{"validation/loss": [1.0]}, {"a/b": 3}, {"a/b": ["x", 2.0]}]
)
def test_what_an_older_file_cannot_mean_is_said(older, values):
    lines = without_sums(older)
    wrong = json.dumps({"program": PROGRAM.id, "step": 5, "values": values}) + "\n"
    older.write_text("".join([lines[0], wrong]))
    with pytest.raises(UserError, match="another version"):
        steps(older)


def test_sums_are_not_mixed_with_lines_without(path):
    *lines, last = path.read_bytes().splitlines(keepends=True)
    plain = json.dumps({"program": "a", "step": 0, "values": {}}).encode() + b"\n"
    path.write_bytes(b"".join([*lines, plain]))
    with pytest.raises(UserError, match="line 5 is not"):
        steps(path)
    path.write_bytes(b"".join([plain, last]))
    with pytest.raises(UserError, match="line 1 is not"):
        steps(path)


def test_what_is_appended_is_chained(tmp_path):
    path, begins = tmp_path / "some.jsonl", first_sum("some.jsonl", "a run")
    one = append_line(path, {"a": 1}, begins)
    two = append_line(path, {"a": 1}, one)
    assert one != two
    assert [line.sum for line in read_sealed(path, begins)] == [one, two]
    assert one != append_line(path, {"a": 1}, first_sum("some.jsonl", "another run"))


def test_records_of_another_run_of_the_same_shapes_are_refused(path, tmp_path):
    """Its programs are the same, and so are the numbers of its members."""
    other = STUDY.replace(schemes="he_normal")
    (tmp_path / "other").mkdir()
    manifest = {"study": other.to_dict(), "chain": other.hash}
    store.write_manifest(tmp_path / "other", manifest)
    assert other.programs()[0].id == PROGRAM.id
    theirs = recorded(tmp_path / "other")
    path.write_bytes(theirs.read_bytes())
    with pytest.raises(UserError, match="line 1 is not"):
        steps(path)


@pytest.mark.parametrize("name", [store.LAYERS, store.FILTERS])
@pytest.mark.parametrize(("kept", "gone"), [(1, "20"), (0, "0, 20")])
def test_what_is_measured_at_the_ends_is_missed(path, name, kept, gone):
    """It was written before the records of those steps were."""
    file = path.with_name(name)
    file.write_bytes(b"".join(file.read_bytes().splitlines(True)[:kept]))
    with pytest.raises(UserError, match=f"the lines of step {gone} of .* are missing"):
        store.read_lines(path.parent, name)
    with pytest.raises(UserError, match=r"are missing.*repair --workdir"):
        store.Recorder(path.parent, name)


def test_records_before_a_checkpoint_are_missed(path):
    lines = path.read_bytes().splitlines(keepends=True)
    saved = path.parent / store.CHECKPOINTS / PROGRAM.id / "12"
    saved.mkdir(parents=True)
    path.write_bytes(b"".join(lines[:2]))
    with pytest.raises(UserError, match=r"the lines of step 10 of .* are missing"):
        steps(path)
    path.write_bytes(b"".join(lines[:3]))
    assert steps(path) == [0, 5, 10]


@pytest.mark.parametrize("name", [store.RECORDS, store.LAYERS])
def test_a_folder_in_place_of_a_file_is_said(path, name):
    path.with_name(name).unlink()
    path.with_name(name).mkdir()
    with pytest.raises(UserError, match=f"{name}: is no file"):
        store.read_lines(path.parent, name)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_said_with_the_file():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        append_line(Path("/dev/full"), {"step": 5}, None)
