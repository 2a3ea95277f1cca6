"""What the README says is there is there; its main command is run by a slow test."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from calling import finish, launch

from init_study.cli.command_line import read_command_line
from init_study.cli.invocation import make_invocation
from init_study.study.files import load_study, study_files

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *study_files(ROOT / "experiments")]
DOCS = [README, *(path.read_text() for path in PAGES)]
COMMANDS = sorted(
    {c for doc in DOCS for c in re.findall(r"python launch\.py[^`\n|]*", doc)}
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_words_and_flags_that_exist(command):
    _, *argv = shlex.split(command)
    line = read_command_line(argv[1:])
    # Studies in files of one's own are not there.
    if line.wants_help or "study" not in line.values:
        return
    if not line.values.study.endswith(".py"):
        assert make_invocation(line.word, line.values, argv).study


def test_every_file_that_is_named_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize(
    "path", study_files(ROOT / "experiments"), ids=lambda p: p.stem
)
def test_every_experiment_says_what_it_asks_costs_and_expects(path):
    study = load_study(str(path), ROOT / "experiments")
    text = path.read_text()
    for word in ("Command:", "Cost:", "Expected:"):
        assert word in text
    assert study.name == path.stem and study.question.endswith("?")


def test_the_default_study_runs_shrunk(tmp_path):
    small = "--study.steps=2 --study.seeds=1 --study.width=2 --study.depth=1,2"
    code, out, err = launch(*small.split(), cwd=tmp_path)
    assert code == 0, err
    assert all(scheme in out for scheme in ("zeros", "xavier_uniform", "torch"))


def test_the_python_of_the_readme_runs():
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    initializers = next(block for block in code if "kernel_init" in block)
    finish([sys.executable, "-c", initializers], cwd=ROOT)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_main_command_answers(tmp_path):
    code, out, err = launch(cwd=tmp_path, limit=800)
    assert code == 0, err
    assert "he_normal" in out and "report: " in out
