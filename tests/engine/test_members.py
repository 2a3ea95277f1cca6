"""However members run, they come to the same numbers."""

import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from calling import finish
from flax import traverse_util

from init_study.data import batch_indices
from init_study.engine.devices import fetch_members, member_mesh, place_members
from init_study.engine.feeding import make_feeding
from init_study.engine.orders import first_rows
from init_study.engine.population import (
    compile_population,
    empty_population,
    hyperparameters,
    initial_population,
)
from init_study.errors import UserError
from init_study.execution import (
    Execution,
    candidates,
    default_execution,
    every_candidate,
    parse_execution,
)
from init_study.models import build_model
from init_study.plan import make_plan
from init_study.study import Study
from init_study.train import stream

STEPS = 20
STUDY = Study(
    schemes=("he_normal",),
    learning_rates=(0.01, 0.03),
    seeds=(0, 1),
    depth=3,
    width=32,
    batch_size=8,
    steps=STEPS,
    evaluations=1,
)
# Of the largest entry of each leaf: 20 steps of float32 rounding.
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


def train(plan, execution):
    program = plan.programs[0]._replace(execution=execution)
    mesh, width = member_mesh(), execution.chunk_width
    compiled = compile_population(program, mesh)
    shared, steps = next(make_feeding(program, mesh, STUDY.seeds).shared(0))
    assert steps == STEPS
    first = first_rows(program, STUDY.seeds)
    state = initial_population(program, plan.schemes, plan.members, first)
    trained = compiled.train(
        place_members(state, mesh, width),
        place_members(hyperparameters(plan.members, program.program), mesh, width),
        shared,
        jnp.int32(0),
        jnp.int32(STEPS),
    )
    return fetch_members(trained, len(plan.members)).params


@pytest.fixture(scope="module")
def reference(plan):
    """The last member, in float64: plain Flax, plain optax, a Python loop."""
    program, dataset = plan.programs[0], plan.programs[0].dataset
    params = plan.schemes["he_normal"](stream(1, "init"), program.network, None)
    order = np.asarray(
        batch_indices(stream(1, "order"), 0, STEPS, len(dataset.train.labels), 8)
    )
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        optimizer = optax.sgd(float(np.float32(0.03)), momentum=0.9)

        def loss_of(params, images, labels):
            logits = plain_flax(program).apply({"params": params}, images)
            one_hot = jax.nn.one_hot(labels, 10, dtype=jnp.float64)
            return -(jax.nn.log_softmax(logits) * one_hot).sum(-1).mean()

        gradient, state = jax.jit(jax.grad(loss_of)), optimizer.init(params)
        for batch in order:
            images = dataset.train.images[batch].astype(np.float64) / 255
            images = (images - dataset.mean) / dataset.std
            grads = gradient(params, images, dataset.train.labels[batch])
            updates, state = optimizer.update(grads, state, params)
            params = optax.apply_updates(params, updates)
        assert jax.tree.leaves(params)[0].dtype == np.float64
        return jax.tree.map(np.asarray, params)


@pytest.mark.parametrize(
    "text",
    [
        "winograd/2",
        "blocked/1",
        *(
            pytest.param(text, marks=pytest.mark.slow)
            for text in ("winograd/1", "canonical/1", "xla/2")
        ),
    ],
)
def test_every_execution_agrees_with_float64(plan, reference, text):
    params = train(plan, parse_execution(text))

    def compare(mine, exact):
        error = np.abs(mine[-1] - exact).max() / np.abs(exact).max()
        assert error < TOLERANCE, error

    jax.tree.map(compare, params, reference)


