"""Every example in a docstring runs, and what a user calls by name has one.

An example sees the names of its module, the public ones of the package, and `jax`,
`jnp`, `np` and `nn`, as a notebook has them.
"""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import init_study
from init_study import theory
from init_study.errors import MissingPackage
from init_study.initializers import INITIALIZERS
from init_study.models import MODELS
from init_study.schemes import SCHEMES

PACKAGE = Path(init_study.__file__).parent
SHARED = {
    "jax": jax,
    "jnp": jnp,
    "np": np,
    "nn": nn,
    **{name: getattr(init_study, name) for name in init_study.__all__},
}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Examples that take more than a few seconds.
SLOW = {"init_study.schemes.propagated.autoinit"}
# Packages that an extra brings: where one is absent, its examples are skipped.
OPTIONAL = {"equinox", "haiku", "matplotlib", "pandas", "sklearn", "tensorboardX"}
# The list must only shrink: whoever writes an example takes its name out.
WITHOUT_EXAMPLE: set[str] = set()


def examples():
    """The docstrings with an example, by the dotted name of what they describe."""
    for path in sorted(PACKAGE.rglob("*.py")):
        words = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(words[:-1] if words[-1] == "__init__" else words)
        tree = ast.parse(path.read_text())
        for name, node in documented(tree, module):
            doc = ast.get_docstring(node)
            if doc and ">>>" in doc:
                marks = [pytest.mark.slow] if name in SLOW else []
                yield pytest.param(
                    module, name, doc, node.body[0].lineno, id=name, marks=marks
                )


def documented(node, name):
    """A module, class or function and all that is defined inside, with dotted names."""
    yield name, node
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from documented(inner, f"{name}.{inner.name}")


class Runner(doctest.DocTestRunner):
    """Skips an example whose package is not installed."""

    def report_unexpected_exception(self, out, test, example, exc_info):
        error = exc_info[1]
        cause = error.__cause__ if isinstance(error, MissingPackage) else error
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        if (missing or "").partition(".")[0] in OPTIONAL:
            pytest.skip(f"{missing} is not installed")
        super().report_unexpected_exception(out, test, example, exc_info)


@pytest.mark.parametrize(("module", "name", "doc", "line"), list(examples()))
def test_the_example_runs(module, name, doc, line, tmp_path, monkeypatch):
    # What an example writes goes with the test.
    monkeypatch.chdir(tmp_path)
    names = {**SHARED, **vars(importlib.import_module(module))}
    test = doctest.DocTestParser().get_doctest(doc, names, name, module, line - 1)
    said: list[str] = []
    failed, _ = Runner(optionflags=FLAGS).run(test, out=said.append)
    assert not failed, "".join(said)


def named():
    """The public names of the package and of its theory, and the rows of its tables."""
    yield from ((name, getattr(init_study, name)) for name in init_study.__all__)
    yield from ((f"theory.{name}", getattr(theory, name)) for name in theory.__all__)
    yield from INITIALIZERS.items()
    yield from ((n, f) for n, f in SCHEMES.items() if n not in INITIALIZERS)
    yield from MODELS.items()


def test_whatever_has_a_name_has_an_example():
    # A class does not inherit an example.
    docs = {name: inspect.cleandoc(thing.__doc__ or "") for name, thing in named()}
    without = {name for name, doc in docs.items() if "\nExample:\n    >>> " not in doc}
    assert without - WITHOUT_EXAMPLE == set(), "write an example"
    assert WITHOUT_EXAMPLE - without == set(), "has one by now: take it off the list"
