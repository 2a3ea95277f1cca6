"""Flags and studies that nobody means are refused in a line, or are what they say."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from init_study.cli.command_line import read_command_line
from init_study.cli.invocation import make_invocation
from init_study.cli.options import WORDS, options_of
from init_study.errors import UserError
from init_study.study import Study, field_types
from init_study.study.files import load_study

fuzzed = settings(max_examples=500, deadline=None, database=None, derandomize=True)

# What is near to a value that is meant, and what is not.
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from((2**31, 10**40, True)))
names = st.sampled_from(
    ("he_normal", "zeros", "xavier_uniform", "cnn", "sgd", "1e-400")
)
values = st.one_of(st.text(max_size=40), numbers.map(str), names)
listed = st.lists(values, max_size=4).map(",".join)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20) | names,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def command_lines(draw):
    word = draw(st.sampled_from(sorted(WORDS)))
    flags = st.sampled_from([*options_of(word), "none_such", "study.none_such"])
    given_flags = draw(st.lists(flags, max_size=3, unique=True))
    words = [f"--{name}={draw(values | listed)}" for name in given_flags]
    return draw(st.permutations([word, *words]))


def is_one_line(error):
    said = str(error)
    return 0 < len(said) < 1500 and "\n" not in said.strip() and "Traceback" not in said


@given(command_lines())
@fuzzed
def test_a_command_line_is_read_or_refused(words):
    words = [word.replace("\0", "") for word in words]
    try:
        line = read_command_line(words)
        make_invocation(line.word or "run", line.values, ["launch.py", *words])
    except UserError as error:
        assert is_one_line(error), error


@given(
    st.dictionaries(st.sampled_from([*field_types(), "none_such"]), plain, max_size=4)
)
@fuzzed
def test_a_study_s_file_is_read_or_refused(odd):
    fields = {"schemes": ["zeros"], "learning_rates": [0.1], "seeds": 2} | odd
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "odd.json"
        path.write_text(json.dumps(fields))
        try:
            study = load_study(str(path), Path(folder))
        except UserError as error:
            assert is_one_line(error), error
            return
    assert Study.from_dict(json.loads(json.dumps(study.to_dict()))) == study


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@fuzzed
def test_a_file_that_is_no_study_is_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "odd.json"
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            load_study(str(path), Path(folder))
    assert is_one_line(caught.value)