# In processes of their own, which import this file.
_ON_DEVICES = """
import hashlib, sys, jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
from {module} import *
params = train(make_plan(STUDY), parse_execution(sys.argv[2]))
digest = hashlib.sha256()
for leaf in jax.tree.leaves(params):
    digest.update(np.ascontiguousarray(leaf).tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize("text", ["winograd/1", "winograd/2"])
def test_the_number_of_devices_changes_no_bit(text):
    here = Path(__file__)
    script = _ON_DEVICES.format(module=here.stem)
    places = here.parent, here.parents[1], here.parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}

    def digest(devices):
        command = [sys.executable, "-c", script, str(devices), text]
        done = finish(command, limit=200, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert len({digest(devices) for devices in (1, 2, 4, 8)}) == 1


def test_more_members_are_the_same_program_and_need_no_more_scratch(plan):
    """Neither compile time nor scratch memory grows with the number of members."""
    program, mesh = plan.programs[0], member_mesh()
    compiled = compile_population(program, mesh)
    shared, _ = next(make_feeding(program, mesh, STUDY.seeds).shared(0))

    def compile_for(members):
        group = plan.members[:1] * members
        executable = compiled.train.lower(
            place_members(empty_population(program, members), mesh, 1),
            place_members(hyperparameters(group, program.program), mesh, 1),
            shared,
            jnp.int32(0),
            jnp.int32(1),
        ).compile()
        memory = executable.memory_analysis()
        return len(executable.as_text().splitlines()), memory.temp_size_in_bytes

    lines, scratch = compile_for(8)
    assert compile_for(64) == (lines, scratch)
    assert scratch < 1.5 * forward_bytes(program)


def forward_bytes(program):
    """Of all that one member's forward pass computes, with its batch."""
    network, size = program.network, program.program.batch_size
    params = traverse_util.unflatten_dict(network.shapes)
    batch = jax.ShapeDtypeStruct((size, *program.dataset.train.images.shape[1:]), float)
    jaxpr = jax.make_jaxpr(
        lambda p, x: network.apply(p, {}, x, train=False, convolution="xla")
    )(params, batch)
    values = [out.aval for equation in jaxpr.eqns for out in equation.outvars]
    return sum(value.size * value.dtype.itemsize for value in values)


def test_executions_are_read_from_text():
    assert parse_execution("canonical/4") == Execution(4, "canonical")
    assert str(parse_execution("xla/16")) == "xla/16"
    for text, said in [
        ("blockd/1", "Did you mean 'blocked'"),
        ("blocked", "blocked/1"),
        ("blocked/0", "chunk width"),
        ("blocked/x", "chunk width 'x'"),
        ("winograd/1/2", "chunk width '1/2'"),
    ]:
        with pytest.raises(UserError, match=said):
            parse_execution(text)


def test_candidates_begin_with_the_default_and_keep_a_given_width():
    for platform in ("cpu", "gpu", "tpu"):
        for width in (None, 3):
            found = candidates(width, platform, members=100)
            assert found[0] == default_execution(width, platform, 100)
            assert len(set(found)) == len(found) > 1
            assert width is None or {one.chunk_width for one in found} == {width}
    assert {one.chunk_width for one in candidates(None, "cpu", 2)} == {1}
    assert every_candidate(None, "cpu", 9) == candidates(None, "cpu", 9)
    all_of_gpu = every_candidate(None, "gpu", members=300)
    assert all_of_gpu[0] == default_execution(None, "gpu", 300)
    assert {one.chunk_width for one in all_of_gpu} == {1, 4, 16, 64, 256, 300}
    assert len(set(all_of_gpu)) == len(all_of_gpu) == 6 * 4
    assert {one.chunk_width for one in every_candidate(8, "tpu", 300)} == {8}
    few = candidates(None, "gpu", 3)
    assert {one.chunk_width for one in few} == {3}
    assert {one.convolution for one in few} == {"patches", "canonical", "xla"}
    assert default_execution(None, "gpu", members=3) == Execution(3, "patches")
    assert default_execution(None, "tpu", members=99) == Execution(16, "xla")


def test_a_width_beyond_the_members_is_said(caplog):
    with caplog.at_level("WARNING"):
        make_plan(STUDY.replace(chunk_width=6))
    assert "chunk width 6 is more than the 4 members" in caplog.text
    with pytest.raises(UserError, match="contradict"):
        make_plan(STUDY.replace(chunk_width=2), execution=Execution(4, "xla"))


def plain_flax(plan):
    """The model itself, as its class makes it."""
    return build_model(plan.program.model, 10, plan.program.model_arguments())
