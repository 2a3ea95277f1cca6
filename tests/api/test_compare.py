"""A comparison from a notebook is the launcher's: the same records, resume and page."""

import json
import os
import signal
import threading

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

import init_study
from init_study.answers.comparison import Comparison
from init_study.answers.verdicts.decision import Decision
from init_study.api.arguments import parse_seconds
from init_study.api.trained import find_member, read_member, save_variables
from init_study.errors import UserError
from init_study.initializers import he_normal, normal

SMALL = {"steps": 4, "seeds": 2, "batch_size": 8, "evaluations": 2}


def data(count=80, seed=0, kind=np.float32):
    """Images whose mean brightness is their class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    images = (
        generator.integers(0, 128, (count, 4, 4, 1)) + 100 * labels[:, None, None, None]
    )
    return images.astype(kind), labels


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(3, (3, 3))(x))
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(2)(x.mean((1, 2)))


@pytest.fixture(scope="module")
def found():
    return init_study.compare(
        Net(),
        data(300),
        schemes=["he_normal", "zeros", he_normal(negative_slope=1.0), normal(0.5)],
        learning_rates=[0.05, 0.2],
        **{**SMALL, "steps": 40},
    )


def test_the_result_says_the_answer_and_holds_the_records(found):
    assert isinstance(found.verdict, Comparison)
    named = {"he_normal", "zeros", "given", "given_2"}
    assert {row.scheme for row in found.verdict.rows} == named
    assert "scheme" in repr(found) and "he_normal" in repr(found)
    frame = found.frame
    assert len(frame.member.unique()) == 4 * 2 * 2
    assert found.report().read_text().startswith("<!doctype html>")


def test_jupyter_gets_the_table_and_a_figure(found):
    shown = found._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and "sandbox" in shown
    assert "&lt;svg" in shown and "he_normal" in shown
    assert "<script" not in shown


def test_a_trained_member_comes_back_as_the_modules_own_variables(found):
    """Its accuracy, by hand, is the recorded one."""
    variables = found.params("he_normal", 1, learning_rate=0.2)
    plan = found._make_plan(found.study)
    dataset = plan.programs[0].dataset
    images = (dataset.test.images - dataset.mean) / dataset.std
    logits = Net().apply(variables, jnp.asarray(images))
    accuracy = (np.asarray(logits).argmax(-1) == dataset.test.labels).mean()
    frame = found.frame
    recorded = frame[
        (frame.member == "he_normal/lr=0.2/1")
        & (frame.split == "test")
        & (frame.metric == "accuracy")
    ].value
    assert float(recorded.iloc[-1]) == pytest.approx(accuracy, abs=1e-6)
    best = {row.scheme: row.best.learning_rate for row in found.verdict.rows}
    own = found.params("zeros", 0)
    same = found.params("zeros", 0, learning_rate=best["zeros"])
    jax.tree.map(np.testing.assert_array_equal, own, same)
    with pytest.raises(UserError, match="Did you mean 'he_normal'"):
        found.params("he_norml", 1)
    with pytest.raises(UserError, match="seed 7"):
        found.params("he_normal", 7)


def test_an_exported_member_is_an_orbax_checkpoint_of_plain_variables(found, tmp_path):
    study = found.study
    member = find_member([study], "he_normal/lr=0.05/1")
    variables = read_member(study, study.programs()[0], found.workdir, member)
    save_variables(variables, tmp_path / "out")
    with ocp.StandardCheckpointer() as checkpointer:
        again = checkpointer.restore(tmp_path / "out")
    jax.tree.map(np.testing.assert_array_equal, again, variables)
    assert set(again) == {"params", "batch_stats"}
    with pytest.raises(UserError, match="exists"):
        save_variables(variables, tmp_path / "out")
    with pytest.raises(UserError, match="Did you mean"):
        find_member([study], "he_normal/lr=0.05/11")


def test_arrays_of_jax_and_of_whole_numbers_give_the_same_bits(tmp_path):
    """uint8 in NumPy, in JAX and as whole numbers of 32 bits are the same pictures."""
    images, labels = data(kind=np.uint8)
    frames = [
        init_study.compare(
            Net(), pair, schemes="he_normal", learning_rates=0.1, **SMALL
        ).frame.value
        for pair in (
            (images, labels),
            (jnp.asarray(images), jnp.asarray(labels)),
            (images.astype(np.int32)[..., 0], list(labels)),
        )
    ]
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame, frames[0])


def test_the_same_call_in_the_same_folder_goes_on(tmp_path):
    options = {
        "schemes": ["he_normal"],
        "learning_rates": 0.1,
        "workdir": tmp_path / "w",
    }
    first = init_study.compare(Net(), data(), **options, **SMALL)
    records = (tmp_path / "w" / "records.jsonl").read_bytes()
    again = init_study.compare(Net(), data(), **options, **SMALL)
    assert (tmp_path / "w" / "records.jsonl").read_bytes() == records
    assert repr(first) == repr(again)
    with pytest.raises(UserError, match="has changed"):
        init_study.compare(Net(), data(seed=1), **options, **SMALL)
    with pytest.raises(UserError, match="steps"):
        init_study.compare(Net(), data(), **options, **{**SMALL, "steps": 5})


def test_a_temporary_folder_goes_with_its_result():
    result = init_study.compare(
        Net(), data(), schemes=["zeros"], learning_rates=0.1, **SMALL
    )
    folder = result.workdir
    assert folder.is_dir()
    del result
    assert not folder.exists()


def test_a_race_ends_with_a_decision():
    result = init_study.compare(
        lambda rngs: nnx.Sequential(
            lambda x: x.mean((1, 2)), nnx.Linear(1, 2, rngs=rngs)
        ),
        data(200),
        test=data(400, seed=2),
        schemes={"he": he_normal(), "none": "zeros"},
        learning_rates=0.3,
        until="decided",
        margin=30,
        steps=20,
        batch_size=16,
        evaluations=1,
    )
    assert isinstance(result.verdict, Decision)
    assert {c.scheme for c in result.verdict.contrasts} | {
        result.verdict.candidate
    } == {"he", "none"}
    assert set(result.frame.stage) >= {
        stage for stage in result.frame.stage if stage.endswith("screening")
    }
    assert "<svg" in result._repr_html_().replace("&lt;", "<")
    module = result.params("he", 4)
    assert module(jnp.zeros((2, 4, 4, 1))).shape == (2, 2)


class Slow(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(x.mean((1, 2)))


def test_an_interrupted_cell_saves_and_says_how_to_go_on(tmp_path):
    options = {
        "schemes": ["he_normal"],
        "learning_rates": 0.1,
        "workdir": tmp_path / "w",
        "seeds": 1,
        "steps": 400_000,
        "evaluations": 400,
        "batch_size": 8,
    }
    records = tmp_path / "w" / "records.jsonl"
    stop = threading.Event()

    def interrupt():
        while not stop.wait(0.05):
            if records.exists() and records.read_bytes().count(b"\n") > 1:
                os.kill(os.getpid(), signal.SIGINT)
                return

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt, match="workdir="):
            init_study.compare(Slow(), data(), **options)
    finally:
        stop.set()
        watcher.join()
    (program,) = (tmp_path / "w" / "checkpoints").iterdir()
    assert [path for path in program.iterdir() if path.name.isdigit()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"data": (np.zeros((4, 4)), [0, 1, 0, 1])}, "shape"),
        ({"data": np.zeros((4, 4, 4))}, "no pair"),
        ({"data": (np.zeros((4, 4, 4)), [0, 1, 0])}, "for 4 images"),
        ({"data": (np.zeros((2, 4, 4)), np.eye(2))}, r"argmax\(1\)"),
        ({"data": (np.zeros((2, 4, 4)), ["a", "b"])}, "np.unique"),
        ({"data": (np.zeros((2, 4, 4)), [0.5, 1])}, "whole numbers"),
        ({"data": (np.zeros((2, 4, 4)), [-1, 1])}, "from -1 to 1"),
        ({"data": (np.full((2, 4, 4), np.nan), [0, 1])}, "not finite"),
        ({"test": (np.zeros((2, 5, 5, 1), np.float32), [0, 1])}, "differ"),
        ({"data": "digits", "test": data()}, "of its own"),
        ({"seed": 3}, "Did you mean 'seeds'"),
        ({"until": "done"}, "until='decided'"),
        ({"budget": "20m"}, "is of a race"),
        ({"looks": (5,)}, "is of a race"),
        ({"until": "decided", "looks": (3, 2)}, "not rising"),
        ({"execution": "winogrd/1"}, "Did you mean 'winograd'"),
        ({"execution": ""}, "unknown execution ''"),
        pytest.param(
            {"execution": 4}, "execution=4 is no text", marks=pytest.mark.wrong_types
        ),
        pytest.param(
            {"until": "decided", "looks": 5}, "looks=5", marks=pytest.mark.wrong_types
        ),
        pytest.param(
            {"until": "decided", "looks": "5,10"},
            "looks='5,10'",
            marks=pytest.mark.wrong_types,
        ),
        ({"until": "decided", "schemes": ["zeros"]}, "takes two at least"),
        ({"until": "decided", "budget": "²m"}, "is no time"),
        ({"checkpoint_evry": 3.0}, "Did you mean 'checkpoint_every'"),
        ({"checkpoint_every": -1.0}, "checkpoint_every=-1.0"),
        ({"data_dir": __file__, "data": "mnist"}, "test_compare.py"),
        ({"until": "decided", "budget": "soon"}, "90s, 20m or 2h"),
        ({"until": "decided", "seeds": 3}, "leave out seeds"),
        ({"until": "decided", "fresh_seeds": 3}, "leave out fresh_seeds"),
        ({"schemes": ["he_norml"]}, "Did you mean 'he_normal'"),
        ({"schemes": [3]}, "is no scheme"),
        ({"module": 3}, "no module"),
        ({"module": nn.Dense(3)}, "one logit per class"),
        ({"steps": 0}, "too small"),
        ({"until": "decided", "budget": 0}, "allows nothing"),
        pytest.param(
            {"until": "decided", "margin": "0.3"},
            "margin=",
            marks=pytest.mark.wrong_types,
        ),
        ({"schemes": ["zeros", "zeros"]}, "twice"),
        ({"schemes": {"zeros", "ones"}.copy()}, "no order"),
        ({"data": (np.zeros((9, 4, 4)), np.zeros(9, int))}, "two classes"),
        ({"data": ([np.zeros((4, 4)), np.zeros((5, 4))], [0, 1])}, "as arrays"),
        ({"module": nn.Sequential([lambda x: x.mean((1, 2))[:, [0, 0]]])}, "no param"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_folder(arguments, said, tmp_path):
    options = {"module": Net(), "data": data(), "workdir": tmp_path / "w"} | arguments
    with pytest.raises(UserError, match=said) as caught:
        init_study.compare(options.pop("module"), options.pop("data"), **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "w").exists()


def test_a_run_is_asked_as_the_launchers_flags_ask(tmp_path):
    init_study.compare(
        Net(),
        data(),
        schemes=["zeros"],
        learning_rates=0.1,
        workdir=tmp_path / "w",
        execution="blocked/2",
        spectra=True,
        checkpoint_every=0,
        **SMALL,
    )
    written = json.loads((tmp_path / "w" / "manifest.json").read_text())
    (program,) = written["programs"].values()
    assert (program["convolution"], program["chunk_width"]) == ("blocked", 2)
    assert (tmp_path / "w" / "spectra.jsonl").exists()
    (kept,) = (tmp_path / "w" / "checkpoints").iterdir()
    assert {"2", "4"} <= {path.name for path in kept.iterdir()}


def test_a_notebook_hears_of_cores_that_stay_idle(capsys, monkeypatch):
    recipe = {"schemes": ["zeros"], "learning_rates": 0.1, **SMALL}
    monkeypatch.setattr(
        "init_study.engine.devices.usable_cores", jax.local_device_count
    )
    init_study.compare("linear", data(), **recipe)
    assert "idle" not in capsys.readouterr().err
    monkeypatch.setattr("init_study.engine.devices.usable_cores", lambda: 7)
    init_study.compare("linear", data(), **recipe)
    wasted = 7 - jax.local_device_count()
    assert f"so {wasted} of these stay idle" in capsys.readouterr().err


def test_times_are_read_with_their_units():
    assert [parse_seconds("b", t) for t in (90, "90s", "1.5m", "2h", None)] == [
        90.0,
        90.0,
        90.0,
        7200.0,
        None,
    ]


def test_a_folder_of_another_module_is_refused_and_kept(tmp_path):
    """The finished run's checkpoint stays where it is."""
    options = {"schemes": ["zeros"], "learning_rates": 0.1, "workdir": tmp_path / "w"}
    wide = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(3), nn.Dense(2)])
    flat = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(2)])
    first = init_study.compare(flat, data(), **options, **SMALL)
    kept = sorted((tmp_path / "w" / "checkpoints").rglob("*"))
    with pytest.raises(UserError, match="network of 'Sequential' has changed"):
        init_study.compare(wide, data(), **options, **SMALL)
    assert sorted((tmp_path / "w" / "checkpoints").rglob("*")) == kept
    assert first.params("zeros", 0)["params"]["layers_1"]["kernel"].shape == (16, 2)


def test_refusals_leave_no_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UserError):
        init_study.compare(Net(), data(), schemes=["he_norml"])
    assert not list(tmp_path.iterdir())


def test_it_runs_outside_of_the_main_thread():
    found = []

    def work():
        options = {"schemes": ["zeros"], "learning_rates": 0.1, **SMALL}
        found.append(init_study.compare(Net(), data(), **options))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found) == 1


def test_a_second_interrupt_does_what_it_did_before():
    from init_study.interrupts import noted_signals

    with pytest.raises(KeyboardInterrupt), noted_signals(ends=False) as received:
        signal.raise_signal(signal.SIGINT)
        assert [number.name for number in received] == ["SIGINT"]
        signal.raise_signal(signal.SIGINT)


@pytest.mark.wrong_types
def test_a_number_is_no_key():
    with pytest.raises(UserError, match="key=0 is no key"):
        init_study.initialize(Net(), data()[0], "he_normal", 0)
