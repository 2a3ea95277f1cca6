"""A run is one computation: what is edited or exchanged under it is found by name."""

import json
import os
import pty
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging
from calling import ROOT, finish, launch, start
from stopping import stopping

from init_study import manifest as manifest_module
from init_study import store
from init_study.engine.identity import computed
from init_study.errors import ExitCode, UserError
from init_study.plan import Given, make_plan
from init_study.run import Control, run
from init_study.schemes import parse_scheme
from init_study.study import Study

STUDY = Study(
    schemes=("he_normal", "mine"),
    learning_rates=0.1,
    seeds=2,
    model="net",
    depth=None,
    width=None,
    batch_size=8,
    steps=6,
    evaluations=2,
)


class Net(nn.Module):
    num_classes: int = 10
    bend: str = "relu"
    shift: float = 0.0

    @nn.compact
    def __call__(self, images, train):
        x = images.reshape(len(images), -1)[:, ::8]
        x = nn.Dense(4)(x) + self.shift
        return nn.Dense(self.num_classes)(getattr(nn, self.bend)(x))


def plan_of(scheme="glorot", study=STUDY, **fields):
    given = Given(
        models={"net": Net(**fields)},
        schemes={"mine": parse_scheme({"glorot": "xavier_normal"}.get(scheme, scheme))},
    )
    return make_plan(study, given=given)


@pytest.fixture
def begun(tmp_path):
    """A run that was stopped between its ends."""
    workdir = tmp_path / "w"
    stop = stopping(2, checkpoint_every=0.0)
    assert not run(plan_of(), workdir, "command", stop).finished
    assert 0 in set(store.load(workdir)["step"])
    return workdir


def files(workdir):
    return {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"bend": "tanh"}, "evaluation, training"),
        ({"shift": 1e-7}, "evaluation, training"),
        ({"scheme": "he_uniform"}, "start of mine"),
    ],
)
def test_an_edited_computation_is_not_gone_on_with(begun, changed, part):
    before = files(begun)
    with pytest.raises(UserError, match=f"another computation of {part}:") as caught:
        run(plan_of(**changed), begun, "command", Control())
    said = str(caught.value)
    assert "--workdir" in said and "--accept_drift" in said and "\n" not in said
    assert caught.value.exit_code == ExitCode.DAMAGED
    after = files(begun)
    assert {p.name for p in before} == {p.name for p in after}
    kept = [p for p in before if p.name != ".lock"]
    assert all(before[p] == after[p] for p in kept)


def test_a_package_that_has_changed_is_named_with_the_version_to_put_back(begun):
    manifest = store.read_manifest(begun)
    manifest["versions"] |= {"numpy": "1.26.4", "dm-haiku": None}
    store.write_manifest(begun, manifest)
    with pytest.raises(UserError) as caught:
        run(plan_of(bend="tanh"), begun, "command", Control())
    assert "numpy 1.26.4, here " in str(caught.value)
    assert "pip install numpy==1.26.4;" in str(caught.value)


@pytest.mark.parametrize(
    ("devices", "is_new"), [(["1 × gpu NVIDIA H100"], True), (["9 × cpu cpu"], False)]
)
def test_going_on_on_another_kind_of_device_is_said(
    begun, monkeypatch, caplog, devices, is_new
):
    monkeypatch.setattr(manifest_module, "describe_devices", lambda: devices)
    monkeypatch.setattr(logging.get_absl_logger(), "propagate", True)
    for _ in range(2):
        run(plan_of(), begun, "command", Control())
    said = [r.getMessage() for r in caplog.records if "goes on with" in r.message]
    assert len(said) == is_new
    if is_new:
        assert (
            "× cpu cpu and goes on with 1 × gpu NVIDIA H100: its last bits" in said[0]
        )


def test_a_manifest_says_whether_kernels_repeat_their_bits(begun, monkeypatch):
    assert store.read_manifest(begun)["repeats_bits"] is True
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert manifest_module.describe(plan_of(), "command")["repeats_bits"] is False


def test_what_went_on_all_the_same_is_marked_for_good(begun):
    reached = store.last_steps(begun)
    accepting = Control(accept_drift=True)
    assert run(plan_of(bend="tanh"), begun, "command", accepting).finished
    (accepted,) = store.read_manifest(begun)["accepted_drift"]
    assert accepted["steps"] == reached
    table = store.load(begun)
    (step,) = reached.values()
    np.testing.assert_array_equal(table["drifted"], table["step"] > step)
    assert table["drifted"].any() and not table["drifted"].all()
    # Neither is asked about again.
    assert run(plan_of(bend="tanh"), begun, "command").finished
    assert run(plan_of(), begun, "command").finished


def test_an_undisturbed_run_is_not_marked(begun):
    assert run(plan_of(), begun, "command").finished
    assert not store.load(begun)["drifted"].any()


