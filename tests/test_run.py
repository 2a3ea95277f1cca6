"""A run that was stopped or killed comes to the records of an undisturbed one."""

import shutil

import numpy as np
import pytest
from stopping import stopping

import init_study.run_program as run_program
from init_study import store
from init_study.control import Control
from init_study.engine import running, timing, tuning
from init_study.errors import UserError
from init_study.manifest import describe
from init_study.plan import make_plan
from init_study.run import run
from init_study.store.completeness import sealed_lines
from init_study.store.lines import append_line
from init_study.study import Study

STUDY = Study(
    schemes=("he_normal", "zeros"),
    learning_rates=(0.1, 3e38),
    seeds=2,
    depth=(1, 2),
    width=2,
    batch_size=4,
    steps=9,
    evaluations=3,
)
QUIET = Control()


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


@pytest.fixture(scope="module")
def undisturbed(plan, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    outcome = run(plan, workdir, "command", QUIET)
    assert outcome.finished
    assert outcome.member_steps == 2 * 8 * 9
    return workdir


def records(workdir):
    return (workdir / store.RECORDS).read_bytes()


def test_every_member_and_evaluation_is_recorded(undisturbed):
    table = store.load(undisturbed)
    accuracy = table[(table.metric == "accuracy")]
    counts = accuracy.groupby(["split", "step"]).size()
    validation = {step: counts["validation", step] for step in (0, 3, 6, 9)}
    assert validation == {0: 16, 3: 16, 6: 16, 9: 16}
    assert counts["test", 9] == 16 and ("test", 6) not in counts
    assert counts["train", 3] == 16 and ("train", 0) not in counts
    assert accuracy.value.dropna().between(0, 1).all()


def test_first_filters_are_those_of_the_first_seed(plan, undisturbed):
    kernels = store.load_filters(undisturbed)
    program = plan.programs[0].program
    assert {step for id, step, *_ in kernels if id == program.id} == {0, 9}
    start = [kernels[program.id, 0, "he_normal", rate] for rate in (0.1, 3e38)]
    assert start[0].shape == (3, 3, 1, 2)
    np.testing.assert_array_equal(*start)
    assert (kernels[program.id, 9, "he_normal", 0.1] != start[0]).any()
    assert (kernels[program.id, 9, "zeros", 0.1] == 0).all()


def test_a_diverged_member_is_recorded_with_its_step(undisturbed):
    table = store.load(undisturbed)
    steps = table[table.metric == "diverged_step"].set_index("member").value
    he = steps[steps.index.str.startswith("he_normal/lr=3e+38")]
    assert he.between(1, 9).all()
    assert steps[steps.index.str.contains("lr=0.1")].isna().all()


def test_the_manifest_says_what_ran(undisturbed):
    manifest = store.read_manifest(undisturbed)
    assert Study.from_dict(manifest["study"]) == STUDY
    assert manifest["study_hash"] == STUDY.hash
    assert set(manifest["programs"]) == {p.id for p in STUDY.programs()}
    assert len(manifest["data"]["digits"]["checksums"]) == 3
    assert len(manifest["plan_hash"]) == 64
    assert manifest["versions"]["jax"] and manifest["devices"]
    (session,) = manifest["sessions"]
    assert session["member_steps"] == 144 and session["seconds"] > 0


def test_the_manifest_says_what_schemes_spend_before_the_first_step():
    study = Study(
        schemes=("he_normal", "metainit(3)"), learning_rates=0.1, depth=1, width=2
    )
    (program,) = describe(make_plan(study), "command")["programs"].values()
    assert program["passes"] == {"metainit(3)": {"forward": 3, "backward": 15}}


def test_a_finished_study_does_nothing_again(plan, undisturbed, monkeypatch):
    def refuse(*_):
        raise AssertionError("a finished program was prepared again")

    monkeypatch.setattr(run_program, "prepare_program", refuse)
    before = records(undisturbed)
    outcome = run(plan, undisturbed, "command", QUIET)
    assert outcome.finished and outcome.member_steps == 0
    assert records(undisturbed) == before


def run_in_pieces(plan, workdir, calls):
    """Stop after a number of calls to the devices, again and again."""
    for _ in range(100):
        control = stopping(calls, checkpoint_every=0.0)
        outcome = run(plan, workdir, "command", control)
        if outcome.finished:
            return
    raise AssertionError("the run never finished")


@pytest.mark.slow
def test_stopping_and_going_on_changes_no_bit(plan, undisturbed, tmp_path):
    run_in_pieces(plan, tmp_path / "pieces", calls=2)
    assert records(tmp_path / "pieces") == records(undisturbed)


def test_a_stop_within_an_evaluation_loses_nothing(
    plan, undisturbed, tmp_path, monkeypatch
):
    """It is begun anew, batch by batch or in one call: no bit of it changes."""
    begun = []

    def by_batches(start, stop, batch, stop_requested):
        for first in range(start, stop, batch):
            if stop_requested():
                return
            begun.append(first)
            yield first, min(first + batch, stop)

    workdir = tmp_path / "within"
    monkeypatch.setattr(running, "cut", by_batches)
    calls = -(-len(plan.programs[0].dataset.validation.labels) // 100)
    assert calls > 1
    # In the first evaluation, then in the second.
    for evaluations in (0, 1):
        begun.clear()
        most = 1 + evaluations * calls
        control = QUIET._replace(stop_requested=lambda most=most: len(begun) >= most)
        assert not run(plan, workdir, "command", control).finished
        done = store.last_steps(workdir)
        assert len(begun) == most and len(done) == evaluations
    assert run(plan, workdir, "command", QUIET).finished
    assert records(workdir) == records(undisturbed)


def test_killed_between_records_and_checkpoint(plan, undisturbed, tmp_path):
    """Records that are newer than the checkpoint are compared, not written twice."""
    workdir = tmp_path / "killed"
    run_in_pieces_once(plan, workdir)
    lines = records(undisturbed).splitlines(keepends=True)
    have = records(workdir)
    ahead = b"".join(lines[: have.count(b"\n") + 1])
    assert ahead.startswith(have) and len(ahead) > len(have)
    (workdir / store.RECORDS).write_bytes(ahead + lines[-1][:40])
    assert run(plan, workdir, "command", QUIET).finished
    assert records(workdir) == records(undisturbed)


def run_in_pieces_once(plan, workdir):
    control = stopping(1, checkpoint_every=0.0)
    outcome = run(plan, workdir, "command", control)
    assert not outcome.finished


def test_other_records_are_not_gone_on_with(plan, tmp_path):
    workdir = tmp_path / "edited"
    run_in_pieces_once(plan, workdir)
    path = workdir / store.RECORDS
    *_, line = sealed_lines(workdir, store.RECORDS)
    stops = store.stops_of(plan.programs[0].program)
    following = stops[stops.index(line.content["step"]) + 1]
    append_line(path, {**line.content, "step": following}, line.sum)
    with pytest.raises(UserError, match="came out differently"):
        run(plan, workdir, "command", QUIET)


@pytest.mark.parametrize("kept", [0, 1])
def test_records_that_are_gone_are_missed(plan, undisturbed, tmp_path, kept):
    """A checkpoint is past them, so that nothing would write them again."""
    workdir = tmp_path / "gone"
    shutil.copytree(undisturbed, workdir)
    path = workdir / store.RECORDS
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:kept]))
    before = sorted(p.name for p in workdir.rglob("*"))
    with pytest.raises(UserError, match=r"lines of step .* are missing") as caught:
        run(plan, workdir, "command", QUIET)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in workdir.rglob("*")) == before


