"""Processes that share a folder, each with some of the programs."""

import threading
import time

import pytest
from calling import is_progress, launch, start, tiny
from stopping import stopping

from init_study import store
from init_study.cli.words.status import status_overview
from init_study.control import Control
from init_study.errors import ExitCode, UserError
from init_study.plan import make_plan
from init_study.run import run
from init_study.shares import RunShare, parse_share, programs_of, run_share
from init_study.study import Study

STUDY = Study(
    schemes=("he_normal", "zeros"),
    learning_rates=0.1,
    seeds=2,
    depth=(1, 2, 3),
    width=2,
    batch_size=4,
    steps=4,
    evaluations=2,
)
FILES = (store.RECORDS, store.LAYERS, store.FILTERS)


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    assert run(plan, workdir, "command").finished
    return workdir


def contents(workdir):
    """Each line but its sum, which is of all lines before it as well."""
    return {
        name: sorted(
            map(str, store.read_lines(workdir, name)),
        )
        for name in FILES
    }


def test_parts_one_after_the_other_are_the_whole(plan, whole, tmp_path):
    """The second part first: programs come in another order, their numbers do not."""
    workdir = tmp_path / "w"
    assert run_share(plan, workdir, "command", RunShare(2, 2), Control()).finished
    first, *_ = status_overview(workdir)["programs"]
    assert not first["done"] and first["step"] == 0
    done = run_share(plan, workdir, "command", RunShare(1, 2), Control())
    assert done.finished and done.member_steps == 2 * 4 * 4
    assert status_overview(workdir)["done"]
    assert contents(workdir) == contents(whole)
    assert run(plan, workdir, "command").member_steps == 0


def test_a_whole_run_goes_on_with_what_a_part_began(plan, whole, tmp_path):
    workdir, stop = tmp_path / "w", stopping(2, checkpoint_every=0.0)
    begun = run_share(plan, workdir, "command", RunShare(1, 3), stop)
    assert not begun.finished and begun.member_steps > 0
    rest = run(plan, workdir, "command")
    assert rest.finished and rest.member_steps == 3 * 4 * 4 - begun.member_steps
    assert contents(workdir) == contents(whole)


def test_a_part_waits_for_who_holds_the_folder(plan, tmp_path, monkeypatch):
    workdir = tmp_path / "w"
    monkeypatch.setattr("init_study.shares.PATIENCE", 0.3)
    store.open_workdir(workdir, STUDY)
    with store.lock(workdir), pytest.raises(UserError, match="in use by") as caught:
        run_share(plan, workdir, "command", RunShare(1, 3), Control())
    assert caught.value.exit_code == ExitCode.NO_PLACE
    held = threading.Event()

    def hold():
        with store.lock(workdir):
            held.set()
            time.sleep(0.5)

    monkeypatch.setattr("init_study.shares.PATIENCE", 60.0)
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert run_share(plan, workdir, "command", RunShare(1, 3), Control()).finished
    thread.join()


def test_every_program_is_in_one_part(plan):
    for of in range(1, 5):
        parts = [programs_of(plan, RunShare(place + 1, of)) for place in range(of)]
        labels = [one.label for part in parts for one in part]
        assert sorted(labels) == [one.label for one in plan.programs]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0/8", "there are parts 1/8 to 8/8"),
        ("9/8", "there are parts 1/8 to 8/8"),
        ("1/0", "there are parts 1/1 to 1/1"),
        ("3", "write K/N"),
        ("-1/2", "write K/N"),
        ("a/b", "write K/N"),
        ("", "write K/N"),
    ],
)
def test_what_is_no_part_is_refused(text, said):
    with pytest.raises(UserError, match=said):
        parse_share(text)


def test_a_part_without_programs_says_so(plan, tmp_path, caplog):
    assert run_share(
        plan, tmp_path / "w", "command", RunShare(4, 4), Control()
    ).finished
    with pytest.raises(UserError, match="--spectra"):
        run_share(plan, tmp_path / "w", "c", RunShare(1, 2), Control(spectra=True))


@pytest.mark.slow
def test_processes_at_once_come_to_one_page(tmp_path):
    """Three at once, one of them twice: the second of its kind is refused."""
    flags = [*tiny(depth="1,2,3", fresh_seeds="2"), f"--workdir={tmp_path / 'w'}"]
    parts = ["--part=1/3", "--part=2/3", "--part=3/3"]
    running = [start("run", *flags, part, cwd=tmp_path) for part in parts]
    ends = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ends
    assert all(is_progress(err) for _, err in ends), ends
    code, out, _ = launch("status", f"--workdir={tmp_path / 'w'}", cwd=tmp_path)
    assert code == 0 and "not done" not in out
    alone = [*tiny(depth="1,2,3", fresh_seeds="2"), f"--workdir={tmp_path / 'alone'}"]
    assert launch("run", *alone, cwd=tmp_path)[0] == 0
    assert contents(tmp_path / "w") == contents(tmp_path / "alone")
    code, out, err = launch("run", *flags, "--part=4/3", cwd=tmp_path)
    assert (code, out) == (64, "") and "1/3 to 3/3" in err
