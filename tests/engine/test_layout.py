"""Places of a population: any number of members that fits them is one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.engine.devices import member_mesh
from init_study.engine.feeding import make_feeding
from init_study.engine.layout import Layout, lay_out, seed_places
from init_study.engine.orders import first_rows
from init_study.engine.population import (
    compile_population,
    hyperparameters,
    initial_population,
)
from init_study.engine.running import prepare_program
from init_study.execution import Execution
from init_study.plan import make_plan
from init_study.study import Study
from init_study.train import no_sums

STUDY = Study(
    schemes=("he_normal", "torch"),
    learning_rates=(0.05, 0.2),
    seeds=(0, 7),
    depth=2,
    width=3,
    batch_size=8,
    steps=4,
    evaluations=1,
)


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("members", [1, 2, 5, 8])
def test_what_is_placed_comes_back(members, width):
    layout = Layout(member_mesh(), width, members, places=8)
    given = {"a": np.arange(members * 3.0).reshape(members, 3)}
    placed = layout.place(given)
    assert placed["a"].shape == (8 * layout.mesh.size, 3)
    np.testing.assert_array_equal(layout.fetch(placed)["a"], given["a"])


def test_members_are_spread_evenly_over_devices():
    mesh = member_mesh()
    assert mesh.size == 2, "the tests run on two devices"
    layout = Layout(mesh, 1, 4, places=8)
    placed = np.asarray(layout.place(np.array([1.0, 2, 3, 4])))
    assert placed.reshape(2, 8)[:, :2].tolist() == [[1, 2], [3, 4]]
    assert not placed.reshape(2, 8)[:, 2:].any()
    assert int(layout.chunks) == 2


@pytest.mark.parametrize(
    ("room", "most"), [(None, 64 * 2**20), (10**6, 2 * 10**6 // 32)]
)
def test_spare_places_are_small(room, most, monkeypatch):
    """Not above 64 MB in all or a part of what is left, never fewer than members."""
    monkeypatch.setattr("init_study.engine.layout.bytes_per_device", lambda _: room)
    mesh = member_mesh()
    for member_bytes in (1, 10**3, 10**6, 10**8):
        for members in (1, 100, 10_000):
            places = mesh.size * lay_out(members, member_bytes, mesh, 1).places
            assert places >= members
            # The last one may be there for the second device alone.
            assert places - members <= 1 or (places - 1) * member_bytes <= most


def test_spare_seeds_are_small():
    for seed_bytes in (1, 10**5, 10**8):
        for seeds in (1, 15, 16, 40):
            places = seed_places(seeds, seed_bytes)
            assert places >= seeds
            assert places == seeds or places * seed_bytes <= 16 * 2**20


@pytest.mark.parametrize("width", [1, 2])
def test_spare_places_change_no_bit_and_are_not_computed(width):
    """Trained, evaluated and measured in as many places as members, and in more."""
    plan = make_plan(STUDY)
    program = plan.programs[0]._replace(execution=Execution(width, "canonical"))
    mesh, members = member_mesh(), plan.members
    compiled = compile_population(program, mesh)
    feeding = make_feeding(program, mesh, STUDY.seeds)
    shared, count = next(feeding.shared(0))
    ((data, *bounds),) = feeding.held("validation")
    rows = first_rows(program, STUDY.seeds)
    state = initial_population(program, plan.schemes, members, rows)
    hyper = hyperparameters(members, program.program)

    def found(layout):
        own = layout.place(hyper)
        trained = compiled.train(
            layout.place(state),
            own,
            shared,
            jnp.int32(0),
            jnp.int32(count),
            chunks=layout.chunks,
        )
        sums = compiled.evaluate(
            (trained, layout.place(no_sums(len(members)))),
            data,
            *map(jnp.int32, bounds),
            chunks=layout.chunks,
        )
        layers = compiled.measure(
            (trained, own), feeding.first, feeding.first_steps, chunks=layout.chunks
        )
        return trained, sums, layers

    exact, spare = (
        Layout(mesh, width, len(members), places=places) for places in (4, 6)
    )
    expected, more = found(exact), found(spare)
    jax.tree.map(
        np.testing.assert_array_equal, exact.fetch(expected), spare.fetch(more)
    )
    for leaf in jax.tree.leaves(more[1:]):
        behind = np.asarray(leaf).reshape(mesh.size, 6, *leaf.shape[1:])[:, 4:]
        assert not behind.any(), "a place without a member was computed"


def lowered(study):
    """All three programs of a run, as text, before they are compiled."""
    plan = make_plan(study)
    running = prepare_program(plan, plan.programs[0])
    layout, feeding = running.layout, running.feeding
    rows = first_rows(running.plan, study.seeds)
    state = initial_population(running.plan, plan.schemes, plan.members, rows)
    placed, chunks = layout.place(state), layout.chunks
    shared, _ = next(feeding.shared(0))
    ((data, *bounds),) = feeding.held("validation")
    numbers = map(jnp.int32, bounds)
    sums, member = layout.place(no_sums(layout.members)), (placed, running.hyper)
    made = running.compiled
    return [
        made.train.lower(
            placed, running.hyper, shared, jnp.int32(0), jnp.int32(1), chunks=chunks
        ),
        made.evaluate.lower((placed, sums), data, *numbers, chunks=chunks),
        made.measure.lower(member, feeding.first, feeding.first_steps, chunks=chunks),
    ]


def test_other_schemes_rates_and_seeds_are_the_same_programs():
    """So that fresh seeds, and the looks of a race, compile nothing."""
    others = STUDY.replace(
        schemes=("orthogonal",), learning_rates=(0.1,), seeds=tuple(range(20, 33))
    )
    for one, other in zip(lowered(STUDY), lowered(others), strict=True):
        assert one.as_text() == other.as_text()


def test_many_members_have_no_place_to_spare():
    mesh = member_mesh()
    layout = lay_out(1000, 10, mesh, 1)
    assert layout.places * mesh.size == 1000 == layout.filled * mesh.size