def test_changed_data_are_not_gone_on_with(plan, tmp_path):
    workdir = tmp_path / "data"
    run_in_pieces_once(plan, workdir)
    manifest = store.read_manifest(workdir)
    manifest["data"]["digits"]["checksums"]["train"] = "other"
    store.write_manifest(workdir, manifest)
    with pytest.raises(UserError, match="'digits' has changed"):
        run(plan, workdir, "command", QUIET)


def test_the_execution_is_frozen_in_the_manifest(plan, undisturbed, tmp_path):
    """A default that has changed since does not change a run that has begun."""
    workdir = tmp_path / "frozen"
    run_in_pieces_once(plan, workdir)
    other = [
        p._replace(execution=p.execution._replace(chunk_width=4)) for p in plan.programs
    ]
    drifted = plan._replace(programs=tuple(other))
    assert run(drifted, workdir, "command", QUIET).finished
    assert records(workdir) == records(undisturbed)


def test_numbers_do_not_depend_on_company(undisturbed, tmp_path):
    """One scheme, rate and seed alone: the same numbers as in the whole study."""
    alone = STUDY.replace(
        schemes=("he_normal",), learning_rates=(0.1,), seeds=(1,), depth=(2,)
    )
    run(make_plan(alone), tmp_path / "alone", "command", QUIET)
    mine = store.load(tmp_path / "alone").set_index(["split", "metric", "step"])
    whole = store.load(undisturbed)
    whole = whole[(whole.member == "he_normal/lr=0.1/1") & (whole.depth == 2)]
    whole = whole.set_index(["split", "metric", "step"])
    assert len(mine) == len(whole)
    np.testing.assert_array_equal(mine.value, whole.value.loc[mine.index])


def test_a_run_goes_on_only_where_it_fits(plan, tmp_path, monkeypatch):
    """Its execution is frozen, and the machine may be a smaller one."""
    before_anything = QUIET._replace(stop_requested=lambda: True)
    assert not run(plan, tmp_path / "run", "command", before_anything).finished
    for module in (timing, tuning):
        monkeypatch.setattr(module, "bytes_per_device", lambda _: 1000)
    with pytest.raises(UserError, match=r"do not fit.*of 1,000 bytes"):
        run(plan, tmp_path / "run", "command", QUIET)
    monkeypatch.undo()
    assert run(plan, tmp_path / "run", "command", QUIET).finished


@pytest.fixture
def begun(plan, tmp_path):
    run_in_pieces_once(plan, tmp_path / "begun")
    return tmp_path / "begun"


def pretend(workdir, **versions):
    manifest = store.read_manifest(workdir)
    manifest["versions"] |= versions
    store.write_manifest(workdir, manifest)


