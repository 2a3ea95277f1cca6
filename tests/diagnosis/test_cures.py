"""What a cure names is there: schemes, functions of this package, flags."""

import importlib
import re

import pytest

from init_study.cli.options import BY_NAME
from init_study.diagnosis.rules import TRAPS
from init_study.schemes import parse_scheme

CURES = [pytest.param(trap.cure, id=trap.id) for trap in TRAPS.values()]


@pytest.mark.parametrize("cure", CURES)
def test_a_cure_names_what_is_there(cure):
    for scheme in re.findall(r"scheme=(?:'|\")([\w.()]+)(?:'|\")", cure):
        if not scheme.startswith("by_rule"):
            parse_scheme(scheme)
    for name in re.findall(r"\binit_study(?:\.\w+)+", cure):
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), name
    for flag in re.findall(r"--([\w.]+)", cure):
        assert flag in BY_NAME or flag.startswith("xla_"), flag


def test_every_trap_says_all_that_it_has_to():
    for name, trap in TRAPS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert all([trap.what, trap.why, trap.cure, trap.source]), name
        assert trap.why.endswith("."), name
