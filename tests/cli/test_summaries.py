"""What `list` reads from the sources is what the imported tables say."""

import inspect

import pytest

from init_study.cli.summaries import first_lines
from init_study.cli.words.list import every_kind
from init_study.data import DATASETS
from init_study.initializers import INITIALIZERS
from init_study.models import MODELS
from init_study.schemes import SCHEMES


@pytest.mark.parametrize(
    ("module", "name", "table"),
    [
        ("init_study.models", "MODELS", MODELS),
        ("init_study.initializers", "INITIALIZERS", INITIALIZERS),
        ("init_study.schemes", "SCHEMES", SCHEMES),
    ],
)
def test_the_lines_are_those_of_the_docstrings(module, name, table):
    said = {
        key: (inspect.getdoc(one) or "").split("\n")[0] for key, one in table.items()
    }
    assert first_lines(module, name) == said
    assert list(said) == list(first_lines(module, name))
    assert all(line.endswith(".") for line in said.values())


def test_there_is_a_line_for_everything():
    kinds = every_kind()
    names = ["studies", "results", "models", "datasets", "initializers", "schemes"]
    assert list(kinds) == names
    assert all(line for kind in kinds.values() for line in kind.values())
    assert set(DATASETS) < set(kinds["datasets"])
    shipped = {"first_look", "fashion_depth", "foretelling", "nets_of_the_article"}
    assert shipped == set(kinds["studies"])


def test_what_is_not_there_is_said():
    with pytest.raises(LookupError, match="makes no NOTHING"):
        first_lines("init_study.models", "NOTHING")
