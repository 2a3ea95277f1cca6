"""Sets that come from a server on this machine, from the first byte to arrays."""

import json
import os
import re
import signal

import numpy as np
import pytest
import tensorflow_datasets as tfds
from absl import logging
from calling import ROOT, start, wait_until
from published import idx, register
from serving import serving

from init_study.data import load_dataset
from init_study.data.checking import registered_checksums
from init_study.data.known_sets import KNOWN_SETS
from init_study.data.sources import download, mirrors, tensorflow_free
from init_study.data.sources.quiet import without_noise
from init_study.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (70, 28, 28), dtype=np.uint8)
LABELS = (np.arange(70) % 10).astype(np.uint8)
FILES = {
    "train-images-idx3-ubyte.gz": idx(IMAGES[:50]),
    "train-labels-idx1-ubyte.gz": idx(LABELS[:50]),
    "t10k-images-idx3-ubyte.gz": idx(IMAGES[50:]),
    "t10k-labels-idx1-ubyte.gz": idx(LABELS[50:]),
}


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as site:
        site.files = {f"/{name}": content for name, content in FILES.items()}
        yield site


@pytest.fixture
def kmnist(site, monkeypatch):
    """TFDS's KMNIST is these files, from that server."""
    monkeypatch.setattr(download, "_PAUSES", (0.0,) * 4)
    register(monkeypatch, tfds.builder_cls("kmnist"), site.url, FILES)
    return site


def load(folder):
    return load_dataset("kmnist", data_dir=str(folder), cache_dir=folder / "cache")


def test_from_a_server_to_arrays(kmnist, tmp_path):
    kmnist.cut_after = [100]
    dataset = load(tmp_path)
    assert np.bincount(dataset.test.labels).tolist() == [2] * 10
    assert {i.tobytes() for i in dataset.test.images} == {
        image.tobytes() for image in IMAGES[50:]
    }
    paths = [path for path, _ in kmnist.asked]
    assert sorted(set(paths)) == sorted(kmnist.files) and len(paths) == 5
    # TFDS's own reader finds what was written.
    assert tfds.builder("kmnist", data_dir=tmp_path).is_prepared()
    load_dataset("kmnist", data_dir=str(tmp_path), cache_dir=tmp_path / "another")
    assert len(kmnist.asked) == 5


def test_from_a_mirror_where_the_publisher_gives_a_page(kmnist, tmp_path, monkeypatch):
    with serving() as mirror:
        mirror.files, kmnist.files = kmnist.files, {}
        monkeypatch.setitem(mirrors.MIRRORS, "kmnist", (mirror.url,))
        kmnist.files = {f"/{name}": b"<html>moved</html>" for name in FILES}
        assert len(load(tmp_path).test.labels) == 20
        assert len(mirror.asked) == len(kmnist.asked) == 4


def test_what_no_place_gives_is_one_line_with_the_way_out(kmnist, tmp_path):
    kmnist.files.clear()
    with pytest.raises(UserError, match="cannot be downloaded") as error:
        load(tmp_path)
    message = str(error.value)
    assert "404" in message and "\n" not in message
    for way_out in ("downloads/manual/kmnist", "--mirror=ADDRESS-OR-FOLDER", "digits"):
        assert way_out in message


PROCESS = """
import json, sys
import tensorflow_datasets as tfds
from init_study.data import load_dataset
url, data_dir, cache_dir, infos = sys.argv[1:]
tfds.builder_cls("kmnist").URL = url
tfds.builder_cls("kmnist").url_infos = {
    url + name: tfds.core.download.checksums.UrlInfo(
        size=tfds.core.utils.Size(size), checksum=checksum, filename=name
    )
    for name, (size, checksum) in json.loads(infos).items()
}
dataset = load_dataset("kmnist", data_dir=data_dir, cache_dir=cache_dir)
print(len(dataset.test.labels))
"""


def process(site, tmp_path, number):
    infos = {
        info.filename: (int(info.size), info.checksum)
        for info in tfds.builder_cls("kmnist").url_infos.values()
    }
    # Each has a cache of its own, so that both need what TFDS prepares.
    folders = [str(tmp_path), str(tmp_path / f"cache{number}")]
    words = (site.url, *folders, json.dumps(infos))
    with open(tmp_path / f"said{number}", "w") as said:
        return start(*words, cwd=ROOT, launcher=("-c", PROCESS), stderr=said)


@pytest.mark.parametrize("ends", ["finishes", "is killed"])
def test_of_two_processes_one_waits_for_the_other(ends, kmnist, tmp_path):
    kmnist.stalls = True
    first = process(kmnist, tmp_path, 1)
    second = None
    try:
        wait_until(lambda: kmnist.asked)
        second = process(kmnist, tmp_path, 2)
        said = tmp_path / "said2"
        wait_until(lambda: "is being prepared by process" in said.read_text())
        (holder,) = re.findall(r"by process (\d+) ", said.read_text())
        assert len(kmnist.asked) == 1
        if ends == "is killed":
            os.kill(int(holder), signal.SIGKILL)
            assert first.wait() != 0
        kmnist.stalls = False
        kmnist.go_on.set()
        assert second.communicate(timeout=100)[0] == "20\n", said.read_text()
        if ends == "finishes":
            assert first.communicate(timeout=100)[0] == "20\n"
            assert len(kmnist.asked) == 4
    finally:
        for one in filter(None, (first, second)):
            one.kill()
            one.communicate()


def test_tfdss_warnings_do_not_reach_the_user_but_those_of_others_do(
    kmnist, tmp_path, caplog
):
    load(tmp_path)
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == []
    with without_noise():
        logging.warning("ours")
    assert caplog.messages[-1] == "ours"


def test_a_folder_that_is_not_whole_is_not_taken_for_the_set(kmnist, tmp_path):
    place = tmp_path / "kmnist" / "3.0.1"
    place.mkdir(parents=True)
    with pytest.raises(UserError, match="not whole") as error:
        load(tmp_path)
    assert str(place) in str(error.value)


@pytest.mark.parametrize("name", [n for n, known in KNOWN_SETS.items() if known.files])
def test_what_is_known_of_files_is_what_tfds_registers(name):
    infos = tfds.builder_cls(name).url_infos
    known = KNOWN_SETS[name]
    assert {i.filename: int(i.size) for i in infos.values()} == known.files
    sums = {info.filename: info.checksum for info in infos.values()}
    assert registered_checksums(name) == sums
    features = tfds.builder(name, data_dir="nowhere").info.features
    assert features["image"].shape == known.image_shape
    assert features["label"].num_classes == known.num_classes


def test_what_is_known_of_files_by_hand_is_what_tfds_says():
    told = tfds.builder_cls("imagenet2012").MANUAL_DOWNLOAD_INSTRUCTIONS
    assert all(file in told for file in KNOWN_SETS["imagenet2012"].by_hand)


def test_mirrors_are_of_sets_that_are_downloaded_and_end_in_a_slash():
    assert set(mirrors.MIRRORS) < set(tensorflow_free.BUILDERS)
    for bases in mirrors.MIRRORS.values():
        assert all(b.startswith("https://") and b.endswith("/") for b in bases)
