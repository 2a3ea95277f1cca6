"""The word `data`: what there is, what is here, have it here, check it."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from pictures_of import write_digits
from published import idx, register

from init_study.data import checking, load_dataset
from init_study.data.sources import fashion_mnist, partial
from init_study.errors import UserError

RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, (70, 28, 28), dtype=np.uint8)
LABELS = (np.arange(70) % 10).astype(np.uint8)
FILES = {
    "train-images-idx3-ubyte.gz": idx(IMAGES[:50]),
    "train-labels-idx1-ubyte.gz": idx(LABELS[:50]),
    "t10k-images-idx3-ubyte.gz": idx(IMAGES[50:]),
    "t10k-labels-idx1-ubyte.gz": idx(LABELS[50:]),
}


@pytest.fixture
def data(call, monkeypatch, tmp_path):
    """The word with folders of its own: exit code, standard output and error."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "is_installed", lambda: False)
    words = ("data", f"--data_dir={tmp_path / 'tfds'}")
    return lambda *more, **place: call(*words, *more, **place)


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A folder with the files that TFDS has registered for KMNIST."""
    register(monkeypatch, tfds.builder_cls("kmnist"), "http://127.0.0.1:9/", FILES)
    sums = {n: hashlib.sha256(content).hexdigest() for n, content in FILES.items()}

    def registered(name):
        return sums if name == "kmnist" else {}

    monkeypatch.setattr(checking, "registered_checksums", registered)
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def states(data) -> dict[str, str]:
    code, out, err = data("--json")
    assert code == 0 and err == ""
    return {row["name"]: row["state"] for row in json.loads(out)["datasets"]}


def test_a_list_of_what_there_is(data, tmp_path):
    assert states(data) == {
        "digits": "comes with scikit-learn",
        **dict.fromkeys(("fashion_mnist", "mnist", "kmnist"), "to be downloaded"),
        **dict.fromkeys(("cifar10", "cifar100"), "to be downloaded"),
        "imagenet2012": "needs files by hand",
    }
    code, out, err = data()
    assert code == 0 and err == ""
    # The two files of MNIST's images and the two of its labels, in bytes.
    assert str(9912422 + 28881 + 1648877 + 4542) in out
    assert "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar" in " ".join(
        out.split()
    )
    assert "folder:DIR" in out and str(tmp_path) in out
    folder = tmp_path / "tfds" / "downloads" / "manual"
    for name in ("fashion_mnist", "mnist", "kmnist", "cifar10", "cifar100"):
        (line,) = [x for x in out.splitlines() if x.startswith(f"{name}: ")]
        assert line.endswith(f" {folder / name}")
    assert "digits: " not in out
    assert max(len(x) for x in out.splitlines() if str(folder) not in x) <= 100
    assert not (tmp_path / "tfds").exists() and not (tmp_path / "cache").exists()


def test_from_a_mirror_to_arrays_and_again(data, mirror, tmp_path):
    words = ("--dataset=kmnist", f"--mirror={mirror}", "--json")
    code, out, err = data(*words)
    assert code == 0, err
    said = json.loads(out)
    assert said["downloaded"] == {name: str(mirror / name) for name in FILES}
    assert said["image_shape"] == [28, 28, 1] and said["examples"]["test"] == 20
    (place,) = said["prepared"]
    assert os.path.isdir(place) and place.startswith(str(tmp_path / "cache"))
    assert states(data)["kmnist"] == "prepared"
    code, out, err = data("--dataset=kmnist")
    assert code == 0 and "was prepared before" in out and "20 test" in out
    code, out, err = data(*words)
    assert code == 64 and out == "" and "is prepared in" in err and "--mirror" in err
    code, out, err = data("--dataset=kmnist", "--image_size=12")
    assert code == 0 and "12x12x1" in out and "prepared in" in out
    code, out, err = data("--check")
    assert code == 0 and "all as they were written" in out, out


def test_what_tfds_has_prepared_is_listed_by_its_own_files(data, mirror, tmp_path):
    assert data("--dataset=kmnist", f"--mirror={mirror}")[0] == 0
    shutil.rmtree(tmp_path / "cache")
    rows = {row["name"]: row for row in json.loads(data("--json")[1])["datasets"]}
    place = tmp_path / "tfds" / "kmnist" / "3.0.1"
    assert rows["kmnist"]["state"] == "prepared by TFDS"
    assert rows["kmnist"]["where"] == str(place)
    assert rows["kmnist"]["bytes"] == sum(f.stat().st_size for f in place.iterdir())
    assert (rows["kmnist"]["examples"], rows["kmnist"]["classes"]) == (70, 10)
    assert rows["kmnist"]["image"] == [28, 28, 1]
    next(place.glob("*test*array_record*")).unlink()
    code, out, _ = data("--check")
    assert code == 65 and "of test 0 of 1 files are here" in out


def test_files_that_are_here_and_one_that_has_begun(data, tmp_path):
    folder = tmp_path / "tfds" / "downloads" / "manual" / "mnist"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte.gz.part").write_bytes(bytes(1000))
    code, out, _ = data("--json")
    rows = {row["name"]: row for row in json.loads(out)["datasets"]}
    assert rows["mnist"]["state"] == "download begun"
    assert rows["mnist"]["bytes"] == 9912422 + 28881 + 1648877 + 4542 - 1000
    sizes = {"train-images-idx3": 9912422, "train-labels-idx1": 28881}
    sizes |= {"t10k-images-idx3": 1648877, "t10k-labels-idx1": 4542}
    for name, size in sizes.items():
        (folder / f"{name}-ubyte.gz").write_bytes(bytes(size))
    assert states(data)["mnist"] == "files are here"
    # They are not what they are called.
    code, out, _ = data("--check", "--dataset=mnist")
    assert code == 65 and out.count("is not the published one") == 4


def damage(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_check_names_every_damaged_file(data, mirror, tmp_path):
    assert data("--dataset=kmnist", f"--mirror={mirror}")[0] == 0
    assert data("--dataset=digits")[0] == 0
    kept = tmp_path / "cache" / "init_study" / "data"
    (kept_kmnist,) = kept.glob("kmnist-*")
    damage(kept_kmnist / "test.labels.npy")
    damage(kept / "digits-1.0.0" / "all.images.npy")
    (records,) = (tmp_path / "tfds" / "kmnist" / "3.0.1").glob("*test*array_record*")
    # Inside of the first image, past the head of the file.
    damage(records, 500)
    published = next(iter(FILES))
    damage(tmp_path / "tfds" / "downloads" / "manual" / "kmnist" / published)
    code, out, err = data("--check", "--json")
    assert code == 65 and err == ""
    said = json.loads(out)
    assert said["intact"] is False
    lines = [line for one in said["checked"] for line in one["damaged"]]
    for name in ("test.labels.npy", "all.images.npy", records.name, published):
        assert sum(line.startswith(name) for line in lines) == 1, lines
    code, out, _ = data("--check", "--dataset=digits")
    assert code == 65 and "all.images.npy has changed" in out and "kmnist" not in out


@pytest.mark.parametrize("file", ["info.json", "SHA256SUMS"])
@pytest.mark.parametrize("content", [b"\x80\xff", b"[]", b"{}", b"", b'{"a": 1}', None])
def test_what_does_not_say_what_it_is_is_damaged(data, tmp_path, file, content):
    place = tmp_path / "cache" / "init_study" / "data" / "digits-1.0.0"
    assert data("--dataset=digits")[0] == 0
    (place / file).unlink()
    if content is None:
        (place / file).mkdir()
    else:
        (place / file).write_bytes(content)
    code, out, err = data("--check")
    assert code == 65 and err == "" and str(place) in out and "digits" in out
    code, out, err = data("--json")
    assert code == 0 and err == ""
    (row,) = [row for row in json.loads(out)["datasets"] if row["name"] == "digits"]
    assert row["state"] == ("damaged" if file == "info.json" else "prepared")


@pytest.mark.parametrize("content", [b"\x80\xff", b"", b"{}", b"[]"])
def test_what_tfds_does_not_describe_is_damaged(data, mirror, tmp_path, content):
    assert data("--dataset=kmnist", f"--mirror={mirror}")[0] == 0
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(tmp_path / "tfds" / "downloads")
    place = tmp_path / "tfds" / "kmnist" / "3.0.1"
    (place / "dataset_info.json").write_bytes(content)
    code, out, err = data("--check")
    assert code == 65 and err == "" and str(place) in out and "kmnist" in out


def test_a_check_does_not_vouch_for_files_that_it_cannot_verify(data, mirror, tmp_path):
    """TFDS keeps sets as tfrecord, too, which only TensorFlow reads."""
    assert data("--dataset=kmnist", f"--mirror={mirror}")[0] == 0
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(tmp_path / "tfds" / "downloads")
    place = tmp_path / "tfds" / "kmnist" / "3.0.1"
    code, out, _ = data("--check")
    # One file each of the training and of the test part.
    assert code == 0 and out == "2 files in 1 folders: all as they were written\n"
    for part, verified in {
        "test": "1 files in 1 folders: all",
        "train": "none",
    }.items():
        (file,) = place.glob(f"*{part}*array_record*")
        other = file.with_name(file.name.replace("array_record", "tfrecord"))
        other.write_bytes(b"anything")
        file.unlink()
        code, out, _ = data("--check")
        assert code == 0 and verified in out and "cannot be verified" in out, out
        assert str(place) in out
    assert "as they were written" not in out
    said = json.loads(data("--check", "--json")[1])
    assert said["intact"] is True and said["unverified"] == 2
    (checked,) = said["checked"]
    assert checked["files"] == 0 and checked["damaged"] == []
    assert len(checked["unverified"]) == 2


def test_nothing_to_check(data):
    assert data("--check") == (0, "nothing is here to check\n", "")


def test_a_set_by_hand_says_which_files_to_put_where(data, tmp_path):
    code, out, err = data("--dataset=imagenet2012")
    assert code == 64 and out == "" and err.count("\n") == 1
    folder = tmp_path / "tfds" / "downloads" / "manual"
    for part in ("ILSVRC2012_img_train.tar", "_img_val.tar", str(folder), "folder:DIR"):
        assert part in err
    assert "LOC_val_solution.csv" in err
    # The same words as where a study needs the set.
    with pytest.raises(UserError) as error:
        load_dataset(
            "imagenet2012",
            image_size=8,
            data_dir=str(tmp_path / "tfds"),
            cache_dir=tmp_path / "cache",
        )
    assert err == f"error: {error.value}\n"


def test_pictures_of_many_sizes_need_this_words_flag(data, tmp_path):
    import PIL.Image

    for number in range(4):
        place = tmp_path / "pets" / "train" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("L", (8 + number, 9)).save(place / f"{number}.png")
    code, _, err = data(f"--dataset=folder:{tmp_path / 'pets'}")
    assert code == 64 and " --image_size=64" in err and "study" not in err


def test_a_picture_that_cannot_be_read_is_left_out_or_refused(data, tmp_path):
    write_digits(tmp_path / "digits")
    broken = tmp_path / "digits" / "0" / "broken.png"
    broken.write_bytes(b"no picture")
    name = f"--dataset=folder:{tmp_path / 'digits'}"
    code, out, err = data(name, "--strict")
    assert code == 65 and out == "" and "broken.png" in err and err.count("\n") == 1
    code, out, _ = data(name, "--json")
    assert code == 0 and sum(json.loads(out)["examples"].values()) == 200
    # What was prepared without it is refused as well.
    assert data(name, "--strict")[0] == 65


def test_a_folder_is_the_same_set_however_its_place_is_written(data, tmp_path):
    write_digits(tmp_path / "digits", 60)
    assert data("--dataset=folder:digits")[0] == 0
    whole = f"folder:{tmp_path / 'digits'}"
    assert states(data)[whole] == "prepared"
    for name in ("folder:digits", "folder:./digits/", whole):
        code, out, _ = data("--check", f"--dataset={name}")
        assert code == 0 and "in 1 folders: all as they were written" in out, name
        assert "was prepared before" in data(f"--dataset={name}")[1]
    # Elsewhere the same words mean another folder.
    write_digits(tmp_path / "elsewhere" / "digits", 50)
    words = ("--check", "--dataset=folder:digits")
    code, out, _ = data(*words, cwd=tmp_path / "elsewhere")
    assert "nothing is here" in out


def test_what_cannot_be_kept_is_not_said_to_be(data, tmp_path):
    """A file lies where the cache would be."""
    (tmp_path / "cache").write_text("")
    place = tmp_path / "cache" / "init_study" / "data"
    for _ in range(2):
        code, out, _ = data("--dataset=digits")
        assert code == 0 and "before" not in out and f" {place}\n" in out
        assert "is not kept" in out
    said = json.loads(data("--dataset=digits", "--json")[1])
    assert said["prepared"] == said["prepared_before"] == []
    (tmp_path / "cache").unlink()
    assert data("--dataset=digits")[0] == 0
    code, out, _ = data("--dataset=digits")
    assert f"was prepared before, in {place / 'digits-1.0.0'}\n" in out


def test_ctrl_c_keeps_the_partial_file_and_says_so(data, monkeypatch, tmp_path):
    def come_halfway(part, *_):
        part.write_bytes(bytes(9))
        raise KeyboardInterrupt

    monkeypatch.setattr(partial, "stream_rest", come_halfway)
    code, out, err = data("--dataset=cifar10")
    part = tmp_path / "tfds/downloads/manual/cifar10/cifar-10-binary.tar.gz.part"
    assert code == 130 and out == ""
    assert err == f"stopped: {part} is kept, and the next time goes on from there\n"
    assert states(data)["cifar10"] == "download begun"


WRONG = {
    "--dataset=cifra10": "Did you mean 'cifar10'",
    "--dataset=folder:nowhere": "there is no folder 'nowhere'",
    "--dataset=digits --image_size=0": "image_size=0",
    "--dataset=digits --mirror=.": "is not downloaded; leave out --mirror",
    "--dataset=mnist --mirror=nowhere": "--mirror=nowhere is no folder",
    "--dataset=mnist --mirror=ftp://host/": "no http or https address",
    "--dataset=mnist --mirror=https://": "names no host",
    "--dataset=eurosat --mirror=.": "--mirror is for mnist, fashion_mnist, ",
    "--mirror=.": "--mirror is of --dataset=NAME",
    "--image_size=8": "--image_size is of --dataset=NAME",
    "--check --dataset=mnist --mirror=.": "leave out --check or --mirror",
    "--check --dataset=mnist --image_size=8": "leave out --check or --image_size",
    "--strict": "--strict is of --dataset=NAME",
    "--check --dataset=mnist --strict": "leave out --check or --strict",
    "--image=8": "--image is short for --image_size",
    "--study.dataset=mnist": "data does not take --study.dataset",
    "--workdir=w": "the nearest flag of data is",
}


@pytest.mark.parametrize(("words", "said"), WRONG.items())
def test_what_cannot_be_is_one_line_and_nothing_is_written(words, said, data, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = data(*words.split())
    assert code == 64 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    assert said in err
    assert sorted(tmp_path.rglob("*")) == before
