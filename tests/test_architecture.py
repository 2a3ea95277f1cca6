"""Imports go downwards only; disk, devices and flags have rooms of their own; nothing
is too long, and no two files have one name."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "init_study"
# From the bottom up: a part may import from its own line and from those above it here.
# A part is a top-level file or package; the graph is one below the network it is in.
LAYERS = [
    {"errors", "interrupts", "host", "code_sums", "printable"},
    {"cluster"},
    {"activations", "jaxprs", "keys"},
    {"conv"},
    {"study", "theory"},
    {"initializers"},
    {"network.graph"},
    {"network"},
    {"models", "data", "execution"},
    {"optimizer", "train"},
    {"instruments"},
    {"mean_field"},
    {"schemes"},
    {"store", "plan"},
    {"engine"},
    {"drift"},
    {"handed"},
    {"manifest"},
    {"diagnosis"},
    {"run_records", "control"},
    {"run_program"},
    {"run"},
    {"shares", "run_on_hosts"},
    {"answers"},
    {"race_stages", "fresh_seeds"},
    {"race", "examine"},
    {"advice"},
    {"report"},
    {"api"},
    {"cli", "__main__"},
]
LEVEL = {name: i for i, layer in enumerate(LAYERS) for name in layer}
# Answers and the report hang off the files of a run, never off live objects.
READERS = {"answers", "report"}
READERS_MAY_IMPORT = {"errors", "printable", "study", "store", "answers", "report"}
# Parts and modules that may touch the disk.
DISK = {
    "run",
    "run_program",
    "race",
    "examine",
    "store",
    "data",
    "report",
    "manifest",
    # Git, and sums of the code that runs.
    "drift",
    "code_sums",
    "study.files",
    # What the kernel says of memory.
    "host",
    # /dev/null, for an answer that nobody reads any more.
    "cli.launcher",
    "cli.troubles",
    # Tables that could not be written whole are removed.
    "advice.settings",
    "cli.words.export",
}
OF_DEVICES = {
    "devices",
    "local_devices",
    "device_count",
    "local_device_count",
    "default_backend",
    "device_put",
    "make_mesh",
    "shard_map",
    "Mesh",
    "NamedSharding",
}
# The lists below must only shrink: who mends a file or function takes it out, and
# nothing comes in.
NAME_DEVICES = {
    "conv.forms": {"default_backend"},
    "plan": {"default_backend"},
    "theory.evaluation": {"local_devices"},
}
LONG_FILES = {}
LONG_FUNCTIONS = {}


def name_of(path):
    """For example `network.graph.dataflow`; a package is what its `__init__` is."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(name):
    """The part that a module is of, by its name inside the package."""
    words = name.split(".")
    return ".".join(words[:2]) if words[:2] == ["network", "graph"] else words[0]


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
# The package itself gives names of all parts, and imports hardly any by itself.
PARTS = {name: path for name, path in MODULES.items() if name}
every_module = pytest.mark.parametrize("name", PARTS)


def imported(path):
    """The names inside the package of the modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            # What is imported from a package may be a module of it.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            top, _, inner = name.partition(".")
            if top == "init_study" and inner:
                yield inner


def words_of(tree):
    """Every name and attribute in the code."""
    for node in ast.walk(tree):
        yield getattr(node, "id", getattr(node, "attr", ""))


def words_of_jax(tree):
    """What the code takes from JAX: `jax.x`, `jax.y.x`, and x imported from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("jax."):
            yield node.attr
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jax"):
            yield from (alias.name for alias in node.names)


@every_module
def test_imports_go_downwards(name):
    part = part_of(name)
    for other in imported(PARTS[name]):
        below = LEVEL[part_of(other)] <= LEVEL[part]
        # A package may name what is in it.
        assert below or part_of(other).startswith(f"{name}."), f"{name} imports {other}"
        if part in READERS:
            assert part_of(other) in READERS_MAY_IMPORT, f"{name} imports {other}"