def test_a_finished_run_is_not_the_answer_of_another_computation(begun):
    assert run(plan_of(), begun, "command").finished
    with pytest.raises(UserError, match="another computation"):
        run(plan_of(bend="tanh"), begun, "command")
    accepting = Control(accept_drift=True)
    assert run(plan_of(bend="tanh"), begun, "command", accepting).finished
    assert not store.load(begun)["drifted"].any(), "nothing was trained"


def test_a_run_from_before_computations_were_noted_goes_on(begun):
    manifest = store.read_manifest(begun)
    for program in manifest["programs"].values():
        del program["computes"]
    store.write_manifest(begun, manifest)
    assert run(plan_of(scheme="he_uniform"), begun, "command").finished


OTHER_PROCESS = """
import json, sys
sys.path[:0] = {paths!r}
from test_drift import checksums
print(json.dumps(checksums()))
"""
STABLE = Study(
    schemes=("he_normal", "orthogonal", "lsuv", "looks_linear", "metainit"),
    learning_rates=0.1,
    seeds=1,
    depth=2,
    width=2,
    norm="batch",
    model="resnet",
    augmentation="crop",
    batch_size=4,
)


def checksums():
    plan = make_plan(STABLE.replace(model="resnet", depth=8))
    return computed(plan, plan.programs[0])


@pytest.mark.parametrize("hashing", ["1", "2"])
def test_two_processes_agree(hashing, tmp_path):
    paths = [str(ROOT), str(ROOT / "tests")]
    environment = {
        "PYTHONHASHSEED": hashing,
        "JAX_PLATFORMS": "cpu",
        "TZ": "Asia/Tokyo",
    }
    code = OTHER_PROCESS.format(paths=paths)
    done = finish([sys.executable, "-c", code], env=environment, cwd=tmp_path)
    assert json.loads(done.stdout) == checksums()


def test_arrays_that_a_function_brings_along_count():
    def sums(numbers):
        class Fixed(nn.Module):
            @nn.compact
            def __call__(self, images, train):
                x = images.reshape(len(images), -1) * jax.jit(lambda: numbers[None])()
                return nn.Dense(10)(x)

        plan = make_plan(STUDY.replace(schemes="he_normal"), given=given(Fixed()))
        return computed(plan, plan.programs[0])

    def given(module):
        return Given(models={"net": module})

    ones = jnp.ones(64)
    first, again, other = sums(ones), sums(jnp.ones(64)), sums(ones.at[63].set(2))
    assert first == again
    changed = {name for name in first if first[name] != other[name]}
    assert changed == {"training", "evaluation"}


NETZ = """
import flax.linen as nn

class Mine(nn.Module):
    num_classes: int
    @nn.compact
    def __call__(self, images, train):
        x = nn.relu(nn.Dense(4)(images.reshape(len(images), -1)))
        return nn.Dense(self.num_classes)(x)
"""
FLAGS = (
    "--study.model=netz:Mine "
    "--study.schemes=he_normal,zeros --study.learning_rates=0.1 --study.seeds=2 "
    "--study.batch_size=8 --study.steps=6 --study.evaluations=2 --workdir=w"
).split()


def test_a_module_that_is_edited_is_named(tmp_path):
    (tmp_path / "netz.py").write_text(NETZ)
    code, _, err = launch("run", *FLAGS, cwd=tmp_path)
    assert code == 0, err
    (tmp_path / "netz.py").write_text(NETZ + "# A remark changes nothing.\n")
    code, table, err = launch("run", *FLAGS, cwd=tmp_path)
    assert code == 0, err
    (tmp_path / "netz.py").write_text(NETZ.replace("relu", "tanh"))
    code, out, err = launch("run", *FLAGS, cwd=tmp_path)
    assert (code, out) == (65, "")
    assert err.count("\n") == 1 and "the code of netz has changed since" in err
    code, shown, err = launch("report", "--workdir=w", cwd=tmp_path)
    assert code == 0 and "netz changed since" in err and shown == table
    code, out, err = launch("run", *FLAGS, "--accept_drift", cwd=tmp_path)
    assert (code, out) == (0, table) and "another computation" in err


def test_a_terminal_changes_no_identity(tmp_path):
    """JAX writes what it has traced in colours where somebody looks."""
    paths = [str(ROOT), str(ROOT / "tests")]
    code = OTHER_PROCESS.format(paths=paths).replace("print(", "save(")
    code = f"def save(text): open('sums.json', 'w').write(text)\n{code}"
    reader, writer = pty.openpty()
    environment = {"JAX_PLATFORMS": "cpu", "TERM": "xterm", "PATH": os.environ["PATH"]}
    process = start(launcher=("-c", code), cwd=tmp_path, env=environment, stdout=writer)
    _, err = process.communicate()
    os.close(writer)
    os.close(reader)
    assert process.returncode == 0, err
    assert json.loads((tmp_path / "sums.json").read_text()) == checksums()
