"""The execution is chosen by time and by memory, before the first step."""

import flax.linen as nn
import jax
import pytest

from init_study.cli.words.tune import tuning_overview
from init_study.engine import timing as timing_module
from init_study.engine import tuning
from init_study.engine.devices import member_mesh
from init_study.engine.timing import Timing, time_execution
from init_study.engine.tuning import check_memory, choose_executions, fastest
from init_study.errors import UserError
from init_study.execution import Execution
from init_study.plan import Given, make_plan
from init_study.study import Study

STUDY = Study(
    schemes=("he_normal",),
    learning_rates=(0.1,),
    seeds=4,
    depth=1,
    width=2,
    batch_size=4,
    steps=2,
    evaluations=1,
)
GIGA = 10**9


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


def timing(text, seconds, problem="", scratch=0, devices=2):
    form, width = text.split("/")
    return Timing(
        execution=Execution(int(width), form),
        devices=devices,
        compile_seconds=1.0,
        seconds_per_member_step=seconds,
        temporary_bytes=scratch,
        member_bytes=10,
        data_bytes=100,
        problem=problem,
    )


def pretend(monkeypatch, room, scratch_of_one, seconds=lambda execution: 1.0):
    """Timings without running: scratch memory in proportion to the chunk width."""

    def time_one(_, program_plan, mesh):
        execution = program_plan.execution
        made = timing(
            str(execution),
            seconds(execution),
            scratch=scratch_of_one * execution.chunk_width,
            devices=mesh.size,
        )
        fits = made.device_bytes(len(STUDY.members())) <= room
        return made if fits else made._replace(problem="needs too much")

    monkeypatch.setattr(tuning, "time_execution", time_one)
    monkeypatch.setattr(tuning, "bytes_per_device", lambda _: room)
    huge = tuning._Cost(1e30, 1e30, 10, 100)
    monkeypatch.setattr(tuning, "_cost", lambda *_: huge)


def with_width(plan, width):
    programs = (plan.programs[0]._replace(execution=Execution(width, "blocked")),)
    return plan._replace(programs=programs)


def test_a_timing_is_of_steps_really_taken(plan):
    measured = time_execution(plan, plan.programs[0], member_mesh(), seconds=0.05)
    assert 0 < measured.seconds_per_member_step < 1
    assert measured.compile_seconds > 0 and measured.devices == 2
    # Twice the parameters (momentum), and the six scalars and sums beside them.
    parameters = plan.programs[0].network.num_parameters
    assert 8 * parameters < measured.member_bytes <= 8 * parameters + 40
    assert measured.temporary_bytes > 0


def test_device_bytes_count_full_chunks():
    # 5 members in chunks of 2 on 2 devices: 8 places, 4 on each device.
    assert timing("xla/2", 1.0, scratch=7).device_bytes(5) == 4 * 10 + 100 + 7


def test_the_fastest_that_fits_is_taken():
    timings = [
        timing("winograd/1", 3.0),
        timing("blocked/1", 2.0),
        timing("winograd/4", 1.0, problem="needs too much"),
        timing("blocked/4", 0.5, problem="out of memory"),
        timing("xla/1", 0.1, devices=1),
    ]
    assert fastest(timings, 4) == Execution(1, "blocked")
    with pytest.raises(UserError, match=r"winograd/4.*smaller batch_size"):
        fastest(timings[2:4], 4)


def test_the_default_stays_unless_another_is_clearly_faster():
    default = timing("winograd/1", 1.0)
    assert fastest([default, timing("blocked/1", 0.95)], 4) == Execution(1, "winograd")
    assert fastest([default, timing("blocked/1", 0.85)], 4) == Execution(1, "blocked")


def test_members_that_only_fill_a_chunk_are_paid_for():
    # 5 members on 2 devices: 6 places one by one, 8 in chunks of 4.
    timings = [timing("winograd/1", 1.0), timing("winograd/4", 0.85)]
    assert [t.places(5) for t in timings] == [6, 8]
    assert fastest(timings, 5) == Execution(1, "winograd")
    assert fastest(timings, 8) == Execution(4, "winograd")


