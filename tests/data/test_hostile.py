"""Files that are made to do harm are refused in one line: nothing of theirs is run or
unpacked, and nothing is written."""

import io
import os
import struct
import tarfile
import warnings
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures_of import save

from init_study.data import load_dataset
from init_study.data.pictures import Unreadable, decode
from init_study.data.sources import npz, parquet
from init_study.data.sources.picture_files import (
    files_below,
    members_of,
    read_unchanged,
)
from init_study.data.splits import Published
from init_study.errors import ExitCode, UserError


def refused(call, *args, **options) -> str:
    with pytest.raises(UserError) as error:
        call(*args, **options)
    assert error.value.exit_code == ExitCode.DAMAGED
    said = str(error.value)
    assert "\n" not in said and len(said) < 1000
    return said


# Arrays: each is `images.npy` of an archive, beside labels.


def npy(head: str, body: bytes = b"", version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + length + head.encode() + body


def described(shape: str, kind: str = "'|u1'") -> str:
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}\n"


LABELS = npy(described("(4,)"), bytes([0, 1, 0, 1]))
IMAGES = npy(described("(4, 2, 2)"), bytes(range(16)))


def write_npz(path, *images: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.npy", LABELS)
        with warnings.catch_warnings():
            # Of `zipfile`, that a name is there already.
            warnings.simplefilter("ignore")
            for one in images:
                archive.writestr("images.npy", one)


class Canary:
    """What a reader of pickles would call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def objects(path) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Canary(path)] * 4, object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "images, said",
    [
        (npy(described("(10**12,)")), "malformed node"),
        (npy(described("(1000000000000,)")), "1,000,000,000,000 bytes by its head"),
        (npy(described("(-4, 2, -2)"), bytes(16)), "shape (-4, 2, -2)"),
        (npy(described("(1000000000000, 2, 2)", "'|V0'")), "type |V0"),
        (npy(described("(4, 2, 2)", "[('a', '|O')]")), "Python objects"),
        (npy("[" * 9000), "no whole .npz file"),
        (npy("-" * 9000 + "1"), "no whole .npz file"),
        (npy(" " * 10_001), "its head has 10,001 bytes"),
        # Four bytes that promise a head of 4 GiB.
        (b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b" " * 99, "has 4,294,967,295 bytes"),
        (npy("__import__('os').mkdir('canary')"), "malformed node"),
        (b"PK\x03\x04" + bytes(40), "magic string"),
    ],
)
def test_an_array_that_is_none_is_refused(tmp_path, monkeypatch, images, said):
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "mine.npz", images)
    assert said in refused(load_dataset, "arrays:mine.npz", cache_dir="kept")
    assert os.listdir() == ["mine.npz"]


def test_objects_are_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "mine.npz", objects(tmp_path / "canary"))
    assert "Python objects" in refused(load_dataset, "arrays:mine.npz")
    assert os.listdir() == ["mine.npz"]


def test_what_is_packed_as_no_picture_is_is_not_unpacked(tmp_path, monkeypatch):
    zeros = npy(described("(4, 1000, 1000)"), bytes(4_000_000))
    write_npz(tmp_path / "mine.npz", zeros)
    find = npz.find_npz, "arrays:mine.npz", tmp_path / "mine.npz", None
    # A small one may be all of one colour.
    assert isinstance(find[0](*find[1:]), Published)
    monkeypatch.setattr(npz, "_SMALL", 2**20)
    monkeypatch.setattr(npz, "_array", lambda *a: pytest.fail("unpacked"))
    # Zeros pack 1,000 to 1.
    assert "as no pictures do" in refused(*find)


def test_an_array_that_is_there_twice_is_not_chosen_from(tmp_path):
    write_npz(tmp_path / "mine.npz", IMAGES, IMAGES)
    said = refused(npz.find_npz, "mine", tmp_path / "mine.npz", None)
    assert "images twice" in said


def test_a_long_list_of_names_is_said_in_short(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        for number in range(5000):
            archive.writestr(f"{number:0100}.npy", b"")
    with pytest.raises(UserError) as error:
        npz.find_npz("mine", tmp_path / "mine.npz", None)
    assert "and 4980 more" in str(error.value) and len(str(error.value)) < 2500


# Archives of pictures.


def member(name: str, kind: bytes = tarfile.REGTYPE, **more):
    found = tarfile.TarInfo(name)
    found.type = kind
    for field, value in more.items():
        setattr(found, field, value)
    return found


def of_size(size: bytes, name: str = "a.png") -> bytes:
    """A head with a size written as it is given, and the checksum that fits."""
    head = bytearray(member(name).tobuf(tarfile.GNU_FORMAT))
    head[124:136] = size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(1024)


def tar_of(*members, form=tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for one in members:
            archive.addfile(one, io.BytesIO(bytes(one.size)))
    return file.getvalue()


def nested(depth: int) -> bytes:
    content, name = bytes(512), "a.png"
    for _ in range(depth):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.addfile(member(name, size=len(content)), io.BytesIO(content))
        content, name = file.getvalue(), "a.tar"
    return content


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}


@pytest.mark.parametrize(
    "archive, said",
    [
        (tar_of(member("a.png", tarfile.SYMTYPE, linkname="/etc/passwd")), "a link"),
        (tar_of(member("a.tar", tarfile.LNKTYPE, linkname="../b.tar")), "a link"),
        (tar_of(member(".a", tarfile.SYMTYPE, linkname="/etc")), "a link"),
        (tar_of(member("a.png", tarfile.CHRTYPE)), "a device"),
        (tar_of(member("a.png", tarfile.FIFOTYPE)), "a device"),
        (tar_of(member("/etc/a.png")), "leads out of it"),
        (tar_of(member("b/../../a.png")), "leads out of it"),
        (tar_of(member("a.png"), member("a.png")), "is in it twice"),
        # -1024: the reader would go back for ever.
        (of_size(b"\xff" * 10 + b"\xfc\x00"), "-1024 bytes"),
        (of_size(b"\xff" * 10 + b"\xfc\x00", "a.tar"), "-1024 bytes"),
        (tar_of(member("a.png", pax_headers={"size": "-1024"})), "-1024 bytes"),
        (tar_of(member("a.png", pax_headers={"size": f"{10**15}"})), "no plain tar"),
        (
            tar_of(member("a.png", pax_headers=SPARSE | {"GNU.sparse.map": "a,b"})),
            "no plain tar",
        ),
        # A name of 2**40 bytes.
        (
            member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=2**40).tobuf(
                tarfile.GNU_FORMAT
            ),
            "no plain tar",
        ),
        (nested(6), "archives lie in archives"),
    ],
)
def test_an_archive_of_other_than_files_is_refused(tmp_path, archive, said):
    (tmp_path / "set/b").mkdir(parents=True)
    (tmp_path / "set/c.tar").write_bytes(archive)
    (file,) = [f for f in files_below(tmp_path / "set", "") if f.ending == ".tar"]
    assert said in refused(members_of, tmp_path / "set", file)


def test_archives_as_imagenet_has_them_are_read(tmp_path):
    (tmp_path / "c.tar").write_bytes(nested(2))
    (file,) = files_below(tmp_path, "")
    (picture,) = members_of(tmp_path, file)
    assert picture.member == "a/a.png"
    assert read_unchanged(tmp_path, picture) == bytes(512)


# Folders.


def two_classes(root) -> None:
    for name in "ab":
        save(root / name / "1.png", np.full((4, 4), ord(name), np.uint8))


def endless(root):
    folder = root / "a"
    for _ in range(60):
        folder = folder / "d"
    folder.mkdir(parents=True)


def loop(root):
    (root / "a/self.png").symlink_to("self.png")


def device(root):
    (root / "a/zero.png").symlink_to("/dev/zero")


def nesting(root):
    (root / "metadata.jsonl").write_text("[" * 100_000)


def digits(root):
    line = '{"file_name": "a/1.png", "label": %s}\n' % ("9" * 5000)
    (root / "metadata.jsonl").write_text(line)


def long_field(root):
    (root / "metadata.csv").write_text(f'file_name,label\n"{"a" * 200_000}",x\n')


def endless_list(root):
    with open(root / "metadata.jsonl", "wb") as file:
        file.truncate(2**40)


def endless_picture(root):
    with open(root / "a/2.png", "wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize(
    "write, said",
    [
        (endless, "50 folders deep"),
        (loop, "a link to itself"),
        (device, "a link out of the folder, to /dev/zero"),
        (nesting, "line 1 is no JSON"),
        (digits, "line 1 is no JSON"),
        (long_field, "is no CSV"),
        (endless_list, "more than 1,073,741,824 bytes"),
        (endless_picture, "a picture of 1,099,511,627,776 bytes"),
    ],
)
def test_a_folder_that_has_no_end_is_refused(tmp_path, write, said):
    two_classes(tmp_path / "set")
    write(tmp_path / "set")
    name = f"folder:{tmp_path / 'set'}"
    assert said in refused(load_dataset, name, cache_dir=tmp_path / "kept")


def test_a_label_of_many_digits_is_no_number(tmp_path):
    two_classes(tmp_path / "train")
    save(tmp_path / "val/1.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "val/val.txt").write_text("1.png " + "9" * 5000)
    with pytest.raises(UserError, match="is not NAME LABEL"):
        load_dataset(f"folder:{tmp_path}", cache_dir=tmp_path / "kept")


def png_that_says(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_of = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + sum_of

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    parts = chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("side", [50_000, 2**31 - 1])
def test_a_picture_that_says_it_is_huge_is_not_decoded(side):
    with pytest.raises(Unreadable, match="too large"):
        decode(png_that_says(side, side), channels=3, size=8)


def test_a_picture_that_is_a_program_is_not_run(tmp_path):
    """Pillow would start Ghostscript for it."""
    with pytest.raises(Unreadable, match="is none of PNG"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", 3, 8)


# Parquet.


def write_parquet(root, rows: int = 40, **columns) -> None:
    root.mkdir()
    pictures = [b"\x89PNG" + bytes([row % 256]) * 1000 for row in range(rows)]
    whole = {"image": pictures, "label": np.arange(rows) % 2} | columns
    pq.write_table(pa.table(whole), root / "train.parquet")


def find(root):
    return parquet.find_parquet("mine", root).list_pictures()


def test_rows_that_do_not_fit_into_memory_are_not_read(tmp_path, monkeypatch):
    write_parquet(tmp_path / "set")
    monkeypatch.setattr(parquet, "available_bytes", lambda: 40 * 32 - 1)
    monkeypatch.setattr(parquet, "_labels", lambda *a: pytest.fail("read"))
    assert "has 40 rows by its head" in refused(find, tmp_path / "set")


def test_pictures_that_unpack_without_end_are_not_unpacked_to_it(tmp_path, monkeypatch):
    """One value that every row refers to takes its bytes once, until it is read."""
    write_parquet(tmp_path / "set", rows=400, image=[bytes(10_000)] * 400)
    assert (tmp_path / "set/train.parquet").stat().st_size < 10_000
    monkeypatch.setattr(parquet, "available_bytes", lambda: 4_000_000)
    part = find(tmp_path / "set").parts["train"]
    assert "of pictures; write smaller groups" in refused(next, part.read([0]))


def test_names_nested_without_end_are_none(tmp_path):
    write_parquet(tmp_path / "set")
    path = tmp_path / "set/train.parquet"
    table = pq.read_table(path).replace_schema_metadata({"huggingface": "[" * 10**5})
    pq.write_table(table, path)
    assert find(tmp_path / "set").classes == ("0", "1")


def test_two_columns_of_one_name_are_not_chosen_from(tmp_path):
    write_parquet(tmp_path / "set")
    path = tmp_path / "set/train.parquet"
    image, label = pq.read_table(path).columns
    names = ["image", "label", "label"]
    pq.write_table(pa.Table.from_arrays([image, label, label], names=names), path)
    with pytest.raises(UserError, match="two columns 'label'"):
        find(tmp_path / "set")
