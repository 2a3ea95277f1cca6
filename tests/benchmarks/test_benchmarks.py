"""The benchmark compares like with like, and says what it measured."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from calling import finish, start, wait_until

from benchmarks import crews, groups
from benchmarks.cases import CASES, Case, multiply_adds, peer_batches
from benchmarks.crews import Turn
from benchmarks.models import Small
from benchmarks.summary import header, problems_of, row_of, summarize
from benchmarks.ways_jax import initial_states, make_step
from benchmarks.worker import Calibrated, calibrate
from init_study.models import CNN, LeNet, ResNet, VGGStages

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    Case("cnn", CNN(10, depth=3, width=3), (8, 8, 1)),
    Case("small", Small(10), (8, 8, 1)),
    Case("lenet", LeNet(10), (16, 16, 1)),
    Case("vgg_stages", VGGStages(10, depth=2, width=3), (8, 8, 2)),
    Case("resnet", ResNet(10, depth=8, width=3), (8, 8, 2)),
]


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    yield
    if torch:
        torch.set_num_threads(before)


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_torch_twins_take_the_same_step(case):
    torch = pytest.importorskip("torch")
    from benchmarks.torch_models import to_torch, twin
    from benchmarks.ways_torch import make_optimizer, train_step

    torch.set_num_threads(1)
    draw = np.random.default_rng(1)
    images = draw.normal(size=(6, *case.image_shape)).astype(np.float32)
    labels = draw.integers(0, 10, 6).astype(np.int32)
    state = jax.tree.map(lambda leaf: leaf[0], initial_states(case, 1))
    net = twin(case).train()
    net.load_state_dict(to_torch(state[0], net), strict=False)
    moved, loss = jax.jit(make_step(case))(state, 0.1, images, labels)
    torch_loss = train_step(
        net,
        make_optimizer(net, 0.1),
        torch.tensor(images.transpose(0, 3, 1, 2)),
        torch.tensor(labels, dtype=torch.int64),
    )
    np.testing.assert_allclose(torch_loss.item(), loss, rtol=1e-5)
    wanted, found = to_torch(moved[0], net), dict(net.named_parameters())
    assert wanted.keys() == found.keys()
    for name, leaf in wanted.items():
        np.testing.assert_allclose(
            found[name].detach(), leaf, rtol=1e-3, atol=1e-4, err_msg=name
        )


def test_torch_func_trains_as_the_loop_does():
    torch = pytest.importorskip("torch")
    from benchmarks import ways_torch

    torch.set_num_threads(1)
    assert ways_torch.torch_func_vmap(TINY[3], 2)(2) == 4
    assert ways_torch.torch_loop(TINY[3], 2, "channels_last")(2) == 4


def test_multiply_adds_are_those_of_the_layers():
    convolutions = 28 * 28 * 9 * 32 + 14 * 14 * 9 * 32 * 64
    dense = 7 * 7 * 64 * 128 + 128 * 10
    assert multiply_adds(CASES["small"]) == convolutions + dense


def test_peers_get_standardized_batches():
    images, labels = peer_batches(CASES["lenet"])
    assert images.shape == (8, 64, 28, 28, 1) and labels.shape == (8, 64)
    assert abs(images.mean()) < 1e-3 and abs(images.std() - 1) < 1e-3


def test_ways_share_a_process_only_where_settings_allow():
    on_cpu = groups.make_groups(groups.WAYS, "cpu", 2)
    assert [g.ways for g in on_cpu[:5]] == [(way,) for way in groups.JAX_WAYS]
    by_way = {way: group for group in on_cpu for way in group.ways}
    assert by_way["torch_loop/nchw/2"].threads == 2
    assert by_way["torch_processes/nchw/1"].processes == 2
    on_tpu = groups.make_groups(groups.WAYS, "tpu", 1)
    assert on_tpu[0].ways == groups.JAX_WAYS


def test_ratios_are_taken_round_by_round():
    turns = {
        "ours": {0: Turn(20.0, 0.1, 1.0), 1: Turn(30.0, 0.1, 1.0)},
        "flax_loop": {0: Turn(10.0, 0.1, 1.0), 1: Turn(30.0, 0.1, 1.0)},
        "torch_loop/nchw/1": {0: Turn(5.0, 0.2, 1.0)},
        "torch_loop/nchw/2": {0: Turn(4.0, 0.2, 1.0)},
        "matmul": {0: Turn(80.0, 0.0125, 1.0)},
    }
    problems = {"flax_scan": "no answer within 9 s"}
    record = summarize(turns, problems, step_gflop=4.0, platform="cpu")
    assert record["best_peer"] == "flax_loop"
    assert record["ratio_best"] == {"median": 1.5, "min": 1.0, "max": 2.0, "n": 2}
    assert record["peers"]["torch_loop"]["variant"] == "torch_loop/nchw/1"
    assert record["ratio_scan"] is None
    assert record["fraction_of_matmul"] == pytest.approx(0.5)
    record |= {"case": "tiny"}
    assert "1.5 (1 to 2)" in row_of(record)
    assert problems_of([record]) == ["tiny: flax_scan: no answer within 9 s"]


def run_benchmarks(*arguments):
    return finish(
        [sys.executable, "-m", "benchmarks", *arguments],
        limit=120,
        check=False,
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for what ways take."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "process_time", lambda: now[0])
    return now


def way_of(clock, step_seconds, compile_seconds=50.0):
    """Two members; the first call compiles."""
    calls = []

    def way(steps):
        clock[0] += steps * step_seconds + (0 if calls else compile_seconds)
        calls.append(steps)
        return 2 * steps

    return way, calls


def test_a_way_that_is_far_behind_takes_one_step(clock):
    way, calls = way_of(clock, 4.0)
    found = calibrate(way, 1.0, least=0.6)
    assert calls == [1, 1] and (found.steps, found.rate) == (1, 0.5)
    assert found.once == {"done": 2, "seconds": 4.0, "cpu_seconds": 4.0}


def test_compilation_is_not_taken_for_slowness(clock):
    way, calls = way_of(clock, 0.01)
    found = calibrate(way, 1.0, least=10.0)
    assert found.once is None and found.rate == pytest.approx(200)
    assert found.steps == pytest.approx(100) and calls[:2] == [1, 1]


def test_without_another_to_compare_a_slow_way_takes_its_turns(clock):
    way, calls = way_of(clock, 100.0)
    assert calibrate(way, 1.0) == Calibrated(1, 2 / 150) and calls == [1]


def silent_worker():
    silence = ("-c", "import sys; sys.stdin.read()")
    process = start(launcher=silence, cwd=ROOT, stdin=subprocess.PIPE)
    assert process.stderr is not None
    return crews.Worker(process, process.stderr)


def test_waiting_ends_with_a_signal_or_the_limit():
    worker = silent_worker()
    try:
        with pytest.raises(crews.Interrupted):
            crews.read(worker, 60.0, [signal.SIGTERM])
        with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
            crews.read(worker, 0.01)
    finally:
        crews.stop([worker])


def test_a_signal_keeps_what_there_is_and_ends_the_workers(tmp_path):
    path = tmp_path / "speed.json"
    process = start(
        *("--cases=tiny,lenet", "--ways=ours,flax_loop", "--members=1"),
        *("--repeats=1", "--steps=1", f"--json={path}"),
        launcher=("-m", "benchmarks"),
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        start_new_session=True,
    )
    wait_until(path.exists)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 75, err
    assert finish(["pgrep", "-s", process.pid], check=False).stdout == ""
    first, *cut = json.loads(path.read_text())
    assert first["case"] == "tiny" and first["ratio_best"]["median"] > 0
    assert [one["ended"] for one in cut] in ([], ["SIGTERM"])
    assert header() in out and "| tiny |" in out and "ended by SIGTERM" in out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--limit=0.02"], "--limit=0.02: JAX itself gave no answer within 0.02 s"),
        (["--json=nowhere/speed.json"], "its folder is not there"),
        (["--ways=ourss"], "Did you mean 'ours'"),
        (["--case=tiny"], "Unknown command line flag 'case'"),
    ],
)
def test_what_cannot_be_measured_is_one_line(flags, words):
    done = run_benchmarks("--cases=tiny", *flags)
    assert done.returncode == 1 and words in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "PyTorch" not in line)
    assert line.startswith("error: ")


@pytest.mark.slow
def test_a_short_run_has_every_figure(tmp_path):
    path = tmp_path / "speed.json"
    done = run_benchmarks(
        "--cases=tiny",
        "--ways=ours,flax_loop,matmul",
        "--members=2",
        "--repeats=1",
        "--steps=2",
        f"--json={path}",
    )
    assert done.returncode == 0, done.stderr
    assert "| tiny |" in done.stdout
    (record,) = json.loads(path.read_text())
    assert (record["case"], record["members"], record["steps"]) == ("tiny", 2, 2)
    assert record["batch_size"] == 64
    for found in (record["ours"], record["peers"]["flax_loop"]):
        assert found["n"] == 1 and found["median"] > 0
        assert found["cpu_seconds_per_member_step"] > 0
    assert record["best_peer"] == "flax_loop"
    assert record["ratio_best"]["median"] > 0
    assert record["ratio_vmap"] is None and record["ratio_scan"] is None
    assert record["matmul_gflops_per_cpu_s"] > 0
    assert record["fraction_of_matmul"] > 0
    assert {"cpu", "cores"} <= record["machine"].keys()
    assert {"jax", "jaxlib", "flax", "torch"} <= record["versions"].keys()


@pytest.mark.slow
def test_draws_are_timed():
    flags = ("--schemes=orthogonal", "--members=4", "--depth=3", "--repeats=3")
    done = finish(
        [sys.executable, "-m", "benchmarks.initialization", *flags],
        limit=120,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    header, _, _, _, row = done.stdout.strip().splitlines()
    assert header == "4 members, 3 convolutions of 16 channels, n=3"
    assert row.startswith("| orthogonal | ")


def test_a_wrong_name_is_one_line_with_the_nearest():
    done = run_benchmarks("--cases=tinny")
    assert done.returncode != 0
    assert "Did you mean 'tiny'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("flag", "near"),
    [("--model=resnet81", "resnet18"), ("--schemes=he_norml", "he_normal")],
)
def test_first_use_refuses_a_wrong_name_before_it_measures(flag, near):
    command = [sys.executable, "-m", "benchmarks.first_use", flag]
    done = finish(command, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert near in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_what_keeping_costs_is_measured(tmp_path):
    study = {"schemes": ["zeros"], "learning_rates": [0.1], "seeds": 2}
    study |= {"model": "linear", "steps": [6], "evaluations": 2}
    (tmp_path / "small.json").write_text(json.dumps(study))
    command = [sys.executable, "-m", "benchmarks.keeping", "--repeats=1", "--often=0"]
    files = [f"--study={tmp_path / 'small.json'}", f"--json={tmp_path / 'found.json'}"]
    done = finish(command + files, cwd=ROOT, limit=200)
    assert done.returncode == 0, done.stderr
    (turn,) = json.loads((tmp_path / "found.json").read_text())
    assert turn["none"]["save calls"] == 1 < turn["often"]["save calls"]
    for one in turn.values():
        assert 0 < one["sums"] < one["seconds"] and 0 < one["saving"] < one["seconds"]
    assert len([line for line in done.stdout.splitlines() if "–" in line]) == 3


def test_keeping_refuses_a_wrong_name_before_it_measures():
    command = [sys.executable, "-m", "benchmarks.keeping", "--study=first_lok"]
    done = finish(command, check=False, cwd=ROOT)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "Did you mean 'first_look'" in done.stderr
