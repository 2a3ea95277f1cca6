"""Words that need no JAX do not wait for it."""

import json
import sys

import numpy as np
import pytest
from calling import ROOT, finish

from init_study import store
from init_study.study import Study

HEAVY = ("jax", "flax", "optax", "orbax", "sklearn", "tensorflow_datasets")
STUDY = Study(schemes=("he_normal",), learning_rates=(0.1,), seeds=1, steps=2)
CODE = """
import json, sys
from init_study.cli import main
code = main(["launch.py", *sys.argv[1:]])
print(json.dumps([code, sorted(name for name in sys.modules if "." not in name)]))
"""


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "w"
    folder.mkdir()
    data = {"train": 9, "validation": 9, "test": 9, "num_classes": 10, "chance": 0.1}
    data |= {"checksums": {}}
    manifest = {"study": STUDY.to_dict(), "data": {"digits": data}, "sessions": []}
    store.write_manifest(folder, manifest)
    recorder = store.Recorder(folder)
    (program,) = STUDY.programs()
    for step in (0, 1, 2):
        parts = ("validation", "train", "test") if step == 2 else ("validation",)
        values = {f"{part}/accuracy": np.array([0.5], np.float32) for part in parts}
        if step == 2:
            values["train/diverged_step"] = np.array([np.nan], np.float32)
        recorder.append(program, step, values)
    return folder


def imported(*words, cwd):
    """The exit code, and the packages that one call of the launcher imports."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = finish([sys.executable, "-c", CODE, *words], cwd=cwd, env=environment)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("list", 0),
        ("list --json --kind=schemes", 0),
        ("data", 0),
        ("data --json --data_dir=nowhere", 0),
        ("data --dataset=cifra10", 64),
        ("data --dataset=imagenet2012", 64),
        ("--help", 0),
        ("run --help", 0),
        ("run --only=x", 64),
        ("rnu", 64),
        ("--study.depth=0", 64),
        ("--study=nothing", 64),
        ("plan --study.dataset=digit", 64),
        ("published --only=nothing", 64),
        ("status --workdir=w", 0),
        ("status --workdir=nowhere", 64),
    ],
)
def test_neither_jax_nor_pandas(words, code, workdir):
    done, modules = imported(*words.split(), cwd=workdir.parent)
    assert done == code
    assert modules.isdisjoint({*HEAVY, "pandas", "scipy", "matplotlib"})


@pytest.mark.parametrize("words", ["export --to=out.csv", "report"])
def test_no_jax_where_tables_are_read(words, workdir):
    done, modules = imported(*words.split(), "--workdir=w", cwd=workdir.parent)
    assert done == 0 and "pandas" in modules
    assert modules.isdisjoint(HEAVY)
