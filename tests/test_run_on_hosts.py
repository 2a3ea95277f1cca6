"""Hosts that share a run: to the bytes of one host, through losses and other counts."""

import itertools
import os
import re
import signal
import sys
import threading
import time

import pytest
from calling import ROOT, is_progress, launch, start, tiny, wait_until
from cluster.meeting import free_port, together
from stopping import stopping

from init_study import drift, fresh_seeds, store
from init_study import run_on_hosts as module
from init_study.cli.words.status import status_overview
from init_study.cluster import Place, hosts, join_hosts
from init_study.control import Control, Outcome
from init_study.errors import ExitCode, UserError
from init_study.fresh_seeds import run_with_fresh_seeds
from init_study.plan import make_plan
from init_study.run import run
from init_study.run_on_hosts import run_on_hosts, waves_of_host
from init_study.study import Study

STUDY = Study(
    schemes=("he_normal", "zeros"),
    learning_rates=(0.1, 0.3),
    seeds=3,
    depth=1,
    width=2,
    batch_size=4,
    steps=4,
    evaluations=2,
)
FILES = (store.RECORDS, store.LAYERS, store.FILTERS)


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    assert run(plan, workdir, "command").finished
    return workdir


@pytest.fixture(autouse=True)
def as_threads(monkeypatch):
    """One wave at a time: Orbax saves in one thread of a process, not in two."""
    turn, waves = threading.Lock(), module.run_waves

    def in_turn(*given):
        with turn:
            return waves(*given)

    monkeypatch.setattr(module, "run_waves", in_turn)
    monkeypatch.setattr(hosts, "_BETWEEN", 0.02)


def contents(workdir):
    return {name: (workdir / name).read_bytes() for name in FILES}


def on_hosts(plan, workdir, count, controls=None):
    """What each of several hosts, as threads, comes to."""

    def act(those, received):
        control = (controls or {}).get(those.place.process, Control())
        asked = control.stop_requested

        def stop_requested():
            if asked():
                received.append(signal.SIGTERM)
            return bool(received or those.problem)

        own = control._replace(stop_requested=stop_requested)
        return run_on_hosts(plan, workdir, "command", own, those)

    return together(act, count)


def finished(done):
    """The outcomes, none of them an error."""
    assert [getattr(one, "finished", one) for one in done] == [True] * len(done)
    return done


@pytest.mark.parametrize("count", [1, 2, 4])
def test_hosts_give_the_bytes_of_one(plan, whole, count, tmp_path):
    """Four hosts of three seeds: schemes are parted, too."""
    workdir = tmp_path / "w"
    done = finished(on_hosts(plan, workdir, count))
    assert [one.member_steps for one in done] == [12 * 4] * count
    assert contents(workdir) == contents(whole)
    manifest = store.read_manifest(workdir)
    assert sum(one["member_steps"] for one in manifest["sessions"]) == 12 * 4
    again = on_hosts(plan, workdir, count)
    assert [one.member_steps for one in again] == [0] * count
    assert run(plan, workdir, "command").member_steps == 0


@pytest.mark.parametrize("then", [0, 1, 3])
def test_another_number_of_hosts_goes_on(plan, whole, then, tmp_path):
    """Two begin, and both stop as one of them is asked to; 0 is a run without hosts."""
    workdir = tmp_path / "w"
    begun = on_hosts(plan, workdir, 2, {1: stopping(2, checkpoint_every=0.0)})
    assert [one.finished for one in begun] == [False, False]
    assert not status_overview(workdir)["done"]
    if then:
        rest = finished(on_hosts(plan, workdir, then))
    else:
        rest = [run(plan, workdir, "command")]
    assert 0 < rest[0].member_steps == 12 * 4 - begun[0].member_steps
    assert contents(workdir) == contents(whole)


def test_hosts_go_on_with_what_one_began(plan, whole, tmp_path):
    workdir = tmp_path / "w"
    assert not run(plan, workdir, "command", stopping(3, checkpoint_every=0.0)).finished
    finished(on_hosts(plan, workdir, 3))
    assert contents(workdir) == contents(whole)


def test_fresh_seeds_are_shared_too(plan, tmp_path):
    study = STUDY.replace(
        depth=1, seeds=2, steps=60, batch_size=32, width=4, fresh_seeds=3
    )
    plan = make_plan(study)
    assert run_with_fresh_seeds(plan, tmp_path / "one", "command").finished

    def act(those, received):
        return run_with_fresh_seeds(plan, tmp_path / "w", "command", None, those)

    finished(together(act, 2))
    name = plan.programs[0].program.id
    found, expected = (tmp_path / which / store.FRESH / name for which in ("w", "one"))
    assert contents(found) == contents(expected)
    assert contents(tmp_path / "w") == contents(tmp_path / "one")


