"""What instruments give while members train, beside the same in float64 by hand."""

import json
import shutil

import numpy as np
import pytest
from stopping import stopping

from init_study import store
from init_study.api.trained import read_member
from init_study.control import Control
from init_study.engine.orders import first_rows
from init_study.engine.population import initial_population
from init_study.errors import UserError
from init_study.plan import make_plan
from init_study.report import write_report
from init_study.run import run
from init_study.study import Study

# Softmax regression, and a batch that is smaller than what is read at most.
STUDY = Study(
    schemes=("he_normal", "zeros"),
    learning_rates=(0.1, 3e38),
    seeds=2,
    model="linear",
    batch_size=12,
    steps=8,
    evaluations=4,
    instruments=("logits", "movement", "layers"),
    readings=3,
)
LAST = 8


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


@pytest.fixture(scope="module")
def undisturbed(plan, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert run(plan, workdir, "command", Control()).finished
    return workdir


def pixels_and_labels(plan):
    """The first batch of the first seed, standardized, one row an image."""
    dataset, rows = plan.programs[0].dataset, first_rows(plan.programs[0], (0,))[0]
    images = np.asarray(dataset.train.images[rows], np.float64) / 255
    images = (images - np.asarray(dataset.mean)) / np.asarray(dataset.std)
    return images.reshape(len(rows), -1), dataset.train.labels[rows]


def trained(plan, workdir, member):
    found = read_member(STUDY, plan.programs[0].program, workdir, member)
    return [np.asarray(found["params"]["Dense_0"][x]) for x in ("kernel", "bias")]


def untrained(plan, member):
    """What its scheme draws."""
    program = plan.programs[0]
    rows = first_rows(program, STUDY.seeds)
    state = initial_population(program, plan.schemes, plan.members, rows)
    place = plan.members.index(member)
    layer = state.params["Dense_0"]
    return [np.asarray(layer[name][place]) for name in ("kernel", "bias")]


def loss(plan, kernel, bias):
    images, labels = pixels_and_labels(plan)
    logits = images @ kernel.astype(np.float64) + bias
    peak = logits.max(1, keepdims=True)
    logs = logits - peak - np.log(np.exp(logits - peak).sum(1, keepdims=True))
    return -logs[np.arange(len(labels)), labels].mean()


def number(table, member, step, name):
    chosen = (table.member == member.name) & (table.step == step)
    (found,) = table[chosen & (table.instrument + "/" + table.number == name)].value
    return found


def test_readings_are_those_of_the_member_as_it_is(plan, undisturbed):
    table = store.load_readings(undisturbed)
    for member in plan.members:
        first, last = untrained(plan, member), trained(plan, undisturbed, member)
        for step, numbers in ((0, first), (LAST, last)):
            wanted = loss(plan, *numbers)
            found = number(table, member, step, "logits/loss")
            assert found == pytest.approx(wanted, rel=1e-3), (member, step)
        # One that diverged stays what it was before.
        if member.scheme == "he_normal":
            moved = np.linalg.norm(last[0] - first[0]) / np.linalg.norm(first[0])
            found = number(table, member, LAST, "movement/ratio")
            assert found == pytest.approx(moved, rel=1e-4)
            assert number(table, member, 0, "movement/ratio") == 0


def test_every_member_is_read_at_every_reading(plan, undisturbed):
    table = store.load_readings(undisturbed)
    losses = table[(table.instrument == "logits") & (table.number == "loss")]
    assert losses.groupby("step").member.nunique().to_dict() == {0: 8, 4: 8, 8: 8}
    assert set(losses.place) == {-1}
    signal = table[(table.instrument == "layers") & (table.number == "signal")]
    assert set(signal.place) == {0}


def test_training_is_the_same_without(plan, undisturbed, tmp_path):
    bare = make_plan(STUDY.replace(instruments=(), readings=None))
    run(bare, tmp_path / "bare", "command", Control())

    def values(workdir):
        lines = (workdir / store.RECORDS).read_text().splitlines()
        return [json.loads(line)["values"] for line in lines]

    assert values(tmp_path / "bare") == values(undisturbed)
    assert not (tmp_path / "bare" / store.READINGS).exists()


def test_a_run_that_was_stopped_reads_the_same(plan, undisturbed, tmp_path):
    workdir = tmp_path / "run"
    for calls in (2, 4):
        run(plan, workdir, "command", stopping(calls))
    assert run(plan, workdir, "command", Control()).finished
    one, other = ((w / store.READINGS).read_bytes() for w in (workdir, undisturbed))
    assert one == other


def test_readings_that_are_gone_are_missed_and_come_out_again(
    plan, undisturbed, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    path = workdir / store.READINGS
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match=r"readings\.jsonl.* step 8 .*missing"):
        store.load_readings(workdir)
    assert store.repair(workdir)
    assert run(plan, workdir, "command", Control()).finished
    assert path.read_bytes() == whole


def test_the_page_shows_them_by_step(undisturbed):
    page = write_report(undisturbed).read_text()
    for title in ("Logits by step", "Movement by step", "Layers by step"):
        assert f"<h3>{title}</h3>" in page
    assert "squares of the output" in page


def test_the_page_says_what_foretold_the_end(tmp_path):
    schemes = ("he_normal", "normal(0.01)", "normal(2)", "uniform(0.5)", "zeros")
    study = STUDY.replace(schemes=schemes, learning_rates=0.1, readings=1)
    run(make_plan(study), tmp_path / "run", "command", Control())
    page = write_report(tmp_path / "run").read_text()
    assert "What was known before" in page
    for name in ("logits loss", "logits between images", "layers signal"):
        assert f">{name}</" in page
    # All kernels are where they began.
    assert ">movement" not in page
