"""Exponents are those of the points, and what grows is measured as it is said."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from calling import finish

from benchmarks.power_laws import fitted, growth_table

ROOT = Path(__file__).resolve().parents[2]


def test_an_exponent_has_the_interval_of_its_scatter():
    """Of y = 2 x^1.5 with scatter s on logarithms; the slope's own error is
    s / √Σ(x − mean)²."""
    x = np.array([2.0, 4, 8, 16, 32, 64])
    noise = 0.1 * np.array([1.0, -1, 1, -1, 1, -1])
    points = [
        {"members": int(a), "step": float(b)}
        for a, b in zip(x, 2 * x**1.5 * np.exp(noise), strict=True)
    ]
    one = fitted("members", points)["step"]
    logs = np.log(x) - np.log(x).mean()
    slope = 1.5 + (logs * noise).sum() / (logs**2).sum()
    left = noise - (slope - 1.5) * logs - noise.mean()
    error = np.sqrt((left**2).sum() / 4 / (logs**2).sum())
    # Student's t with 4 degrees of freedom.
    assert one["exponent"] == pytest.approx(slope)
    assert one["high"] - one["exponent"] == pytest.approx(2.776 * error, rel=1e-3)
    assert one["last"] == pytest.approx(1.5 - 0.2 / np.log(2))
    assert one["n"] == 6


def test_what_was_not_taken_and_too_few_points_have_no_exponent():
    points = [
        {"width": w, "step": w, "saving": s} for w, s in ((8, 0), (16, 1), (32, 2))
    ]
    assert fitted("width", points).keys() == {"step"}


def test_the_table_has_a_row_for_each_measure():
    points = [{"depth": d, "step": 3.0 * d, "bytes": 7.0} for d in (4, 8, 16)]
    record = {"axis": "depth", "arithmetic": 1, "points": points}
    table = growth_table([record | {"exponents": fitted("depth", points)}])
    assert "| depth | 4 | 16 | 1 | step | 1.00 (1.00 to 1.00) | 1.00 |" in table
    assert "| depth | 4 | 16 | 1 | bytes | 0.00 (0.00 to 0.00) | 0.00 |" in table


def run_growth(*flags):
    return finish(
        [sys.executable, "-m", "benchmarks.growth", *flags],
        limit=300,
        check=False,
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )


@pytest.mark.slow
def test_populations_and_runs_are_measured(tmp_path):
    path = tmp_path / "growth.json"
    done = run_growth("--axes=members,schemes", "--most=5", f"--json={path}")
    assert done.returncode == 0, done.stderr
    members, schemes = json.loads(path.read_text())["axes"]
    assert [point["members"] for point in members["points"]] == [2, 4]
    for point in members["points"]:
        assert min(point[k] for k in ("compile", "step", "evaluate", "bytes")) > 0
    assert [point["schemes"] for point in schemes["points"]] == [1, 2, 5]
    assert schemes["exponents"]["page"]["n"] == 3
    assert "| schemes | 1 | 5 | 1 | page |" in done.stdout


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--axes=member", "Did you mean 'members'"),
        ("--most=1", "--most=1: members begins at 2"),
        ("--json=nowhere/growth.json", "its folder is not there"),
    ],
)
def test_what_cannot_grow_is_one_line(flag, words):
    done = run_growth(flag)
    assert done.returncode == 1 and words in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