def test_a_small_program_is_not_timed(plan, monkeypatch):
    monkeypatch.setattr(tuning, "fitting", lambda *_: pytest.fail("was compiled"))
    assert choose_executions(plan, given=False) == plan


def test_the_work_of_a_program_is_counted_by_hand():
    """3×3 convolutions of 8×8 images at width 64, forward and twice backward; the
    form that runs, with its own loops, does not change the count."""
    few = make_plan(STUDY.replace(width=64, depth=2, batch_size=16, pooling="none"))
    counted = tuning._cost(few, few.programs[0])
    pixels, batch = 64, 16
    # Zeros around the map are not multiplied: 22 of 24 taps per row and column.
    taps = 9 * (22 / 24) ** 2
    multiplied = pixels * batch * taps * 64 * (2 * 1 + 3 * 64)
    assert 2 * multiplied < counted.flops < 1.3 * 2 * multiplied
    assert counted.bytes_accessed > 10 * pixels * batch * 64 * 4
    assert counted.member_bytes == tuning._cost(few, few.programs[0]).member_bytes


def test_the_estimate_bounds_what_patches_take():
    """Of large kernels they take many times what a convolution of XLA's does."""
    first, second = nn.Conv(16, (7, 7)), nn.Conv(16, (7, 7))
    net = nn.Sequential(
        [first, nn.relu, second, lambda x: x.mean((1, 2)), nn.Dense(10)]
    )
    study = STUDY.replace(model="net", depth=None, width=None, batch_size=32)
    given = Given(models={"net": net})
    found = {}
    for form in ("xla", "patches"):
        made = make_plan(study, execution=Execution(2, form), given=given)
        found[form] = tuning._cost(made, made.programs[0]).bytes_accessed
    timed = time_execution(made, made.programs[0], member_mesh(), seconds=0.01)
    assert found["xla"] < timed.temporary_bytes < found["patches"]


def test_a_wide_long_program_is_tried(monkeypatch):
    """Counted, not compiled, until it is known that trying pays."""
    pretend_timings = []
    long = make_plan(STUDY.replace(width=128, depth=4, batch_size=64, steps=2000))

    def time_one(_, program_plan, mesh):
        pretend_timings.append(program_plan.execution)
        return timing(str(program_plan.execution), 1.0, devices=mesh.size)

    monkeypatch.setattr(tuning, "time_execution", time_one)
    choose_executions(long, given=False)
    assert len(pretend_timings) >= 2
    assert len(set(pretend_timings)) == len(pretend_timings)


def test_a_program_that_needs_too_much_is_compiled_but_not_run(plan, monkeypatch):
    monkeypatch.setattr(timing_module, "bytes_per_device", lambda _: 1000)
    found = time_execution(plan, plan.programs[0], member_mesh())
    need = found.device_bytes(len(STUDY.members()))
    assert f"needs {need:,} of 1,000 bytes" in found.problem
    assert found.seconds_per_member_step == float("inf")