def test_answers_do_not_know_the_report():
    for name, path in PARTS.items():
        if part_of(name) == "answers":
            assert "report" not in {part_of(other) for other in imported(path)}, name


@every_module
def test_only_some_touch_the_disk_and_none_the_flags(name):
    text = PARTS[name].read_text()
    may = part_of(name) in DISK or name in DISK
    for word in words_of(ast.parse(text)):
        if word in ("open", "write_text", "write_bytes", "mkdir", "unlink", "rename"):
            assert may, f"{name} touches the disk: {word}"
        assert word not in ("exec", "pickle"), f"{name} uses {word}"
    # A module's own `eval()` is another thing.
    tree = ast.parse(text)
    calls = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert "eval" not in calls, f"{name} uses eval"
    if part_of(name) != "cli":
        assert "absl.flags" not in text and "import flags" not in text


@every_module
def test_no_number_hangs_on_the_kind_of_keys_that_jax_makes(name):
    """A setting of a machine would change it: keys are `fixed_key`'s, or are given."""
    made = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(PARTS[name].read_text()))
        if isinstance(node, ast.Call)
    }
    assert name == "keys" or not made & {"jax.random.key", "jax.random.PRNGKey"}


def test_only_the_engine_names_devices():
    named = {}
    for name, path in PARTS.items():
        words = set(words_of_jax(ast.parse(path.read_text()))) & OF_DEVICES
        if words and part_of(name) != "engine":
            named[name] = words
    assert named == NAME_DEVICES


def measured():
    """What has a length: the package and the launcher, by name."""
    return {**MODULES, "launch.py": ROOT / "launch.py"}


def longer_than(most, lengths):
    return {name: lines for name, lines in lengths.items() if lines > most}


def check_against(allowed, found):
    """Nothing new is long, and what is long gets no longer."""
    assert {n: v for n, v in found.items() if v > allowed.get(n, 0)} == {}
    assert set(allowed) <= set(found), "short by now: take it out of the list"


def test_no_file_is_long():
    lengths = {n: len(p.read_text().splitlines()) for n, p in measured().items()}
    check_against(LONG_FILES, longer_than(300, lengths))


def functions(tree, prefix):
    """The name and the lines of every function, by class where it is in one."""
    for node in ast.iter_child_nodes(tree):
        inner = prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{prefix}.{node.name}"
            if not isinstance(node, ast.ClassDef):
                yield inner, (node.end_lineno or 0) - node.lineno + 1
        yield from functions(node, inner)


def test_no_function_is_long():
    lengths = {
        function: lines
        for name, path in measured().items()
        for function, lines in functions(ast.parse(path.read_text()), name)
    }
    check_against(LONG_FUNCTIONS, longer_than(60, lengths))


# One name, one meaning: members of a family that is called through its modules.
FAMILIES = {
    "adapt",  # an adapter of each framework
    "answer",  # of each word
    "convolution",  # in each form
    "read",  # a source of data
}


def test_no_two_things_have_one_name():
    names = Counter(
        name
        for path in PACKAGE.rglob("*.py")
        for name in {*_named(ast.parse(path.read_text()))}
        if not name.startswith("_")
    )
    assert {n for n, count in names.items() if count > 1} == FAMILIES


def _named(module):
    """What a module defines at its top: functions, classes, constants, types."""
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_no_two_files_have_one_name():
    exempt = {"__init__.py", "__main__.py", "README.md"}
    for top in (PACKAGE, ROOT / "tests"):
        files = [p for p in top.rglob("*") if p.is_file() and p.suffix != ".pyc"]
        # Words of the launcher are named as the user says them.
        files = [p for p in files if p.parent != PACKAGE / "cli" / "words"]
        counts = Counter(p.name for p in files if p.name not in exempt)
        assert [name for name, count in counts.items() if count > 1] == []
