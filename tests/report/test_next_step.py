"""What the page says to type next, and the winner as code of other libraries."""

import os

import jax
import numpy as np
import pytest

from init_study.answers import compare_runs
from init_study.answers.made_up import made_up_run
from init_study.initializers import INITIALIZERS
from init_study.report.next_step import next_command
from init_study.report.snippets import LAWS, snippets


def undecided():
    """The made-up run, with a rival that learns as well as the best."""
    records, manifest = made_up_run()
    records = records.copy()
    rival = records["scheme"] == "zeros"
    same = records.loc[records["scheme"] == "he_normal", "value"].to_numpy()
    records.loc[rival, "value"] = np.where(
        records.loc[rival, "metric"] == "accuracy", same + 0.001, same
    )
    return compare_runs(records, manifest)


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (
            "python launch.py --study=a.py --workdir=w --study.seeds=9",
            "python launch.py run --until=decided --study=a.py",
        ),
        ("python launch.py", "python launch.py run --until=decided"),
        (
            "init-study run '--study.schemes=normal(0.1),zeros' --tensorboard",
            "init-study run --until=decided '--study.schemes=normal(0.1),zeros'",
        ),
        (
            "python launch.py run --study.steps 100 --workdir w --study=a",
            "python launch.py run --until=decided --study.steps 100 --study=a",
        ),
        (
            "python launch.py run --part=2/3 --study=a",
            "python launch.py run --until=decided --study=a",
        ),
        ("", ""),
        # Studies of these words are their own.
        ("python launch.py published --only=looks_linear", ""),
        ("init-study claims --quick", ""),
    ],
)
def test_what_is_open_can_be_decided_by_the_next_command(command, wanted):
    assert next_command(command, undecided()) == wanted
    assert next_command(command, compare_runs(*made_up_run())) == ""


def test_a_run_made_in_python_has_no_command():
    assert next_command("init_study.compare(...)", undecided()) == ""


SHAPE = (3, 3, 64, 128)


@pytest.mark.parametrize("scheme", LAWS)
def test_a_snippet_names_the_same_law_in_flax(scheme):
    ours = INITIALIZERS[scheme]()(jax.random.key(0), SHAPE)
    name = LAWS[scheme][0].removesuffix("()")
    theirs = getattr(jax.nn.initializers, name)()(jax.random.key(1), SHAPE)
    assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.01)
    code = dict(snippets(scheme))
    assert LAWS[scheme][0] in code["Flax"] and scheme in code["Any module"]


@pytest.mark.parametrize("scheme", LAWS)
def test_a_snippet_names_the_same_law_in_pytorch(scheme):
    torch = pytest.importorskip("torch")
    name, _, rest = LAWS[scheme][2].partition("(")
    options = dict(
        one.strip(" )").replace('"', "").split("=") for one in rest.split(",")[1:]
    )
    w = torch.empty(128, 64, 3, 3)
    getattr(torch.nn.init, name)(w, **options)
    ours = INITIALIZERS[scheme]()(jax.random.key(0), SHAPE)
    assert float(w.std()) == pytest.approx(float(ours.std()), rel=0.02)


@pytest.mark.parametrize("scheme", LAWS)
def test_a_snippet_names_the_same_law_in_keras(scheme):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    with jax.numpy_rank_promotion("allow"):
        theirs = np.asarray(keras.initializers.get(LAWS[scheme][1])(SHAPE))
    ours = INITIALIZERS[scheme]()(jax.random.key(0), SHAPE)
    assert theirs.std() == pytest.approx(float(ours.std()), rel=0.02)