def test_other_versions_are_not_gone_on_with_silently(plan, begun):
    pretend(begun, jax="0.1.2", optax="0.0.3")
    with pytest.raises(UserError) as refused:
        run(plan, begun, "command", QUIET)
    said, versions = str(refused.value), describe(plan, "")["versions"]
    assert "begun with jax 0.1.2, optax 0.0.3; here is jax " + versions["jax"] in said
    assert "pip install jax==0.1.2 optax==0.0.3" in said
    assert "--workdir" in said and "--accept_drift" in said
    assert "flax" not in said and "\n" not in said


def test_drift_that_was_accepted_is_kept_and_not_asked_about_again(
    plan, begun, undisturbed, caplog
):
    pretend(begun, jaxlib="0.1.2")
    stopped = QUIET._replace(accept_drift=True, stop_requested=lambda: True)
    assert not run(plan, begun, "command", stopped).finished
    (accepted,) = store.read_manifest(begun)["accepted_drift"]
    assert (
        accepted["jaxlib"]
        != "0.1.2"
        == store.read_manifest(begun)["versions"]["jaxlib"]
    )
    assert "those of no undisturbed run" in caplog.text
    assert run(plan, begun, "command", QUIET).finished
    assert records(begun) == records(undisturbed)


def test_other_settings_are_not_gone_on_with(plan, begun, monkeypatch):
    devices = "--xla_force_host_platform_device_count=1"
    monkeypatch.setenv("XLA_FLAGS", f"{devices} --xla_some_flag=true")
    with pytest.raises(UserError, match=r"XLA_FLAGS.*set them as they were"):
        run(plan, begun, "command", QUIET)
    monkeypatch.setenv("XLA_FLAGS", devices)
    assert run(plan, begun, "command", QUIET).finished


def test_other_packages_are_warned_of(plan, begun, caplog):
    pretend(begun, numpy="0.1.2")
    assert run(plan, begun, "command", QUIET).finished
    assert "numpy 0.1.2" in caplog.text


def test_a_finished_run_is_read_whatever_it_was_run_with(plan, undisturbed, tmp_path):
    workdir = tmp_path / "finished"
    shutil.copytree(undisturbed, workdir)
    pretend(workdir, jax="0.1.2")
    assert run(plan, workdir, "command", QUIET).finished
    assert len(store.load(workdir)) == len(store.load(undisturbed))


@pytest.mark.parametrize("whole", [store.RACE, store.RULES])
def test_a_stage_belongs_to_the_whole_that_was_begun(plan, begun, whole):
    """A race under two versions would compare schemes across them."""
    pretend(begun, flax="0.1.2")
    (begun.parent / whole).touch()
    stage = begun.parent / "next"
    with pytest.raises(UserError, match=r"begun with flax 0\.1\.2"):
        run(plan, stage, "command", QUIET)
    stopped = QUIET._replace(accept_drift=True, stop_requested=lambda: True)
    assert not run(plan, stage, "command", stopped).finished
    assert not run(
        plan, begun.parent / "last", "command", stopped._replace(accept_drift=False)
    ).finished


def test_whoever_watches_is_told_how_far_it_is(plan, undisturbed, tmp_path):
    told = []
    stop = Control(
        watch=told.append,
        stop_requested=lambda: any(now.doing == "training" for now in told),
    )
    assert not run(plan, tmp_path / "w", "command", stop).finished
    begun = told[-1].step
    assert run(plan, tmp_path / "w", "command", Control(watch=told.append)).finished
    assert records(tmp_path / "w") == records(undisturbed)
    program = plan.programs[0]
    for now in told:
        assert (now.place, now.programs) == (1, len(plan.programs)) or now.place > 1
        assert now.members == len(plan.members)
    first = [now for now in told if now.label == program.label]
    doing = [now.doing for now in first]
    assert doing[0] == "compiling" and doing.count("compiling") == 2
    assert first[doing.index("compiling", 1)].step == begun > 0
    assert first[-1].step == first[-1].steps == program.program.steps


def test_spectra_that_are_asked_for_too_late_change_nothing(plan, tmp_path):
    """Records of the first step are there, and no checkpoint past it."""
    workdir = tmp_path / "w"
    run(plan, workdir, "command", stopping(1))
    shutil.rmtree(workdir / store.CHECKPOINTS)
    assert set(store.last_steps(workdir).values()) == {0}
    with pytest.raises(UserError, match="is past it; leave out --spectra"):
        run(plan, workdir, "command", Control(spectra=True))
    assert run(plan, workdir, "command", QUIET).finished


def test_spectra_of_a_run_past_its_first_step_are_refused(plan, undisturbed, tmp_path):
    workdir = tmp_path / "w"
    run_in_pieces_once(plan, workdir)
    before = {path: path.read_bytes() for path in workdir.glob("*.json*")}
    for folder in (workdir, undisturbed):
        with pytest.raises(UserError, match="--spectra measures before the first step"):
            run(plan, folder, "command", Control(spectra=True))
    assert {path: path.read_bytes() for path in workdir.glob("*.json*")} == before
