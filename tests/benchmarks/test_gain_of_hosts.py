"""Hosts are measured at the nets of the other benchmarks, to the same records."""

import json
import sys

import pytest
from calling import ROOT, finish

from benchmarks import host_runs
from benchmarks.cases import CASES
from benchmarks.host_runs import Shared, Taken
from init_study.errors import UserError
from init_study.models import build_model


def run_hosts(*flags, limit=100):
    command = [sys.executable, "-m", "benchmarks.hosts", *flags]
    return finish(command, limit=limit, check=False, cwd=ROOT)


@pytest.mark.parametrize(
    ("flag", "near"),
    [("--cases=tinny", "Did you mean 'tiny'"), ("--hosts=4000", "cores can be used")],
)
def test_what_cannot_be_measured_is_one_line(flag, near):
    done = run_hosts(flag)
    assert done.returncode == 1 and near in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("case", host_runs.CASES)
def test_the_launcher_is_told_of_the_same_net(case):
    words = dict(
        flag.removeprefix("--study.").split("=") for flag in host_runs.CASES[case]
    )
    size = int(words.pop("image_size", 8))
    model = words.pop("model", "cnn")
    built = build_model(model, 10, {name: int(words[name]) for name in words})
    assert built == CASES[case].module
    assert CASES[case].image_shape == (size, size, 1)


def test_one_that_recorded_otherwise_ends_it(monkeypatch):
    taken = {"one": Taken(8.0, 12.0, b"all"), "hosts": Taken(4.0, 8.0, b"all")}
    taken["apart"] = Taken(5.0, 6.0, b"some")
    monkeypatch.setattr(host_runs, "run", lambda way, _: taken[way])
    shared = Shared("tiny", members=3, hosts=2, steps=16)
    found = host_runs.turn(shared)
    assert found == {"rate": 6.0, "hosts": 2.0, "apart": 1.6, "command": 1.5}
    taken["hosts"] = taken["hosts"]._replace(records=b"other")
    with pytest.raises(UserError, match="tiny: 2 hosts recorded what one does not"):
        host_runs.turn(shared)


@pytest.mark.slow
def test_two_hosts_are_measured_beside_one(tmp_path):
    path = tmp_path / "hosts.json"
    flags = ("--cases=tiny", "--members=2", "--seconds=1", "--repeats=1")
    done = run_hosts(*flags, f"--json={path}", limit=400)
    assert done.returncode == 0, done.stderr
    assert "| tiny | " in done.stdout
    (turn,) = json.loads(path.read_text())["tiny"]
    assert turn["rate"] > 0 and turn["command"] > 0
    assert 0.2 < turn["hosts"] < 4 and 0.2 < turn["apart"] < 4
