"""A compiled program that has changed on the disk is not run."""

import os
import zlib

import pytest
from absl import logging

from init_study.store.compiled import drop_changed, note_new, watch_compiled

# As zstandard packs without a checksum: its magic number, then anything.
ENTRY = b"\x28\xb5\x2f\xfd" + bytes(range(200))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "jit_f-1-cache").write_bytes(ENTRY)
    (tmp_path / "jit_g-2-cache").write_bytes(ENTRY[::-1])
    note_new(tmp_path)
    return tmp_path


@pytest.fixture
def warned(monkeypatch):
    said = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: said.append(text % args)
    )
    return said


@pytest.mark.parametrize("bit", range(0, 8 * len(ENTRY), 97))
def test_a_flipped_bit_is_found(folder, warned, bit):
    changed = bytearray(ENTRY)
    changed[bit // 8] ^= 1 << bit % 8
    (folder / "jit_f-1-cache").write_bytes(changed)
    drop_changed(folder)
    assert not (folder / "jit_f-1-cache").exists()
    assert (folder / "jit_g-2-cache").exists() and len(warned) == 1
    # What JAX compiles anew is noted, and stays.
    (folder / "jit_f-1-cache").write_bytes(ENTRY)
    note_new(folder)
    drop_changed(folder)
    assert (folder / "jit_f-1-cache").exists() and len(warned) == 1


@pytest.mark.parametrize("content", [b"", ENTRY[:-1], ENTRY + b"x", bytes(200)])
def test_other_lengths_are_found(folder, warned, content):
    (folder / "jit_f-1-cache").write_bytes(content)
    drop_changed(folder)
    assert not (folder / "jit_f-1-cache").exists() and warned


@pytest.mark.parametrize("sums", ["", "[]", "[" * 10**5, '{"../x": 1}', "\0", None])
def test_sums_that_are_none_begin_anew(folder, warned, sums):
    (folder / "sums.json").unlink()
    if sums is not None:
        (folder / "sums.json").write_text(sums)
    drop_changed(folder)
    assert (folder / "jit_f-1-cache").exists() and not warned


def test_nothing_beside_the_folder_is_removed(folder):
    (folder / "inner").mkdir()
    (folder / "precious-cache").write_bytes(ENTRY)
    (folder / "inner/sums.json").write_text('{"../precious-cache": 1}')
    drop_changed(folder / "inner")
    assert (folder / "precious-cache").exists()


@pytest.mark.parametrize("left", [0, 1, 20, -1])
def test_what_a_killed_process_left_half_written_is_compiled_anew(folder, left):
    packed = zlib.compress(ENTRY)
    (folder / "jit_h-cache").write_bytes(packed[:left])
    (folder / "jit_i-cache").write_bytes(packed)
    note_new(folder)
    assert not (folder / "jit_h-cache").exists() and (folder / "jit_i-cache").exists()
    assert "jit_h" not in (folder / "sums.json").read_text()


def test_a_folder_that_everybody_may_write_to_is_not_used(tmp_path, warned):
    (tmp_path / "open").mkdir()
    os.chmod(tmp_path / "open", 0o777)
    assert not watch_compiled(tmp_path / "open") and "chmod o-w" in warned[0]
    assert watch_compiled(tmp_path / "own")
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700


def test_a_place_that_is_no_folder_is_jax_s_to_say(tmp_path):
    (tmp_path / "file").write_text("")
    assert watch_compiled(tmp_path / "file")
