"""What is damaged is taken out, and what is lost comes out again as it was."""

import json
import shutil

import pandas as pd
import pytest

from init_study import store
from init_study.control import Control
from init_study.errors import UserError
from init_study.plan import make_plan
from init_study.run import run
from init_study.study import Study

STUDY = Study(
    schemes=("he_normal", "zeros"),
    learning_rates=0.1,
    seeds=2,
    model="linear",
    batch_size=(4, 8),
    steps=6,
    evaluations=3,
)
FILES = (store.RECORDS, store.LAYERS, store.FILTERS, store.SPECTRA, store.PREDICTIONS)


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


@pytest.fixture(scope="module")
def undisturbed(plan, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    control = Control(spectra=True, checkpoint_every=0.0)
    assert run(plan, workdir, "the command", control).finished
    return workdir


@pytest.fixture
def workdir(undisturbed, tmp_path):
    return shutil.copytree(undisturbed, tmp_path / "w")


def sorted_lines(workdir):
    def key(line):
        return line["program"], line["step"]

    return {name: sorted(store.read_lines(workdir, name), key=key) for name in FILES}


def edit(path, place):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[place] = lines[place].replace(b'"values"', b'"valves"')
    path.write_bytes(b"".join(lines))


def test_there_is_nothing_to_repair_in_a_whole_run(workdir):
    before = sorted(workdir.rglob("*"))
    assert store.repair(workdir) == []
    assert sorted(workdir.rglob("*")) == before
    assert [p.name for p in workdir.parent.iterdir()] == ["w"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, -1])
def test_an_edited_line_comes_out_again(plan, workdir, undisturbed, name, place):
    edit(workdir / name, place)
    damaged = (workdir / name).read_bytes()
    with pytest.raises(UserError, match="repair"):
        run(plan, workdir, "command")
    found = store.repair(workdir)
    label = STUDY.label(plan.programs[place].program)
    assert [one.place for one in found] == [name, label]
    aside = workdir.with_name("w-damaged-1")
    assert (aside / name).read_bytes() == damaged
    assert not store.repair(workdir)
    done = run(plan, workdir, "command")
    assert done.finished
    assert sorted_lines(workdir) == sorted_lines(undisturbed)
    # The other program keeps what it has.
    assert done.member_steps <= 4 * 6


def test_the_last_records_are_missed_where_no_file_stands_behind_them(
    plan, workdir, undisturbed
):
    """A run that was killed looks so; but this one has said that it was done."""
    for name in FILES:
        lines = (workdir / name).read_bytes().splitlines(keepends=True)
        (workdir / name).write_bytes(b"".join(lines[:-1]))
    shutil.rmtree(workdir / store.CHECKPOINTS)
    label = STUDY.label(plan.programs[-1].program)
    for act in (store.load, lambda folder: run(plan, folder, "command")):
        with pytest.raises(UserError, match=f"step 6 of {label} are missing"):
            act(workdir)
    found = store.repair(workdir)
    assert found == [store.Repaired(label, "runs again from step 0")]
    assert store.last_steps(workdir)[plan.programs[0].program.id] == 6
    assert not store.repair(workdir)
    assert run(plan, workdir, "command").finished
    assert sorted_lines(workdir) == sorted_lines(undisturbed)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_that_is_gone_comes_out_again(
    plan, workdir, undisturbed, name, is_folder
):
    (workdir / name).unlink()
    if is_folder:
        (workdir / name).mkdir()
    assert store.repair(workdir)
    assert run(plan, workdir, "command").finished
    assert sorted_lines(workdir) == sorted_lines(undisturbed)
    pd.testing.assert_frame_equal(store.load(workdir), store.load(undisturbed))


def test_several_damages_at_once(plan, workdir, undisturbed):
    path = workdir / store.RECORDS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[3], b"\0\xff\n", lines[1], *lines[5:], lines[4]]))
    (workdir / store.LAYERS).write_bytes(b"")
    assert store.repair(workdir)
    assert run(plan, workdir, "command").finished
    assert sorted_lines(workdir) == sorted_lines(undisturbed)


