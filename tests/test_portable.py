"""Where a file lock, a home or a clock is missing: it runs, or says why not."""

import os
import sys
import time

import pytest
from calling import ROOT, finish

from init_study import host, store
from init_study import run as run_module
from init_study.data.cache import data_folder
from init_study.data.names import tfds_folder
from init_study.engine.devices import compiled_folder
from init_study.plan import make_plan
from init_study.run import run
from init_study.study import Study

STUDY = Study(
    schemes="he_normal",
    learning_rates=0.1,
    seeds=1,
    depth=1,
    width=2,
    batch_size=4,
    steps=2,
)
READ = """
import sys
sys.modules["fcntl"] = None
from init_study import store
from init_study.cli import main
assert len(store.load("w")) > 0
for word in ("status", "report"):
    assert main(["launch.py", word, "--workdir=w"]) == 0
assert main(["launch.py", "list"]) == 0
"""


def test_a_run_is_read_where_there_is_no_fcntl(tmp_path):
    """As on Windows."""
    run(make_plan(STUDY), tmp_path / "w", "command")
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    done = finish(
        [sys.executable, "-c", READ], cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w" / "report.html").exists()


class Windows:
    """What `msvcrt` does: one byte of a file is one process's, or it is an OSError."""

    LK_NBLCK = 2

    def __init__(self):
        self.held = 0

    def locking(self, _, mode, count):
        assert (mode, count) == (2, 1)
        if self.held:
            self.held -= 1
            raise OSError(13, "Permission denied")


def test_a_folder_is_held_on_windows_as_well(monkeypatch, tmp_path):
    windows = Windows()
    monkeypatch.setattr(host, "fcntl", None)
    monkeypatch.setattr(host, "_BETWEEN", 0)
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    with store.lock(tmp_path):
        assert "process" in (tmp_path / ".lock").read_text()
    windows.held = 1
    with pytest.raises(store.workdir.UserError, match="in use by"):
        with store.lock(tmp_path):
            pass
    windows.held = 3
    with open(tmp_path / "other", "a+") as file:
        host.hold_file(file, wait=True)
    assert windows.held == 0


def test_a_user_without_a_home_has_caches_where_they_are(monkeypatch):
    for name in ("XDG_CACHE_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: str(path))
    assert data_folder(None).as_posix() == ".cache/init_study/data"
    assert compiled_folder(None).as_posix() == ".cache/init_study/compiled"
    assert tfds_folder(None).as_posix() == "tensorflow_datasets"


@pytest.mark.parametrize("step", [0.0, -3600.0])
def test_a_clock_that_stands_still_or_jumps_back(step, monkeypatch, tmp_path):
    began, looks = time.time(), iter(range(10**6))
    plan = make_plan(STUDY)
    monkeypatch.setattr(run_module.time, "time", lambda: began + step * next(looks))
    outcome = run(plan, tmp_path / "w", "command")
    assert outcome.finished and outcome.seconds > 0
    (session,) = store.read_manifest(tmp_path / "w")["sessions"]
    assert session["seconds"] >= 0 and session["member_steps"] == 2
