"""Members that do not fit at once run in waves of seeds, to the same bytes."""

import os
import shutil
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from calling import ROOT, finish
from stopping import stopping

from init_study import handed, store
from init_study.answers import compare_runs
from init_study.api.trained import read_member
from init_study.cli.words.plan import plan_overview
from init_study.cli.words.status import status_overview
from init_study.control import Control
from init_study.engine import devices, shortage, tuning
from init_study.engine.devices import num_bytes
from init_study.engine.feeding import feeding_shapes
from init_study.engine.population import member_shapes
from init_study.engine.waves import (
    in_fewest_waves,
    largest_wave,
    wave_plans,
    waves_for,
)
from init_study.errors import NoRoom, UserError
from init_study.plan import make_plan
from init_study.report import write_report
from init_study.run import begin_run, run, run_waves
from init_study.study import Study

STUDY = Study(
    schemes=("he_normal", "zeros"),
    learning_rates=(0.1, 3e38),
    seeds=(3, 1, 4, 15, 9),
    depth=1,
    width=2,
    batch_size=8,
    steps=6,
    evaluations=2,
    instruments=("logits",),
    readings=2,
)
FILES = (store.RECORDS, store.LAYERS, store.FILTERS, store.READINGS)


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    """A run of all members side by side."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    assert run(plan, workdir, "command").finished
    return workdir


@pytest.fixture
def small_memory(monkeypatch):
    """Room for the members of two seeds, of the five that there are."""

    def holds(plan, program, seeds):
        return seeds <= 2

    monkeypatch.setattr(tuning, "holds", holds)


def contents(workdir):
    return {name: (workdir / name).read_bytes() for name in FILES}


def test_waves_give_the_bytes_of_members_side_by_side(
    plan, whole, small_memory, tmp_path
):
    outcome = run(plan, tmp_path / "w", "command")
    assert outcome.finished and outcome.member_steps == 20 * 6
    program = plan.programs[0].program
    assert len(store.wave_runs_in(tmp_path / "w", program.id)) == 3
    assert store.read_manifest(tmp_path / "w")["programs"][program.id]["waves"] == 3
    assert contents(tmp_path / "w") == contents(whole)


def test_a_member_of_a_wave_is_read_back_as_any_other(
    plan, whole, small_memory, tmp_path
):
    run(plan, tmp_path / "w", "command")
    program = plan.programs[0].program
    for member in (STUDY.members()[0], STUDY.members()[-1]):
        found, expected = (
            read_member(STUDY, program, workdir, member)
            for workdir in (tmp_path / "w", whole)
        )
        kernels = [one["params"]["Conv_0"]["kernel"] for one in (found, expected)]
        np.testing.assert_array_equal(*kernels)


def test_a_run_that_is_stopped_goes_on_in_its_wave(plan, whole, small_memory, tmp_path):
    workdir, told = tmp_path / "w", []
    stopped = run(plan, workdir, "command", stopping(3, checkpoint_every=0.0))
    assert not stopped.finished
    status = status_overview(workdir)
    assert not status["done"] and 0 <= status["programs"][0]["step"] < 6
    assert status["programs"][0]["waves"] == "0 of 3 done"
    # More memory changes nothing for a run that began in waves.
    tuning.holds = lambda plan, program, seeds: True
    control = Control(watch=lambda progress: told.append(progress))
    assert run(plan, workdir, "command", control).finished
    assert contents(workdir) == contents(whole)
    assert status_overview(workdir)["done"]
    labels = list(dict.fromkeys(progress.label for progress in told))
    assert labels[-1].endswith("wave 3 of 3") and told[-1].members == 4
    assert run(plan, workdir, "command").member_steps == 0


@pytest.mark.parametrize(
    ("name", "step"), [(store.FILTERS, 0), (store.RECORDS, 3), (store.READINGS, 6)]
)
def test_a_run_that_died_as_it_put_waves_together_does_it_again(
    plan, whole, small_memory, tmp_path, monkeypatch, name, step
):
    workdir, append = tmp_path / "w", store.Recorder.append

    def die(self, program, now, values):
        if self._path == workdir / name and now == step:
            raise KeyboardInterrupt
        append(self, program, now, values)

    monkeypatch.setattr(store.Recorder, "append", die)
    with pytest.raises(KeyboardInterrupt):
        run(plan, workdir, "command")
    monkeypatch.undo()
    outcome = run(plan, workdir, "command")
    assert outcome.finished and outcome.member_steps == 0
    assert contents(workdir) == contents(whole)


def test_a_damaged_wave_is_named_and_repaired(plan, whole, small_memory, tmp_path):
    workdir = tmp_path / "w"
    assert not run(plan, workdir, "command", stopping(5, checkpoint_every=0.0)).finished
    first, *_ = store.wave_runs_in(workdir, plan.programs[0].program.id)
    records = first / store.RECORDS
    records.write_bytes(records.read_bytes().replace(b"accuracy", b"accurately", 1))
    with pytest.raises(UserError, match=str(records)) as caught:
        run(plan, workdir, "command")
    assert "repair" in str(caught.value)
    assert store.repair(workdir)
    assert run(plan, workdir, "command").finished
    assert contents(workdir) == contents(whole)


def test_a_wave_in_the_place_of_another_is_refused_and_can_be_moved_away(
    plan, whole, small_memory, tmp_path
):
    workdir = tmp_path / "w"
    assert not run(plan, workdir, "command", stopping(3, checkpoint_every=0.0)).finished
    (first,) = store.wave_runs_in(workdir, plan.programs[0].program.id)
    second = store.wave_folder(workdir, plan.programs[0].program.id, 1)
    shutil.copytree(first, second)
    with pytest.raises(UserError, match=f"{second} is no wave of this run") as caught:
        run(plan, workdir, "command")
    assert "seeds" in str(caught.value) and "move that folder away" in str(caught.value)
    second.rename(tmp_path / "away")
    assert run(plan, workdir, "command").finished
    assert contents(workdir) == contents(whole)


def test_a_plan_says_how_many_waves(plan, monkeypatch, tmp_path):
    """Room for two of five seeds are three waves."""
    (row,) = plan_overview(plan, tmp_path / "w")["programs"]
    assert row["waves"] == 1
    monkeypatch.setattr(
        "init_study.engine.estimate.holds", lambda plan, program, seeds: seeds <= 2
    )
    (row,) = plan_overview(plan, tmp_path / "w")["programs"]
    assert row["waves"] == 3


def test_spectra_are_refused_where_seeds_are_apart(plan, small_memory, tmp_path):
    with pytest.raises(UserError, match=r"runs in 3 waves.*leave out --spectra"):
        run(plan, tmp_path / "w", "command", Control(spectra=True))
    assert not (tmp_path / "w" / store.MANIFEST).exists()


def test_every_seed_is_in_one_wave(plan):
    for waves in range(1, 6):
        parts = wave_plans(plan, plan.programs[0]._replace(waves=waves))
        seeds = [part.study.seeds for part in parts]
        assert len(seeds) == waves and sum(seeds, ()) == STUDY.seeds
        sizes = [len(own) for own in seeds]
        assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)
        assert all(len(part.members) == 4 * len(part.study.seeds) for part in parts)


def test_more_waves_than_seeds_part_the_schemes(plan):
    """Rates stay with their scheme, also where each scheme has one of its own."""
    assert [waves_for(STUDY, n) for n in (1, 5, 6, 10, 99)] == [1, 5, 10, 10, 10]
    for pairing in ("every", "own"):
        study = STUDY.replace(pairing=pairing)
        whole = plan._replace(study=study, members=study.members())
        parts = wave_plans(whole, plan.programs[0]._replace(waves=10))
        assert [len(part.members) for part in parts] == [
            len(study.members()) // 10
        ] * 10
        found = [member for part in parts for member in part.members]
        assert sorted(map(str, found)) == sorted(map(str, study.members()))
        assert all(list(part.schemes) == list(part.study.schemes) for part in parts)
        first = largest_wave(whole, plan.programs[0]._replace(waves=10))
        assert first.members == parts[0].members


@pytest.mark.parametrize("at_once", [2, 10])
def test_members_that_run_at_once_give_the_same_bytes(plan, whole, at_once, tmp_path):
    """Of five seeds and two schemes, in any order: the last wave first."""
    workdir = tmp_path / "w"
    store.open_workdir(workdir, STUDY)
    with store.lock(workdir):
        begun, _ = begin_run(plan, workdir, "command", Control(), at_once)
    (program,) = begun.programs
    assert program.waves == at_once
    for wave in reversed(range(at_once)):
        run_waves(begun, program, workdir, "command", Control(), (wave,))
    assert run(plan, workdir, "command").member_steps == 0
    assert contents(workdir) == contents(whole)


def test_what_waves_have_in_common_is_made_once(plan, small_memory, tmp_path):
    """Also where the last of them has fewer members."""
    made, common = [], handed.make_common

    def make(*given):
        made.append(common(*given))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handed, "make_common", make)
        run(plan, tmp_path / "w", "command")
    (only,) = made
    compiled = only.compiled
    counts = [one._cache_size() for one in (compiled.train, compiled.evaluate)]
    assert counts == [1, 1] and compiled.measure._cache_size() == 1
    assert all(read._cache_size() <= 2 for read in only.reader.read.values())


def test_data_that_lie_on_the_devices_are_not_asked_for_again(
    plan, whole, monkeypatch, tmp_path
):
    """What is free falls by them at the first wave, and stays so for all others."""
    _, data = feeding_shapes(plan.programs[0], STUDY.seeds)
    members = len(STUDY.members()) * num_bytes(member_shapes(plan.programs[0]))
    free = [3 * data + 8 * members]
    common = handed.make_common

    def make(*given):
        # Of two devices each has its own.
        free[0] -= 2 * data
        return common(*given)

    workdir = tmp_path / "w"
    store.open_workdir(workdir, STUDY)
    with store.lock(workdir):
        begun, _ = begin_run(plan, workdir, "command", Control(), 3)
    for module in (devices, shortage):
        monkeypatch.setattr(module, "available_bytes", lambda: free[0])
    monkeypatch.setattr(handed, "make_common", make)
    monkeypatch.setattr(tuning, "_cost", lambda *_: tuning._Cost(0.0, 0.0, 0, data))
    run_waves(begun, begun.programs[0], workdir, "command", Control())
    assert free[0] < 2 * data
    monkeypatch.undo()
    assert run(plan, workdir, "command").member_steps == 0
    assert contents(workdir) == contents(whole)


def test_waves_that_are_done_are_shown_and_decide_nothing(plan, whole, tmp_path):
    """Of five seeds in three waves the last wave, of one seed, and the first."""
    workdir = tmp_path / "w"
    store.open_workdir(workdir, STUDY)
    with store.lock(workdir):
        begun, _ = begin_run(plan, workdir, "command", Control(), 3)
    (program,) = begun.programs
    with pytest.raises(UserError, match="no records yet"):
        write_report(workdir)
    said = (
        (2, "step 2 of 6: 1 of 3 waves are done, with 1 of 5 seeds"),
        (0, "step 4 of 6: 2 of 3 waves are done, with 3 of 5 seeds"),
        (1, "step 6 of 6: 3 of 3 waves are done, with 5 of 5 seeds"),
    )
    for wave, text in said:
        run_waves(begun, program, workdir, "command", Control(), (wave,))
        assert text in write_report(workdir).read_text()
        found = store.load(workdir), store.read_manifest(workdir)
        (comparison,) = compare_runs(*found, store.waves_done(workdir))
        assert comparison.rows == () and comparison.best is None
        # Nor does whoever knows of no waves.
        assert compare_runs(*found)[0].rows == ()
        (row,) = status_overview(workdir)["programs"]
        assert not row["done"] and row["waves"] == f"{text[13]} of 3 done"
    seen = found[0].drop(columns="drifted")
    joined = store.load(whole).drop(columns="drifted")
    joined = joined.loc[joined["step"] < 6]
    keys = ["member", "step", "split", "metric"]
    one, other = (t.sort_values(keys).reset_index(drop=True) for t in (seen, joined))
    pd.testing.assert_frame_equal(one, other)
    assert run(plan, workdir, "command").finished
    assert "waves" not in status_overview(workdir)["programs"][0]
    assert compare_runs(store.load(workdir), found[1])[0].rows


@pytest.mark.parametrize(
    ("room", "fits", "waves"), [(20, 20, 1), (8, 8, 3), (8, 4, 5), (12, 8, 4)]
)
def test_waves_are_as_few_as_fit(plan, room, fits, waves):
    """Four members for each of five seeds; what a step takes comes on top."""

    def fit(part, program):
        if len(part.members) > fits:
            raise NoRoom("too many")
        return len(part.members)

    found, members = in_fewest_waves(
        plan, plan.programs[0], lambda plan, program, n: 4 * n <= room, fit
    )
    assert (found, members <= fits) == (waves, True)


def test_room_for_members_is_counted_on_devices_and_on_the_host(plan, monkeypatch):
    """On a CPU: what devices hold, and three copies of all members beside it."""
    program, devices = plan.programs[0], jax.device_count()
    member = num_bytes(member_shapes(program))
    _, data = feeding_shapes(program, STUDY.seeds[:2])
    places = -(-8 // devices)
    room = data + places * member + -(-3 * 8 * member // devices)
    monkeypatch.setattr(tuning, "bytes_per_device", lambda platform: room)
    fits = [tuning.holds(plan, program, seeds) for seeds in range(1, 6)]
    assert fits == [True, True, False, False, False]


def test_the_search_for_waves_is_short():
    """Of 4,000 seeds none fits: twelve questions and two trials, not 8,000."""
    plan = make_plan(STUDY.replace(seeds=4000, instruments=(), readings=None))
    asked, tried = [], []

    def holds(plan, program, seeds):
        asked.append(seeds)
        return False

    def fit(part, program):
        tried.append(len(part.study.seeds))
        raise NoRoom("none")

    with pytest.raises(NoRoom):
        in_fewest_waves(plan, plan.programs[0], holds, fit)
    assert len(asked) <= 12 and tried == [1, 1]


def test_memory_that_no_wave_fits_is_refused_before_anything_is_written(
    plan, monkeypatch, tmp_path
):
    monkeypatch.setattr(tuning, "bytes_per_device", lambda platform: 1000)
    monkeypatch.setattr("init_study.engine.timing.bytes_per_device", lambda _: 1000)
    with pytest.raises(
        NoRoom, match="2 members do not fit even one at a time"
    ) as error:
        run(plan, tmp_path / "w", "command")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "w" / store.MANIFEST).exists()


PEAKS = """
import sys
from pathlib import Path
from init_study.control import Control
from init_study.engine import tuning
from init_study.engine.devices import prepare_jax
from init_study.plan import make_plan
from init_study.run import run
from init_study.study import Study

