"""Every way to fail is one line and the exit code of its kind, by sysexits."""

import errno
import io
import json
import os
import sys

import pytest
from calling import ROOT, finish, tiny

from init_study import store
from init_study.cli import launcher, troubles
from init_study.cli.troubles import say_trouble
from init_study.engine import devices
from init_study.errors import ExitCode, UserError
from init_study.plan import make_plan
from init_study.run import run
from init_study.study import Study

STUDY = Study(
    name="tiny",
    schemes=("he_normal", "zeros"),
    learning_rates=0.1,
    seeds=2,
    depth=1,
    width=2,
    batch_size=4,
    steps=2,
    evaluations=1,
)
MEANT = {
    errno.ENOSPC: 74,
    errno.EFBIG: 74,
    errno.EIO: 74,
    errno.EACCES: 73,
    errno.EROFS: 73,
    errno.ENAMETOOLONG: 73,
    errno.EISDIR: 73,
    errno.ENOTDIR: 73,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    assert run(make_plan(STUDY), folder / "w", "command").finished
    (folder / "tiny.json").write_text(json.dumps(STUDY.to_dict()))
    return folder


def is_one_line(err):
    return err.startswith("error: ") and err.count("\n") == 1


def test_the_numbers_are_those_of_sysexits():
    # /usr/include/sysexits.h: EX_USAGE, EX_DATAERR, EX_CANTCREAT, EX_IOERR, EX_TEMPFAIL
    assert [int(code) for code in ExitCode] == [64, 65, 73, 74, 75]


@pytest.mark.parametrize("number", MEANT)
def test_what_the_system_refuses_is_one_line_with_the_place(number, call, monkeypatch):
    def refuse(_):
        raise OSError(number, os.strerror(number), "some/place")

    monkeypatch.setattr(launcher, "answer", refuse)
    code, out, err = call("list")
    assert code == MEANT[number] and out == "" and is_one_line(err)
    assert f"some/place: {os.strerror(number)}; " in err


def test_an_error_of_the_network_without_a_number_is_said():
    trouble = say_trouble(ConnectionError("refused"))
    assert trouble.exit_code == ExitCode.IO and "refused" in str(trouble)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("nonsense", 64),
        ("run --nonsense=1", 64),
        ("run --checkpoint_every=never", 64),
        ("run --study.steps=x", 64),
        ("run --workdir=file", 73),
        ("run --workdir=file/w", 73),
        ("run --workdir=other", 73),
        (f"run --workdir={'a' * 300}", 73),
        ("status --workdir=damaged", 65),
        ("export --workdir=w --to=absent/a.csv", 73),
        ("export --workdir=w --to=file/a.csv", 73),
        ("export --workdir=w --to=other.csv", 73),
    ],
)
def test_each_kind_has_its_code(words, code, call, finished, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "other.csv").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / store.MANIFEST).write_text("{")
    (tmp_path / "w").symlink_to(finished / "w")
    found, out, err = call(*words.split())
    assert (found, out) == (code, "") and is_one_line(err), err


def test_data_of_ones_own_that_are_wrong_are_damaged_data(call, tmp_path):
    (tmp_path / "one.npz").write_bytes(b"no archive")
    code, out, err = call("plan", *tiny(dataset="arrays:one.npz"))
    assert (code, out) == (65, "") and is_one_line(err) and "one.npz" in err
    code, _, err = call("plan", *tiny(dataset="arrays:two.npz"))
    assert code == 64 and is_one_line(err), "a name"


def test_a_table_that_cannot_be_written_whole_is_not_left(call, finished, monkeypatch):
    def half(table, target, **_):
        target.write_text("half")
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr("pandas.DataFrame.to_csv", half)
    code, out, err = call("export", "--workdir=w", "--to=half.csv", cwd=finished)
    assert (code, out) == (74, "") and is_one_line(err)
    assert "half.csv" in err and "File too large" in err
    assert not (finished / "half.csv").exists()


def test_an_archived_run_still_answers(call, finished, monkeypatch):
    """Where nothing can be written: the table, and a note about the page."""
    words = ("--study=tiny.json", "--workdir=w")
    code, wanted, _ = call("report", *words, cwd=finished)
    table = wanted[: wanted.index("\nreport: ")]

    def refuse(path, text):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(store, "write_atomically", refuse)
    monkeypatch.setattr("init_study.store.workdir.write_document", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    before = sorted(finished.rglob("*"))
    for word in ("report", "run"):
        code, out, err = call(word, *words, cwd=finished)
        assert code == 0 and out.strip() == table.strip(), err
        assert err == (
            "the page could not be written to w/report.html: Read-only file system\n"
        )
        code, out, _ = call(word, *words, "--json", cwd=finished)
        assert code == 0 and json.loads(out)["report"] is None
    assert call("status", *words, cwd=finished)[0] == 0
    assert sorted(finished.rglob("*")) == before
    code, _, _ = call("export", *words, "--to=../elsewhere.csv", cwd=finished)
    assert code == 0


def test_a_run_that_is_not_finished_needs_a_place_to_write(finished, monkeypatch, call):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    words = ("--study=tiny.json", "--study.steps=3", "--workdir=new")
    code, _, err = call("run", *words, cwd=finished)
    assert code == 73 and is_one_line(err) and "cannot be written" in err


def test_a_folder_that_is_gone_is_said(monkeypatch):
    def gone():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "getcwd", gone)
    with pytest.raises(UserError, match="working directory is gone") as caught:
        troubles.check_here()
    assert caught.value.exit_code == ExitCode.NO_PLACE


def test_a_device_that_is_not_there_is_said(call, monkeypatch):
    for error in (RuntimeError("Unable to initialize 'cuda'\nmore"), AssertionError()):

        def fail(error=error):
            raise error

        monkeypatch.setattr(devices.jax, "devices", fail)
        monkeypatch.setenv("JAX_PLATFORMS", "cuda")
        code, out, err = call("plan", *tiny())
        assert (code, out) == (64, "") and is_one_line(err)
        assert "JAX_PLATFORMS=cuda" in err


def test_what_an_encoding_has_no_letters_for_is_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    troubles.steady_streams()
    print("2 × 3", flush=True)
    assert raw.getvalue() == b"2 \\xd7 3\n"


def launch_list(shell):
    command = f"{sys.executable} {ROOT / 'launch.py'} list --kind=models {shell}"
    done = finish(["sh", "-c", command], check=False)
    return done.returncode, done.stdout, done.stderr


def test_streams_that_are_closed_or_full():
    assert launch_list(">&- 2>&- <&-") == (0, "", "")
    code, _, err = launch_list("> /dev/full")
    assert code == 74 and is_one_line(err) and "standard output: No space" in err
    code, out, err = launch_list("--nonsense 2>&-")
    assert (code, out, err) == (64, "", ""), "an error is no answer"
    _, out, err = launch_list("| head -1")
    assert out.count("\n") == 1 and err == ""
