"""Published files: from one place or another, in pieces, and never a wrong one."""

import hashlib
import os
import shutil

import numpy as np
import pytest
from serving import serving

from init_study.data.sources import download, download_progress, partial
from init_study.data.sources.download import (
    NotDownloaded,
    RemoteFile,
    download_files,
)
from init_study.errors import UserError

CONTENT = np.random.default_rng(0).bytes(100_000)
HTML = b"<!DOCTYPE html><html><head><title>Log in</title></head></html>"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No pauses between tries, and no proxy."""
    monkeypatch.setattr(download, "_PAUSES", (0.0,) * 4)
    monkeypatch.setattr(download, "_PAUSES_WITHOUT_CONNECTION", (0.0,))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def site():
    with serving() as site:
        site.files["/a.gz"] = CONTENT
        yield site


@pytest.fixture
def other():
    with serving() as site:
        site.files["/a.gz"] = CONTENT
        yield site


def file_at(*places) -> RemoteFile:
    addresses = [
        place if isinstance(place, str) else f"{place.url}a.gz" for place in places
    ]
    checksum = hashlib.sha256(CONTENT).hexdigest()
    return RemoteFile("a.gz", len(CONTENT), checksum, tuple(addresses))


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


def is_whole(folder) -> bool:
    """The published file is there under its name, and nothing else is."""
    return names(folder) == ["a.gz"] and (folder / "a.gz").read_bytes() == CONTENT


def test_a_file_comes_once(site, tmp_path):
    file = file_at(site)
    assert download_files([file], tmp_path) == {"a.gz": f"{site.url}a.gz"}
    assert is_whole(tmp_path)
    assert download_files([file], tmp_path) == {} and len(site.asked) == 1


def test_a_cut_connection_is_gone_on_with(site, tmp_path):
    site.cut_after = [40_000, 30_000]
    download_files([file_at(site)], tmp_path)
    assert is_whole(tmp_path)
    starts = [int(asked[6:-1]) for _, asked in site.asked[1:] if asked]
    # What is lost is less than a block of 16 KiB.
    assert len(starts) == 2
    assert 40_000 - 2**14 < starts[0] <= 40_000
    assert starts[0] + 30_000 - 2**14 < starts[1] <= starts[0] + 30_000


def test_the_next_process_goes_on_where_one_stopped(site, tmp_path):
    site.cut_after = [64_000] + [0] * 5
    with pytest.raises(NotDownloaded, match="ended"):
        download_files([file_at(site)], tmp_path)
    assert names(tmp_path) == ["a.gz.part", "a.gz.part.json"]
    here = (tmp_path / "a.gz.part").stat().st_size
    site.asked.clear()
    download_files([file_at(site)], tmp_path)
    assert is_whole(tmp_path)
    assert site.asked == [("/a.gz", f"bytes={here}-")] and here > 0


@pytest.mark.parametrize("what", ["ranges", "tags", "weak"])
def test_a_server_that_gives_no_rest_is_asked_for_all(what, site, tmp_path):
    setattr(site, what, what == "weak")
    site.cut_after = [64_000]
    download_files([file_at(site)], tmp_path)
    assert is_whole(tmp_path)
    assert site.asked[0] == ("/a.gz", None) and len(site.asked) == 2
    assert what == "ranges" or site.asked[1] == ("/a.gz", None)


def test_another_place_gives_all_of_it(site, other, tmp_path):
    """What tells one server's copy from its next one says nothing of another's."""
    site.cut_after = [64_000] + [0] * 5
    download_files([file_at(site, other)], tmp_path)
    assert is_whole(tmp_path) and other.asked == [("/a.gz", None)]


def test_a_file_that_changed_meanwhile_is_not_spliced(site, tmp_path):
    wrong = bytes(len(CONTENT))
    site.files["/a.gz"] = wrong
    site.cut_after = [64_000] + [0] * 5
    with pytest.raises(NotDownloaded):
        download_files([file_at(site)], tmp_path)
    assert set((tmp_path / "a.gz.part").read_bytes()) == {0}
    site.files["/a.gz"] = CONTENT
    site.asked.clear()
    download_files([file_at(site)], tmp_path)
    assert is_whole(tmp_path) and len(site.asked) == 1


def test_a_beginning_that_was_wrong_is_replaced(site, tmp_path):
    """A server that keeps the tag of a file that it replaces."""
    site.cut_after = [64_000] + [0] * 5
    with pytest.raises(NotDownloaded):
        download_files([file_at(site)], tmp_path)
    part = tmp_path / "a.gz.part"
    part.write_bytes(bytes(part.stat().st_size))
    download_files([file_at(site)], tmp_path)
    assert is_whole(tmp_path)


def test_a_whole_part_only_gets_its_name(site, tmp_path):
    """The process was killed just before."""
    (tmp_path / "a.gz.part").write_bytes(CONTENT)
    download_files([file_at(site)], tmp_path)
    assert is_whole(tmp_path) and site.asked == []


@pytest.mark.parametrize("length", [True, False])
def test_wrong_bytes_are_described_and_removed(length, site, tmp_path):
    site.files["/a.gz"] = HTML
    site.length = length
    with pytest.raises(NotDownloaded) as error:
        download_files([file_at(site)], tmp_path)
    message = str(error.value)
    assert "a.gz" in message and site.url[7:-1] in message
    assert f"not the published one but an HTML page 'Log in' of {len(HTML)}" in message
    assert names(tmp_path) == [] and "\n" not in message


def test_wrong_bytes_of_the_right_length_never_get_the_name(site, tmp_path):
    site.files["/a.gz"] = HTML.ljust(len(CONTENT))
    with pytest.raises(NotDownloaded, match="not the published one but an HTML page"):
        download_files([file_at(site)], tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("length", "said"),
    [(False, "more than the 100,000 bytes"), (True, "another file of 200,000 bytes")],
)
def test_too_many_bytes_are_not_taken(length, said, site, tmp_path):
    site.files["/a.gz"] = CONTENT + CONTENT
    site.length = length
    with pytest.raises(NotDownloaded, match=said):
        download_files([file_at(site)], tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("trouble", ["absent", "wrong", "fails", "stalls", "nowhere"])
def test_the_next_place_is_tried(trouble, site, other, tmp_path, monkeypatch):
    first = site
    if trouble == "absent":
        site.files.clear()
    if trouble == "wrong":
        site.files["/a.gz"] = HTML
    if trouble == "fails":
        site.statuses = [503] * 5
    if trouble == "stalls":
        monkeypatch.setattr(partial, "TIMEOUT", (1.0, 0.05))
        site.stalls = True
    if trouble == "nowhere":
        # Nobody listens on the discard port of this machine.
        first = "http://127.0.0.1:9/a.gz"
    came = download_files([file_at(first, other)], tmp_path)
    assert came == {"a.gz": f"{other.url}a.gz"} and is_whole(tmp_path)
    tries = {"absent": 1, "wrong": 1, "fails": 5, "stalls": 5, "nowhere": 0}
    assert len(site.asked) == tries[trouble]


def test_a_server_that_recovers_is_asked_again(site, tmp_path):
    site.statuses = [503, 429]
    download_files([file_at(site)], tmp_path)
    assert is_whole(tmp_path) and len(site.asked) == 3


def test_a_slow_place_is_left_for_another_and_kept_as_the_last(
    site, other, tmp_path, monkeypatch
):
    # Every rate is known at once, and every rest is long.
    monkeypatch.setattr(download_progress, "_EVERY", 0.0)
    monkeypatch.setattr(download_progress, "LONG", -1.0)
    other.files.clear()
    came = download_files([file_at(site, other)], tmp_path)
    assert came == {"a.gz": f"{site.url}a.gz"} and is_whole(tmp_path)
    assert [len(site.asked), len(other.asked)] == [2, 1]
    assert site.asked[1][1] is not None, "it goes on with what had come"


def test_lines_say_how_it_goes_where_there_is_no_terminal(
    site, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(download_progress, "_EVERY", 0.0)
    download_files([file_at(site)], tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert lines and all(line.startswith("a.gz: ") for line in lines)
    assert "0.1 of 0.1 MB" in lines[-1] and "B/s" in lines[-1]
    assert "0 s left" in lines[-1]


def test_a_folder_is_a_mirror(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.gz").write_bytes(CONTENT)
    place = str(tmp_path / "mine" / "a.gz")
    assert download_files([file_at(place)], tmp_path / "d") == {"a.gz": place}
    assert is_whole(tmp_path / "d")
    (tmp_path / "mine" / "a.gz").write_bytes(HTML)
    shutil.rmtree(tmp_path / "d")
    with pytest.raises(NotDownloaded, match="not the published one"):
        download_files([file_at(place)], tmp_path / "d")
    assert (tmp_path / "mine" / "a.gz").read_bytes() == HTML


def test_a_file_of_the_users_is_never_removed(site, tmp_path):
    (tmp_path / "a.gz").write_bytes(HTML)
    with pytest.raises(UserError, match=r"a\.gz is not the published one but an HTML"):
        download_files([file_at(site)], tmp_path)
    assert (tmp_path / "a.gz").read_bytes() == HTML and site.asked == []


def test_a_full_disk_is_noticed_before(site, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=99_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"100,000 bytes .* has 99,999 left"):
        download_files([file_at(site)], tmp_path)
    assert site.asked == []
    (tmp_path / "a.gz.part").write_bytes(CONTENT[:1])
    download_files([file_at(site)], tmp_path)
    assert is_whole(tmp_path)


def test_ctrl_c_keeps_what_came_and_says_so(site, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "a.gz.part").write_bytes(CONTENT[:9])
    monkeypatch.setattr(partial, "stream_rest", stop)
    with pytest.raises(KeyboardInterrupt, match=r"a\.gz\.part is kept"):
        download_files([file_at(site)], tmp_path)
    assert names(tmp_path) == ["a.gz.part"]


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://127.0.0.1/a.gz", ""])
def test_a_server_that_sends_astray_is_asked_once(site, other, tmp_path, to):
    """To a file of this machine, to another protocol, round in circles."""
    site.moved = to or f"{site.url}a.gz"
    download_files([file_at(site, other)], tmp_path / "mine")
    assert is_whole(tmp_path / "mine")
    assert len(site.asked) == (31 if not to else 1)
    with pytest.raises(NotDownloaded, match="it sends elsewhere") as error:
        download_files([file_at(site)], tmp_path / "other")
    assert "\n" not in str(error.value) and names(tmp_path / "other") == []


def test_a_file_of_another_size_is_not_copied(tmp_path):
    with open(tmp_path / "copy", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(NotDownloaded, match="of 1,099,511,627,776 bytes"):
        download_files([file_at(str(tmp_path / "copy"))], tmp_path / "mine")
    assert names(tmp_path / "mine") == []