def test_every_wave_is_one_hosts(plan):
    programs = [plan.programs[0]._replace(waves=waves) for waves in (3, 2)]
    for count in range(1, 7):
        shares = [waves_of_host(programs, host, count) for host in range(count)]
        found = [
            (program.waves, wave)
            for share in shares
            for program, waves in share
            for wave in waves
        ]
        expected = [(p.waves, wave) for p in programs for wave in range(p.waves)]
        assert sorted(found) == sorted(expected)
        sizes = [sum(len(waves) for _, waves in share) for share in shares]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rates": (0.1, 0.2)}, "its study is"),
        ({"steps": 5}, "its study is"),
    ],
)
def test_hosts_with_another_study_are_refused_before_a_step(
    plan, change, said, tmp_path
):
    other = make_plan(STUDY.replace(**change))

    def act(those, received):
        here = other if those.place.process == 1 else plan
        return run_on_hosts(here, tmp_path / "w", "command", Control(), those)

    for error in together(act, 2):
        assert str(error).startswith("process 1 runs something else than process 0: ")
        assert said in str(error) and error.exit_code == ExitCode.DAMAGED
    assert not (tmp_path / "w").exists()


def test_hosts_with_other_code_are_refused_before_a_step(plan, tmp_path, monkeypatch):
    facts, calls = module._facts, itertools.count()

    def other_once(plan):
        return facts(plan) | ({"code of init_study": "0"} if next(calls) else {})

    monkeypatch.setattr(module, "_facts", other_once)
    for error in on_hosts(plan, tmp_path / "w", 2):
        assert "its code of init_study is" in str(error)
    assert not (tmp_path / "w").exists()


def test_hosts_of_other_kinds_are_told(plan, tmp_path, monkeypatch, caplog):
    kinds = iter(["cpu cpu", "gpu H100"])
    monkeypatch.setattr(module, "device_kind", lambda: next(kinds))
    finished(on_hosts(plan, tmp_path / "w", 2))
    assert "the last bits of a member depend" in caplog.text