def test_a_run_that_began_elsewhere_must_fit_here(plan, monkeypatch):
    pretend(monkeypatch, room=GIGA + 1000, scratch_of_one=GIGA // 2)
    wide = with_width(plan, 4)
    with pytest.raises(UserError, match="the widest that does is blocked/2"):
        check_memory(wide, wide.programs[0])
    check_memory(*(one := with_width(plan, 2), one.programs[0]))


def test_a_long_program_runs_as_the_fastest_candidate(plan, monkeypatch):
    slow = {"winograd": 200.0, "blocked": 100.0}
    pretend(monkeypatch, GIGA, 1, seconds=lambda one: slow[one.convolution])
    chosen = choose_executions(plan, given=False).programs[0].execution
    assert chosen == Execution(1, "blocked")
    kept = choose_executions(plan, given=True).programs[0].execution
    assert kept == plan.programs[0].execution


def test_a_compilation_from_the_cache_does_not_make_trying_cheap(plan, monkeypatch):
    """So that a study run again runs as it did."""
    tried = []

    def seconds(execution):
        tried.append(execution)
        return 40.0 / (len(plan.members) * plan.programs[0].program.steps)

    pretend(monkeypatch, GIGA, 1, seconds)
    assert choose_executions(plan, given=False) == plan
    assert tried == [plan.programs[0].execution]


def test_what_does_not_fit_is_narrowed_and_said(plan, monkeypatch, caplog):
    pretend(monkeypatch, room=GIGA + 1000, scratch_of_one=GIGA // 2)
    with caplog.at_level("WARNING"):
        chosen = choose_executions(with_width(plan, 4), given=False)
    assert chosen.programs[0].execution == Execution(2, "blocked")
    assert "goes on with chunk width 2" in caplog.text


def test_a_fixed_width_that_does_not_fit_is_refused_with_the_widest(plan, monkeypatch):
    pretend(monkeypatch, room=GIGA + 1000, scratch_of_one=GIGA // 2)
    with pytest.raises(UserError, match="the widest that does is blocked/2"):
        choose_executions(with_width(plan, 4), given=True)


def test_what_fits_at_no_width_is_refused(plan, monkeypatch):
    pretend(monkeypatch, room=1000, scratch_of_one=GIGA)
    with pytest.raises(UserError, match="do not fit even one at a time"):
        choose_executions(plan, given=False)


def test_out_of_memory_is_a_row_and_other_errors_are_not_hidden(plan, monkeypatch):
    def fail(message):
        def time_one(*_):
            raise jax.errors.JaxRuntimeError(message)

        monkeypatch.setattr(tuning, "time_execution", time_one)

    fail("RESOURCE_EXHAUSTED: out of memory")
    rows = tuning.time_candidates(plan, plan.programs[0])
    assert {row.problem for row in rows} == {"out of memory"}
    fail("INTERNAL: something else")
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        tuning.time_candidates(plan, plan.programs[0])


def test_what_is_foreseen_not_to_fit_is_not_compiled(plan, monkeypatch):
    """On a GPU, of each form: a chunk of 4 would take 4 times as much."""
    compiled = []

    def seconds(execution):
        compiled.append(execution)
        return 1.0

    # Two members fit side by side, not four.
    pretend(monkeypatch, GIGA, GIGA // 3, seconds)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    rows = tuning.time_candidates(plan, plan.programs[0])
    assert str(rows[0].execution) == "patches/4" and rows[0].problem
    by_name = {str(row.execution): row.problem for row in rows}
    assert len(by_name) == len(rows) == 8
    assert {name for name, problem in by_name.items() if not problem} == {
        *("patches/1", "winograd/1", "canonical/1", "xla/1")
    }
    assert by_name["xla/4"].startswith("needs 1,")
    assert Execution(4, "xla") not in compiled

    monkeypatch.undo()
    first = timing("xla/4", 1.0, problem="out of memory")
    wider = timing_module.foreseen(Execution(16, "xla"), [first], 4, None)
    assert wider is not None
    assert wider.problem == "wider than xla/4, which ran out of memory"
    narrow = timing_module.foreseen(Execution(1, "xla"), [first], 4, None)
    other = timing_module.foreseen(Execution(16, "patches"), [first], 4, None)
    assert narrow is other is None


def test_the_table_names_the_chosen_one_of_each_program(plan, monkeypatch):
    slow = {"winograd": 2.0, "blocked": 4.0}
    pretend(monkeypatch, GIGA, 1, seconds=lambda one: slow[one.convolution])
    rows = tuning_overview(plan)["programs"]
    assert [row["execution"] for row in rows if row["chosen"]] == ["winograd/1"]
    assert {row["devices"] for row in rows} == {1, 2}
    assert rows[0]["member_steps_per_second"] == 0.5


@pytest.mark.parametrize("room", [None, 10])
def test_out_of_memory_is_said_whether_or_not_the_device_tells_its_size(
    plan, monkeypatch, room
):
    def time_one(_, program_plan, mesh):
        return timing(str(program_plan.execution), 1.0, problem="out of memory")

    pretend(monkeypatch, room, 1)
    monkeypatch.setattr(tuning, "time_execution", time_one)
    with pytest.raises(UserError, match="out of memory; use fewer members"):
        choose_executions(plan, given=False)
