"""TensorBoard's event files say what the records say; a watched page follows them."""

import struct
import threading
import time

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from init_study import store
from init_study.answers.statistics import t_interval
from init_study.errors import UserError
from init_study.report import watch
from init_study.report.scalars import Scalars
from init_study.study import Study

STUDY = Study(
    schemes=("he_normal", 'normal("a/b")'),
    learning_rates=(0.01, 0.1),
    seeds=4,
    depth=(1, 2),
    steps=10,
    evaluations=2,
)
PROGRAMS = STUDY.programs()


@pytest.fixture
def workdir(tmp_path):
    data = {"test": 100, "validation": 100, "chance": 0.1, "checksums": {}}
    store.write_manifest(tmp_path, {"study": STUDY.to_dict(), "data": {"digits": data}})
    return tmp_path


def numbers(step):
    """Of 16 members: scheme by scheme, rate by rate, seed by seed."""
    return np.arange(16, dtype=np.float32) / 100 + step / 100


def append(workdir, program, step):
    values = {"validation/accuracy": numbers(step), "validation/loss": numbers(step)}
    if step:
        loss = numbers(step)
        loss[0] = np.nan
        values["train/loss"] = loss
    if step == 10:
        values |= {"test/accuracy": numbers(step), "train/accuracy": numbers(step)}
        values["train/diverged_step"] = np.full(16, np.nan, np.float32)
    store.Recorder(workdir).append(program, step, values)


def events(workdir):
    """(run, tag, step) to value, of all event files; each is there once."""
    found = {}
    for path in (workdir / "tensorboard").rglob("events.*"):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            for value in event.summary.value:
                key = (path.parent.name, value.tag, event.step)
                assert key not in found
                found[key] = value.simple_value
    return found


def test_scalars_are_means_with_their_intervals_by_scheme(workdir):
    scalars = Scalars(workdir)
    scalars.update()
    for program in PROGRAMS:
        for step in (0, 5, 10):
            append(workdir, program, step)
            scalars.update()
    scalars.close()
    found = events(workdir)
    wanted = t_interval(numbers(5)[4:8])
    tag = "depth_2_lr_0.1/validation_accuracy"
    got = [found["he_normal", f"{tag}{end}", 5] for end in ("", "/low", "/high")]
    np.testing.assert_allclose(got, wanted[:3], rtol=1e-5)
    # A run whose loss is no number is left out.
    loss = found["he_normal", "depth_1_lr_0.01/train_loss", 10]
    assert loss == pytest.approx(numbers(10)[1:4].mean(), rel=1e-5)
    assert {run for run, _, _ in found} == {"he_normal", "normal(_a_b_)"}
    assert not any("diverged" in tag for _, tag, _ in found)


def test_a_run_that_diverged_is_left_out_of_every_mean(workdir):
    values = {"validation/accuracy": numbers(5)}
    values["train/diverged_step"] = np.where(np.arange(16) == 4, 3.0, np.nan)
    store.Recorder(workdir).append(PROGRAMS[0], 5, values)
    scalars = Scalars(workdir)
    scalars.update()
    scalars.close()
    mean = events(workdir)["he_normal", "depth_1_lr_0.1/validation_accuracy", 5]
    assert mean == pytest.approx(numbers(5)[5:8].mean(), rel=1e-5)


def test_a_process_that_goes_on_repeats_nothing(workdir):
    append(workdir, PROGRAMS[0], 0)
    first = Scalars(workdir)
    first.update()
    first.close()
    append(workdir, PROGRAMS[0], 5)
    second = Scalars(workdir)
    second.update()
    second.close()
    steps = {step for _, tag, step in events(workdir) if tag.startswith("depth_1")}
    assert steps == {0, 5}


def test_a_torn_line_waits_for_its_end(workdir):
    append(workdir, PROGRAMS[0], 0)
    path = workdir / store.RECORDS
    whole = path.read_text()
    path.write_text(whole[:-5])
    scalars = Scalars(workdir)
    scalars.update()
    path.write_text(whole)
    scalars.update()
    scalars.close()
    assert {step for *_, step in events(workdir)} == {0}


def test_a_watched_page_follows_the_records(workdir):
    append(workdir, PROGRAMS[0], 0)

    def go_on():
        for program in PROGRAMS:
            for step in (0, 5, 10):
                time.sleep(0.02)
                append(workdir, program, step)

    thread = threading.Thread(target=go_on)
    pages = []
    for path in watch(workdir, pause=0.01):
        pages.append(path.read_text())
        if len(pages) == 1:
            thread.start()
    thread.join()
    assert len(pages) >= 2
    assert 'http-equiv="refresh"' in pages[0] and "it is at step 0 of 10" in pages[0]
    assert 'http-equiv="refresh"' not in pages[-1] and "no answer yet" not in pages[-1]


def test_what_is_no_run_is_not_watched(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        next(watch(tmp_path))