def test_without_a_manifest_nothing_says_what_was_planned(workdir):
    manifest = workdir / store.MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:-9])
    before = sorted(workdir.rglob("*"))
    with pytest.raises(UserError, match=r"manifest\.json is damaged.*--workdir=DIR"):
        store.repair(workdir)
    assert sorted(workdir.rglob("*")) == before


def test_a_run_from_before_there_were_chains_is_refused(workdir):
    manifest = store.read_manifest(workdir)
    del manifest["chain"]
    store.write_manifest(workdir, manifest)
    with pytest.raises(UserError, match="before its lines were chained"):
        store.repair(workdir)


def test_a_folder_behind_a_link_is_repaired(plan, workdir, undisturbed, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(workdir, tmp_path / "elsewhere" / "own")
    workdir.symlink_to(tmp_path / "elsewhere" / "own")
    edit(workdir / store.RECORDS, 0)
    assert store.repair(workdir) and not store.repair(workdir)
    assert (tmp_path / "elsewhere" / "own-damaged-1").is_dir()
    assert run(plan, workdir, "command").finished
    assert sorted_lines(workdir) == sorted_lines(undisturbed)


def test_what_is_run_again_after_a_drift_is_marked(plan, workdir):
    """The lines that are lost were of the first computation, the new ones are not."""
    first, other = (one.program for one in plan.programs)
    accepted = {"jax": "0.0.1", "steps": {first.id: 4, other.id: 4}}
    manifest = store.read_manifest(workdir) | {"accepted_drift": [accepted]}
    store.write_manifest(workdir, manifest)
    edit(workdir / store.RECORDS, 1)
    store.repair(workdir)
    assert run(plan, workdir, "command").finished
    table = store.load(workdir)
    own = table["program"] == first.id
    assert (table["drifted"] == (table["step"] > own.map({True: 0, False: 4}))).all()


def test_nothing_is_changed_where_a_part_cannot_be_repaired(tmp_path, undisturbed):
    race = tmp_path / "race"
    for stage in ("fresh-5", "screening"):
        shutil.copytree(undisturbed, race / "ab" / stage)
    store.write_document(race / store.RACE, {"study": STUDY.to_dict()})
    edit(race / "ab" / "fresh-5" / store.RECORDS, 0)
    manifest = store.read_manifest(race / "ab" / "screening")
    del manifest["chain"]
    store.write_manifest(race / "ab" / "screening", manifest)
    before = (race / "ab" / "fresh-5" / store.RECORDS).read_bytes()
    with pytest.raises(UserError, match="before its lines were chained"):
        store.repair(race)
    assert (race / "ab" / "fresh-5" / store.RECORDS).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["race"]


def test_stages_and_what_was_decided_are_repaired(tmp_path, undisturbed):
    race = tmp_path / "race"
    for stage in ("screening", "fresh-5", "fresh-9"):
        shutil.copytree(undisturbed, race / "ab" / stage)
    store.write_document(race / store.RACE, {"study": STUDY.to_dict()})
    (race / store.DECISION).write_text(json.dumps({"programs": [], "sum": "0"}))
    edit(race / "ab" / "screening" / store.RECORDS, -1)
    (race / "ab" / "fresh-5" / store.MANIFEST).write_text("{")
    found = {one.place: one.what for one in store.repair(race)}
    assert found == {
        store.DECISION: "was damaged; it is made anew",
        "ab/fresh-5": "its manifest was damaged or gone; all of it is run again",
        f"ab/screening/{store.RECORDS}": "lines that were not as they were written: 8",
        "ab/screening/batch_size=8": "runs again from step 6",
    }
    assert not (race / "ab" / "fresh-5").exists() and not store.repair(race)
    aside = tmp_path / "race-damaged-1"
    assert (aside / "ab" / "fresh-5" / store.RECORDS).exists()
    assert (aside / store.DECISION).exists()
