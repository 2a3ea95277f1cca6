"""What the README says is there is there; its main command is run by a slow test."""

import re
import shlex
from pathlib import Path

import pytest
from calling import launch, tiny

from init_study.cli.command_line import read_command_line
from init_study.cli.invocation import make_invocation
from init_study.study.files import load_study, study_files

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *study_files(ROOT / "experiments")]
SITE = ROOT / "docs"
WITH_PYTHON = [
    ROOT / "README.md",
    *(p for d in ("start", "howto") for p in (SITE / d).glob("*.md")),
]
# Parts of commands that are read only, and why.
NOT_RUN = {
    "claims": "a slow test runs all of it shrunk",
    "published": "tests of the launcher run one",
    "--until": "tests of the launcher run a race",
    "--member": "a test of the launcher exports one",
    "--watch": "it ends with its run; tests of the page watch one",
    "tune": "it times what tests cannot hold it to",
    " show": "slow tests run it",
    " advise": "tests of the word run it",
    "fashion_mnist": "the data are not here",
    "fashion_depth": "the data are not here",
    "nets_of_the_article": "the data are not here",
    "cifar10": "the data are not here",
    "data --dataset": "tests of the word prepare a set",
    "data --check": "it reads all that whoever tests has",
    "none,batch": "four programs; two are enough",
    "my_study.py": "it is any study",
    "--distributed": "tests of the page run it on hosts that they make",
}
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


@pytest.mark.slow
def test_the_default_study_runs_shrunk(tmp_path):
    """Of its kind `test_the_commands_run_shrunk` runs always."""
    small = "--study.steps=2 --study.seeds=1 --study.width=2 --study.depth=1,2"
    code, out, err = launch(*small.split(), cwd=tmp_path)
    assert code == 0, err
    assert all(scheme in out for scheme in ("zeros", "xavier_uniform", "torch"))


def python_of(text):
    """Blocks of Python; one that imports nothing is a sketch."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "import " in block]


@pytest.mark.parametrize("path", sorted(WITH_PYTHON), ids=lambda p: p.stem)
def test_the_python_of_a_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for block in python_of(path.read_text()):
        # A run of the reader's own is not here; see below.
        if "runs/" not in block:
            exec(block, names)


def word_of(command):
    """The word of a command; `--` where flags alone are given, or nothing."""
    _, _, *argv = command.split()
    return argv[0] if argv and not argv[0].startswith("--") else "--"


def test_the_commands_run_shrunk(call, tmp_path):
    """In one folder and in an order that makes sense; then Python on what they made."""
    module = next(iter(python_of((SITE / "howto" / "own_module.md").read_text())))
    (tmp_path / "my_net.py").write_text(module)
    order = "plan -- audit run status repair report export list data gain".split()
    without_study = ("list", "data", "gain")
    shrunk = [c for c in COMMANDS if not any(part in c for part in NOT_RUN)]
    for command in sorted(shrunk, key=lambda c: order.index(word_of(c))):
        _, _, *argv = shlex.split(command)
        if word_of(command) not in without_study and "--help" not in argv:
            given = re.findall(r"--study\.(\w+)", command)
            # What names a scheme itself has no others.
            given += ["schemes"] * ("--scheme=" in command)
            given += ["depth", "width"] * ("model=" in command)
            argv += tiny(**dict.fromkeys(given))
        code, _, err = call(*argv)
        # Of a net that is tiny an audit has something to say.
        assert code == 0 or (code, "--fail-on" in command) == (1, True), (command, err)
    run = next((tmp_path / "runs").glob("first_look-*"))
    blocks = [b for path in WITH_PYTHON for b in python_of(path.read_text())]
    on_runs = [block for block in blocks if "runs/" in block]
    assert on_runs
    for block in on_runs:
        names = {}
        exec(re.sub(r"runs/[\w-]+", str(run), block), names)
        assert len(names["records"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_main_command_answers(tmp_path):
    code, out, err = launch(cwd=tmp_path, limit=800)
    assert code == 0, err
    assert "he_normal" in out and "report: " in out
