"""Lines have checksums: what was not written so is found, with its place."""

import json

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
    store.write_manifest(tmp_path, {"study": STUDY.to_dict()})
    recorder = store.Recorder(tmp_path)
    for step in STEPS:
        values = np.array([0.25 * step, 1 / 3], np.float32)
        recorder.append(PROGRAM, step, {"validation/loss": values})
    return tmp_path / store.RECORDS


def steps(path):
    return [line.content["step"] for line in read_sealed(path)]


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
    recorder = store.Recorder(path.parent)
    recorder.append(PROGRAM, 25, {"validation/loss": np.zeros(2, np.float32)})
    assert steps(path) == [*STEPS, 25]


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


def test_a_file_without_sums_is_read_and_goes_on_without(path, caplog):
    plain = [json.dumps(line.content) + "\n" for line in read_sealed(path)]
    path.write_text("".join(plain))
    with caplog.at_level("WARNING"):
        assert steps(path) == list(STEPS)
    assert "has no checksums" in caplog.text
    recorder = store.Recorder(path.parent)
    recorder.append(PROGRAM, 25, {"validation/loss": np.zeros(2, np.float32)})
    assert steps(path) == [*STEPS, 25]
    assert b'"sum"' not in path.read_bytes()


def test_sums_are_not_mixed_with_lines_without(path):
    *lines, last = path.read_bytes().splitlines(keepends=True)
    plain = json.dumps({"program": "a", "step": 0, "values": {}}).encode() + b"\n"
    path.write_bytes(b"".join([*lines, plain]))
    with pytest.raises(UserError, match="line 5 is not"):
        steps(path)
    path.write_bytes(b"".join([plain, last]))
    with pytest.raises(UserError, match="line 2 is not"):
        steps(path)


def test_what_is_appended_is_chained(tmp_path):
    path = tmp_path / "some.jsonl"
    one = append_line(path, {"a": 1}, first_sum(path))
    two = append_line(path, {"a": 1}, one)
    assert one != two
    assert [line.sum for line in read_sealed(path)] == [one, two]