def test_hosts_that_see_other_folders_are_refused(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_UNTIL_SEEN", 0.3)

    def act(those, received):
        workdir = tmp_path / f"w{those.place.process}"
        return run_on_hosts(plan, workdir, "command", Control(), those)

    first, second = together(act, 2)
    assert "is not the folder that process 0 holds" in str(second)
    assert str(first).startswith("process 1 ended: --workdir=")
    assert first.exit_code == second.exit_code == ExitCode.NO_PLACE
    assert not (tmp_path / "w1").exists()


def test_a_folder_in_use_is_said_on_every_host(plan, tmp_path):
    """As by the same run on another number of hosts."""
    store.open_workdir(tmp_path / "w", STUDY)
    with store.lock(tmp_path / "w"):
        first, second = on_hosts(plan, tmp_path / "w", 2)
    assert "is in use by process" in str(first)
    assert first.exit_code == second.exit_code == ExitCode.NO_PLACE
    assert str(second).startswith("process 0 ended: --workdir=")


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stop_between_a_run_and_its_fresh_seeds_stops_all(
    plan, tmp_path, monkeypatch, stopped
):
    """Whichever process it comes to, and before the others know of it."""
    study = STUDY.replace(fresh_seeds=2, steps=60, batch_size=32, seeds=2)
    plan = make_plan(study)
    run_there = fresh_seeds.run_on_hosts

    def run_and_stop(*given):
        done = run_there(*given)
        those = given[-1]
        if those.place.process == stopped:
            those._received.append(signal.SIGTERM)
        return done

    monkeypatch.setattr(fresh_seeds, "run_on_hosts", run_and_stop)

    def act(those, received):
        control = Control(stop_requested=lambda: bool(received))
        return run_with_fresh_seeds(plan, tmp_path / "w", "command", control, those)

    assert [done.finished for done in together(act, 2)] == [False, False]
    assert not (tmp_path / "w" / store.FRESH).exists()


def test_all_hosts_go_on_or_none():
    def act(those, received):
        control = Control(stop_requested=lambda: those.place.process == 1)
        return fresh_seeds._goes_on(Outcome(True, 0, 0.0), control, those)

    assert together(act, 3) == [False, False, False]


def test_a_host_that_is_stopped_alone_waits_for_nobody(tmp_path):
    plan, received = make_plan(STUDY.replace(fresh_seeds=2)), [signal.SIGTERM]
    began = time.monotonic()
    with join_hosts(Place(0, 2, "localhost", free_port()), received) as those:
        control = Control(stop_requested=lambda: bool(received))
        done = run_with_fresh_seeds(plan, tmp_path / "w", "command", control, those)
    assert not done.finished and not (tmp_path / "w").exists()
    assert time.monotonic() - began < 20


def test_a_manifest_is_found_while_others_come_and_go(tmp_path):
    """Checkpoints are not looked through: their folders change under one's feet."""
    for name in ("a", "b/c", "checkpoints/x", "b/checkpoints/3"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / store.MANIFEST).touch()
    found = [path.parent for path in drift._manifests_below(tmp_path)]
    assert found == [tmp_path / "a", tmp_path / "b/c"]


def test_spectra_are_of_one_host(plan, tmp_path):
    with (
        join_hosts(Place(0, 1, "localhost", free_port()), []) as those,
        pytest.raises(UserError, match="leave it out, or --distributed"),
    ):
        run_on_hosts(plan, tmp_path / "w", "c", Control(spectra=True), those)


def share(count, workdir, cwd, **changes):
    """Processes of the launcher that share a run on this machine."""
    port, fields = free_port(), {"seeds": "4", "steps": "400"} | changes
    return [
        start(
            "run",
            *tiny(**fields),
            "--distributed",
            f"--coordinator=localhost:{port}",
            f"--processes={count}",
            f"--process={process}",
            f"--workdir={workdir}",
            "--checkpoint_every=0",
            cwd=cwd,
        )
        for process in range(count)
    ]


def ends(running):
    told = [process.communicate() for process in running]
    codes = [process.returncode for process in running]
    return codes, [out for out, _ in told], [err for _, err in told]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_a_run(count, tmp_path):
    """On a number of processes, to the bytes of one; one page, by process 0."""
    running = share(count, tmp_path / "w", tmp_path, depth="1,2")
    codes, outs, errs = ends(running)
    assert codes == [0] * count, errs
    assert all(is_progress(err) for err in errs), errs
    assert "report:" in outs[0]
    for process, out in list(enumerate(outs))[1:]:
        assert out.startswith(f"process {process} of {count} has done its part")
    flags = [
        *tiny(seeds="4", steps="400", depth="1,2"),
        f"--workdir={tmp_path / 'alone'}",
    ]
    assert launch("run", *flags, cwd=tmp_path)[0] == 0
    assert contents(tmp_path / "w") == contents(tmp_path / "alone")
    # As a run of one host it has nothing left to do.
    code, out, _ = launch("run", *flags[:-1], f"--workdir={tmp_path / 'w'}", cwd=ROOT)
    assert code == 0 and "report:" in out


def saved(workdir, wave):
    """Steps that a wave has whole checkpoints of."""
    found = workdir.glob(f"waves/*-000{wave}/checkpoints/*/*")
    return [int(path.name) for path in found if path.name.isdecimal()]


def long_run(tmp_path, count=2):
    running = share(count, tmp_path / "w", tmp_path, steps="200000", width="8")
    wait_until(lambda: all(any(saved(tmp_path / "w", wave)) for wave in range(count)))
    return running


def python_of(process):
    """The launcher itself, below the `timeout` that would end it."""
    (child,) = (
        (ROOT / f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    )
    return int(child)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds children by /proc")
@pytest.mark.parametrize("victim", [0, 1])
def test_a_signal_to_one_process_saves_all(tmp_path, victim):
    running = long_run(tmp_path)
    os.kill(python_of(running[victim]), signal.SIGTERM)
    codes, outs, errs = ends(running)
    assert codes == [75, 75], errs
    assert outs == ["", ""]
    for err in errs:
        assert "stopped and saved; go on with: python " in err
        assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds children by /proc")
@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_process_ends_the_other_within_a_minute(tmp_path, victim):
    running = long_run(tmp_path)
    began = time.monotonic()
    os.kill(python_of(running[victim]), signal.SIGKILL)
    codes, _, errs = ends(running)
    assert time.monotonic() - began < 60
    other = 1 - victim
    assert codes[other] == 75
    (line,) = [line for line in errs[other].splitlines() if "error" in line]
    assert re.match(rf"error: process {victim}.* does not answer; what was saved", line)
    assert max(saved(tmp_path / "w", other)) > 0
    # What is left goes on on one host.
    rest = start(
        "run",
        *tiny(seeds="4", steps="200000", width="8"),
        f"--workdir={tmp_path / 'w'}",
        cwd=tmp_path,
    )
    time.sleep(15)
    os.kill(python_of(rest), signal.SIGINT)
    _, err = rest.communicate()
    assert rest.returncode == 130 and "Traceback" not in err, err


@pytest.mark.slow
def test_a_coordinator_that_does_not_answer_is_one_line_after_a_minute(tmp_path):
    began = time.monotonic()
    code, out, err = launch(
        "run",
        *tiny(),
        "--distributed",
        f"--coordinator=localhost:{free_port()}",
        "--processes=2",
        "--process=1",
        cwd=tmp_path,
    )
    assert 60 <= time.monotonic() - began < 90
    assert (code, out) == (75, "") and len(err.splitlines()) == 1
    assert "does not answer at --coordinator=localhost:" in err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--distributed", "--process=2", "--processes=2", "--coordinator=a:1"],
            "none",
        ),
        (["--process=1"], "--distributed"),
        (["--distributed", "--part=1/2"], "parts do not wait"),
        (["--distributed", "--until=decided"], "a race is run on one host"),
        (["--distributed", "--processes=-1"], "--processes"),
    ],
)
def test_flags_that_cannot_be_together_are_refused(flags, said, tmp_path):
    code, out, err = launch("run", *tiny(), *flags, cwd=tmp_path)
    assert (code, out) == (64, "") and said in err and len(err.splitlines()) == 1
