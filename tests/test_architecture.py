"""Imports go downwards only, and only some modules touch the disk."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "init_study"
# From the bottom up: a part may import from its own line and from those above it here.
LAYERS = [
    {"errors"},
    {"jaxprs"},
    {"activations", "fields", "conv"},
    {"graph"},
    {"layers"},
    {"additions"},
    {"theory"},
    {"initializers"},
    {"study"},
    {"network", "models", "data", "execution"},
    {"signals", "gains"},
    {"stand_ins"},
    {"propagation"},
    {"schemes", "train"},
    {"initialization", "instruments", "spectra"},
    {"plan", "store"},
    {"population"},
    {"manifest", "timing", "experiments", "measuring"},
    {"tuning"},
    {"estimate"},
    {"run", "overview", "inspection"},
    {"answers"},
    {"race", "examine"},
    {"report"},
    {"catalogue"},
    {"terminal"},
]
# Answers and the report hang off the files of a run, never off live objects.
READERS = {"answers", "report"}
READERS_MAY_IMPORT = {"errors", "study", "store", "answers", "report"}
DISK = {
    "run",
    "race",
    "examine",
    "store",
    "data",
    "report",
    "manifest",
    "experiments",
    "execution",
}


def modules():
    """(part, path): a package is one part."""
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part != "__init__":
            yield part, path


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "init_study":
                names = [f"init_study.{alias.name}" for alias in node.names]
            else:
                names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("init_study."):
                yield name.split(".")[1]


@pytest.mark.parametrize(
    ("part", "path"), list(modules()), ids=lambda value: getattr(value, "name", value)
)
def test_imports_go_downwards(part, path):
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    for other in imported_parts(path):
        assert level[other] <= level[part], f"{part} imports {other}"
        if part in READERS:
            assert other in READERS_MAY_IMPORT, f"{part} imports {other}"


@pytest.mark.parametrize(
    ("part", "path"), list(modules()), ids=lambda value: getattr(value, "name", value)
)
def test_only_some_touch_the_disk_and_none_the_flags(part, path):
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        name = getattr(node, "id", getattr(node, "attr", ""))
        if name in ("open", "write_text", "write_bytes", "mkdir", "unlink", "rename"):
            assert part in DISK, f"{part} touches the disk: {name}"
        assert name not in ("eval", "exec", "pickle"), f"{part} uses {name}"
    assert "absl.flags" not in text and "import flags" not in text


def test_the_budget_of_files_is_kept():
    long = {p.name: len(p.read_text().splitlines()) for _, p in modules()}
    assert {name: lines for name, lines in long.items() if lines > 350} == {}
