"""What does not fit is found from shapes alone: before any of it is there."""

import shutil
import tracemalloc

import jax
import pytest

from init_study import store
from init_study.engine import timing, tuning
from init_study.engine.devices import member_mesh, num_bytes
from init_study.engine.population import empty_population, member_shapes
from init_study.engine.shortage import shortage
from init_study.errors import ExitCode, UserError
from init_study.execution import Execution
from init_study.models import CNN
from init_study.network import room as network_room
from init_study.network import trace
from init_study.plan import make_plan
from init_study.run import run
from init_study.study import Study

STUDY = Study(
    schemes="he_normal", learning_rates=0.1, seeds=4, depth=1, width=4, steps=2
)
MEGA = 2**20


def peak_of(call):
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def test_a_wide_net_is_refused_before_any_number_of_it_is_there():
    for width in (10**5, 10**8, 2**31 - 1):

        def refused(width=width):
            with pytest.raises(UserError, match=r"has a parameter of .* narrower"):
                trace(CNN(10, depth=3, width=width), (8, 8, 1), 10)

        assert peak_of(refused) < 50 * MEGA


def test_a_net_needs_room_for_its_variables_and_for_the_places_of_one(monkeypatch):
    # One kernel of 3·3·64·64 floats, 147,456 bytes, followed in four times as many.
    shapes = {"kernel": jax.ShapeDtypeStruct((3, 3, 64, 64), "float32")}
    monkeypatch.setattr(network_room, "available_bytes", lambda: 4 * 147_456)
    network_room.check_room(shapes, "net")
    monkeypatch.setattr(network_room, "available_bytes", lambda: 4 * 147_456 - 1)
    with pytest.raises(UserError, match="of 147,456 bytes, and takes 589,824"):
        network_room.check_room(shapes, "net")
    monkeypatch.setattr(network_room, "available_bytes", lambda: None)
    network_room.check_room(shapes, "net")


def test_a_population_that_does_not_fit_is_not_made(monkeypatch):
    """A member of 33 MB does not fit beside the host's copies of it."""
    study = STUDY.replace(depth=8, width=256, seeds=400)
    plan = make_plan(study, execution=Execution(400, "blocked"))
    for module in (tuning, timing):
        monkeypatch.setattr(module, "bytes_per_device", lambda _: 50 * MEGA)

    def refused():
        with pytest.raises(UserError, match="1 members do not fit even one at a"):
            tuning.choose_executions(plan, given=True)

    # Two copies of 4.1 million parameters, 400 times, are 13 GB.
    assert peak_of(refused) < 100 * MEGA


def test_what_is_held_is_known_before_anything_is_compiled(monkeypatch):
    plan = make_plan(STUDY)
    monkeypatch.setattr(timing, "compile_population", lambda *_: pytest.fail("made"))
    monkeypatch.setattr(timing, "bytes_per_device", lambda _: 1000)
    found = timing.time_execution(plan, plan.programs[0], member_mesh())
    assert "of 1,000 bytes" in found.problem and found.compile_seconds == 0


def test_what_a_step_takes_is_known_before_anything_is_placed(monkeypatch):
    plan = make_plan(STUDY)
    monkeypatch.setattr(timing, "sample", lambda *_: pytest.fail("placed"))
    asked = []

    def lacking(device_bytes, *_):
        asked.append(device_bytes)
        return "" if len(asked) == 1 else "too much"

    monkeypatch.setattr(timing, "shortage", lacking)
    few = timing.time_execution(plan, plan.programs[0], member_mesh())
    assert few.problem == "too much" and few.seconds_per_member_step == float("inf")
    assert few.temporary_bytes == asked[1] - asked[0] > 0


def test_the_shapes_of_a_member_are_those_of_an_empty_population():
    plan = make_plan(STUDY).programs[0]
    described = jax.tree.leaves(member_shapes(plan))
    made = jax.tree.leaves(empty_population(plan, 3))
    assert [(3, *one.shape) for one in described] == [one.shape for one in made]
    assert [one.dtype for one in described] == [one.dtype for one in made]
    assert 3 * num_bytes(member_shapes(plan)) == num_bytes(made)


def test_on_cpu_the_host_needs_room_for_its_copies_too():
    """Two devices of 1,000 bytes have 2,000 in all."""
    assert jax.local_device_count() == 2
    assert shortage(700, 200, room=1000) == ""
    assert "needs 2,003 of 2,000 bytes of memory" in shortage(700, 201, room=1000)
    assert "needs 1,001 of 1,000 bytes on a device" in shortage(1001, 0, room=1000)
    assert shortage(10**15, 10**15, room=None) == ""


def test_a_disk_without_room_for_two_checkpoints_is_said_first(tmp_path, monkeypatch):
    plan = make_plan(STUDY)
    needed = 2 * len(STUDY.members()) * num_bytes(member_shapes(plan.programs[0]))
    usage = shutil.disk_usage(tmp_path)._replace(free=needed - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    said = f"take {needed:,} bytes.* {needed - 1:,} are free"
    with pytest.raises(UserError, match=said) as no:
        run(plan, tmp_path / "run", "command")
    assert no.value.exit_code == ExitCode.IO
    assert not (tmp_path / "run" / store.MANIFEST).exists()
    monkeypatch.undo()
    assert run(plan, tmp_path / "run", "command").finished
