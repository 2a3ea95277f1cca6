"""A spreadsheet that opens what is exported runs nothing of it."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from init_study import store
from init_study.answers.cells import as_cells
from init_study.study import Study

RUN = [
    '=HYPERLINK("http://example.org","y")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1,1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
]
PLAIN = [
    "zeros",
    "normal(0.02)",
    "he-normal",
    "a=b",
    "-0.5",
    "+1e-3",
    "-1e-3",
    "",
    "'x",
]


@pytest.mark.parametrize("text", RUN)
def test_a_text_that_would_be_run_has_an_apostrophe(text):
    table = pd.DataFrame({"name": [text, "zeros"], "value": [-0.5, 1e-3]})
    written = as_cells(table).to_csv(index=False)
    rows = list(csv.reader(io.StringIO(written, newline="")))
    # A return would end the row.
    shown = text.replace("\r", "\\r")
    assert rows[1] == [f"'{shown}", "-0.5"] and rows[2] == ["zeros", "0.001"]
    # What was given is as it was.
    assert table["name"][0] == text


def test_a_return_within_a_text_begins_no_row():
    table = pd.DataFrame({"name": ["a\r=1+1", "b"]})
    assert as_cells(table).to_csv(index=False) == "name\na\\r=1+1\nb\n"


def test_other_texts_and_numbers_come_back_as_they_were():
    table = pd.DataFrame(
        {
            "name": PLAIN,
            "value": np.linspace(-1, 1, len(PLAIN)),
            "step": range(-4, len(PLAIN) - 4),
            "none": [None] * len(PLAIN),
        }
    )
    assert as_cells(table) is table
    written = io.StringIO(as_cells(table).to_csv(index=False))
    back = pd.read_csv(written, dtype={"name": str}, keep_default_na=False)
    assert list(back["name"]) == PLAIN
    np.testing.assert_array_equal(back["value"], table["value"])


def test_the_launcher_exports_no_formula(call, tmp_path):
    """The name of a scheme is whatever a manifest from elsewhere says."""
    study = Study(
        schemes=(RUN[0],), learning_rates=(0.1,), seeds=(0, 1), model=(RUN[3],)
    )
    run = tmp_path / "run"
    store.open_workdir(run, study)
    facts = {"checksums": {}, "chance": 0.1, "validation": 1, "test": 1}
    store.write_manifest(
        run, {"study": study.to_dict(), "data": {"digits": facts}, "sessions": []}
    )
    losses = {"validation/loss": np.array([-2.0, 4.0])}
    store.Recorder(run).append(study.programs()[0], 0, losses)
    target = tmp_path / "all.csv"
    code, out, err = call("export", f"--workdir={run}", f"--to={target}", "--json")
    assert (code, json.loads(out)["records"]) == (0, 2), err
    with open(target, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["scheme"] for row in rows] == [f"'{RUN[0]}"] * 2
    assert [row["model"] for row in rows] == [f"'{RUN[3]}"] * 2
    assert [float(row["value"]) for row in rows] == [-2.0, 4.0]
    assert not [c for row in rows for c in row.values() if c.startswith(tuple("=+@"))]


def test_a_link_to_nothing_is_not_written_through(call, tmp_path):
    (tmp_path / "all.csv").symlink_to(tmp_path / "elsewhere.csv")
    code, _, err = call("export", "--workdir=w", f"--to={tmp_path / 'all.csv'}")
    assert code and "exists; name a new file" in err
    assert not (tmp_path / "elsewhere.csv").exists()
