"""The reference page is made from the docstrings as they are, and they say enough."""

import inspect
import re
from pathlib import Path

import pytest

from init_study.cli.catalogue import reference_page
from init_study.initializers import INITIALIZERS
from init_study.schemes import SCHEMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalogue.md"


def test_the_page_is_what_the_docstrings_say():
    command = "python -m init_study.cli.catalogue > docs/catalogue.md"
    assert PAGE.read_text() == reference_page(), f"run {command}"


@pytest.mark.parametrize("name", SCHEMES)
def test_every_entry_says_when_to_use_it_and_when_not(name):
    factory = INITIALIZERS.get(name, SCHEMES[name])
    doc = inspect.getdoc(factory) or ""
    assert len(re.findall(r"^Use: \S", doc, re.MULTILINE)) == 1
    assert len(re.findall(r"^When not: \S", doc, re.MULTILINE)) == 1
    assert f"### `{name}(" in reference_page()


def test_there_are_as_many_as_promised():
    assert len(INITIALIZERS) >= 35
    assert len(SCHEMES) - len(INITIALIZERS) >= 25


def test_nothing_on_the_page_is_a_python_object():
    assert " object at 0x" not in reference_page()
    assert "<function" not in reference_page()
