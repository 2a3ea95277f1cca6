"""Documents have a checksum; what a killed process left beside them is no document."""

import json
import os
import sys

import numpy as np
import pytest
from calling import finish

from init_study import store
from init_study.errors import UserError
from init_study.store.documents import (
    is_leftover,
    read_document,
    write_atomically,
    write_document,
)
from init_study.study import Study

STUDY = Study(schemes="zeros", learning_rates=0.1, seeds=2, steps=20, evaluations=4)
CONTENT = {"study": STUDY.to_dict(), "numbers": {"a": [0.1, 1e-300, 3]}, "是": "词"}


@pytest.fixture
def path(tmp_path):
    write_document(tmp_path / store.MANIFEST, CONTENT)
    return tmp_path / store.MANIFEST


def test_what_is_written_comes_back(path):
    assert read_document(path) == CONTENT
    assert json.loads(path.read_text())["numbers"] == CONTENT["numbers"]


@pytest.mark.skipif(os.name == "nt", reason="Windows limits no file's size")
def test_what_cannot_be_written_names_the_file(path):
    limited = (
        "import pathlib, resource, sys\n"
        "from init_study.store.documents import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try:\n"
        "    write_atomically(pathlib.Path(sys.argv[1]), 'x' * 1000)\n"
        "except OSError as error:\n"
        "    print(error.filename)\n"
    )
    before = path.read_bytes()
    done = finish([sys.executable, "-c", limited, path])
    assert done.stdout == f"{path}\n"
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows limits no file's size")
def test_a_folder_that_takes_no_byte_is_named(tmp_path):
    limited = (
        "import pathlib, resource, sys\n"
        "from init_study import store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try:\n"
        "    with store.lock(pathlib.Path(sys.argv[1])):\n"
        "        pass\n"
        "except OSError as error:\n"
        "    print(error.filename)\n"
    )
    done = finish([sys.executable, "-c", limited, tmp_path])
    assert done.stdout == f"{tmp_path / '.lock'}\n", done.stderr


def test_keys_that_are_numbers_come_back_as_text(tmp_path):
    path = tmp_path / "some.json"
    write_document(path, {"of": {10: "a", 2: "b"}})
    assert read_document(path) == {"of": {"10": "a", "2": "b"}}


def test_a_flipped_bit_is_found_or_changes_nothing(path):
    """Layout does not count; without the word `sum` the rest is as it was."""
    content, found = path.read_bytes(), 0
    rng = np.random.default_rng(0)
    for place in rng.choice(len(content), 300, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(flipped))
        try:
            read = read_document(path)
        except UserError:
            found += 1
        else:
            assert {name: read.get(name) for name in CONTENT} == CONTENT
    assert found > 150


@pytest.mark.parametrize("wrong", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"\0"])
def test_what_is_no_document_is_said_in_one_line(path, wrong):
    path.write_bytes(wrong)
    with pytest.raises(UserError, match=r"manifest\.json is damaged") as caught:
        store.read_study(path.parent)
    assert "\n" not in str(caught.value) and "--workdir" in str(caught.value)


def test_an_edited_manifest_is_not_believed(path):
    path.write_text(path.read_text().replace("zeros", "ones"))
    for read in (store.read_manifest, store.read_study, store.load):
        with pytest.raises(UserError, match="does not fit its checksum"):
            read(path.parent)


def test_a_document_without_a_sum_is_read(tmp_path):
    (tmp_path / store.MANIFEST).write_text(json.dumps(CONTENT))
    assert store.read_manifest(tmp_path) == CONTENT


def test_a_manifest_that_describes_nothing_is_said(tmp_path):
    write_document(tmp_path / store.MANIFEST, {})
    with pytest.raises(UserError, match="another version"):
        store.read_study(tmp_path)


@pytest.mark.parametrize("name", [store.MANIFEST, store.RACE, store.RULES])
def test_a_folder_with_leftovers_alone_may_be_begun_in(tmp_path, name):
    """A process was killed in its first write."""
    (tmp_path / f".{name}.123").write_text("{")
    (tmp_path / ".lock").write_text("")
    store.check_workdir(tmp_path, STUDY)
    store.check_is_empty(tmp_path)
    store.check_race(tmp_path, {})


@pytest.mark.parametrize("name", ["notes.txt", ".notes", "manifest.json.123"])
def test_a_folder_with_other_files_may_not(tmp_path, name):
    (tmp_path / name).write_text("mine")
    for check in (store.check_is_empty, lambda p: store.check_workdir(p, STUDY)):
        with pytest.raises(UserError, match="holds other files"):
            check(tmp_path)


def test_leftovers_of_the_manifest_are_removed_by_who_holds_the_folder(tmp_path):
    mine, manifests = tmp_path / ".notes.7", tmp_path / f".{store.MANIFEST}.7"
    for path in (mine, manifests):
        path.write_text("{")
    with store.lock(tmp_path):
        assert not manifests.exists() and mine.exists()


def test_a_write_that_fails_leaves_the_old_and_nothing_beside(path, monkeypatch):
    before = path.read_bytes()

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "other")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [store.MANIFEST]


def test_a_leftover_has_the_name_of_what_was_written(tmp_path):
    left = tmp_path / ".manifest.json.7"
    assert is_leftover(left) and is_leftover(left, store.MANIFEST)
    assert not is_leftover(left, store.RACE)


def test_what_a_killed_process_left_is_removed(tmp_path):
    done = finish(["sh", "-c", "echo $$"])
    dead, alive = int(done.stdout), os.getppid()
    for name in (f".report.html.{dead}", f".report.html.{alive}", f".other.{dead}"):
        (tmp_path / name).touch()
    store.write_atomically(tmp_path / "report.html", "new")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"report.html", f".report.html.{alive}", f".other.{dead}"}
