"""The suite keeps its own promises: the fast lane is whole, and no process is left."""

import ast
import signal
import sys
from pathlib import Path

import calling
import fast
import pytest

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("test_*.py"))


def names_of(path):
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_part_is_in_the_fast_lane():
    parts = {p.relative_to(TESTS).parts[0] for p in FILES if p.parent != TESTS}
    assert parts <= {path.partition("/")[0] for path in fast.FAST}


@pytest.mark.parametrize("path", fast.FAST)
def test_what_the_fast_lane_names_is_there(path):
    names = {name.partition("[")[0] for name in fast.FAST[path] or ()}
    assert names <= names_of(TESTS / path)


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda p: p.stem)
def test_processes_are_started_in_one_place(path):
    """What ends them for certain stands there."""
    starts = {"run", "Popen", "call", "check_call", "check_output", "system", "fork"}
    # Two of the fault matrix end theirs themselves: forks, and a parent that is killed.
    own = {"calling", "forks", "stops"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and path.stem not in own:
            of = ast.unparse(node.value)
            assert of not in ("os", "subprocess") or node.attr not in starts, node.attr


def test_a_process_and_its_children_are_killed():
    waits = "import signal; signal.pause()"
    child = f"subprocess.run([sys.executable, '-c', {waits!r}])"
    code = f"import subprocess, sys; {child}"
    done = calling.finish([sys.executable, "-c", code], limit=1, check=False)
    # The pipes are closed, or this would wait: no child holds them.
    assert done.returncode == -signal.SIGKILL
    process = calling.start("status", cwd=TESTS, limit=0.01)
    process.communicate()
    assert process.returncode == 128 + signal.SIGKILL
