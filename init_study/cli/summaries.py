"""The first line of each docstring in a table of names, read without importing it.

    MODELS: dict[str, type[nn.Module]] = {"cnn": CNN, "lenet": LeNet}

Importing such a table imports JAX and Flax, seconds for a list that is printed at once.
So the table is read as text: its names, where each value is imported from, and what the
docstring there says.
"""

import ast
import functools
from pathlib import Path

import init_study

_PACKAGE = Path(init_study.__file__).parent


def first_lines(module: str, table: str) -> dict[str, str]:
    """Read the summary of each value of a table, by its name in the table.

    Args:
        module: of the package, with its full name.
        table: a dict literal there; `**{... for ... in OTHER.items()}` in it stands for
            all names of the table `OTHER`.
    """
    module, found = _find(module, table)
    assert isinstance(found, ast.Dict), f"{module}.{table} is no dict literal"
    lines: dict[str, str] = {}
    for key, value in zip(found.keys, found.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(value, ast.Name):
            lines[str(key.value)] = _summary(module, value.id)
        elif isinstance(value, ast.DictComp):
            lines |= first_lines(module, _iterated(value))
        else:
            raise TypeError(f"{module}.{table}: a row that cannot be read as text")
    return lines


def _iterated(comprehension: ast.DictComp) -> str:
    """`OTHER` of `{... for ... in OTHER.items()}`."""
    names = [
        node.id
        for node in ast.walk(comprehension.generators[0].iter)
        if isinstance(node, ast.Name)
    ]
    return names[0]


def _summary(module: str, name: str) -> str:
    _, found = _find(module, name)
    assert isinstance(found, ast.FunctionDef | ast.ClassDef), f"{module}.{name}"
    return (ast.get_docstring(found) or "").partition("\n")[0]


def _find(module: str, name: str) -> tuple[str, ast.AST]:
    """Find what a module's name stands for, and the module that makes it."""
    for node in _source(module).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _find(node.module, alias.name)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return module, node
        elif isinstance(node, ast.AnnAssign) and node.value:
            if isinstance(node.target, ast.Name) and node.target.id == name:
                return module, node.value
    raise LookupError(f"{module} makes no {name}")


@functools.cache
def _source(module: str) -> ast.Module:
    place = _PACKAGE.joinpath(*module.split(".")[1:])
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))