prepare_jax(None)
tuning.holds = lambda plan, program, seeds: seeds <= 500
study = Study(
    schemes="he_normal", learning_rates=0.1, seeds=4000, depth=2, width=32,
    batch_size=4, steps=2, evaluations=1,
)
labels = []


def print_peak():
    # Of resident memory, since it was printed last.
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
    Path("/proc/self/clear_refs").write_text("5")


def watch(progress):
    if progress.label not in labels:
        labels.append(progress.label)
        print_peak()


plan, control = make_plan(study), Control(watch=watch)
assert run(plan, Path(sys.argv[1]), "command", control).finished
print_peak()
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="asks Linux for peaks"
)
def test_the_peak_of_memory_grows_by_records_alone(tmp_path):
    """Of eight waves, each of 20 MB of states, the later need no more than others."""
    # What is freed is given back at once, and does not lie about in pieces.
    gives_back = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    command = [sys.executable, "-c", PEAKS, tmp_path / "run"]
    done = finish(command, 300, cwd=ROOT, env=gives_back)
    before, *waves, last = map(int, done.stdout.split())
    assert len(waves) == 7 and before < waves[0]
    # From the third to the seventh; what four leave behind would be twice as much.
    assert waves[6] - waves[2] < 40e6
    # The last one's, and all put together: a record is some ten times larger in memory.
    written = sum((tmp_path / "run" / name).stat().st_size for name in FILES[:3])
    assert last - waves[6] < 10 * written + 20e6
