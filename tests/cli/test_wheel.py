"""An installed wheel launches as a checkout does, experiments included."""

import importlib.metadata
import json
import os
import sys
import zipfile

import pytest
from calling import ROOT, finish, is_progress, launch, tiny

from init_study.cli import shipped


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder outside the checkout with the unpacked wheel of it."""
    version = importlib.metadata.version("setuptools")
    if int(version.split(".")[0]) < 77:
        pytest.skip(f"pyproject.toml needs setuptools 77, here is {version}")
    folder = tmp_path_factory.mktemp("wheel")
    # Whatever builds writes beside what it builds.
    source = folder / "source"
    kept = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = finish(kept, cwd=ROOT)
    for name in filter(lambda name: (ROOT / name).is_file(), names.stdout.split("\n")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    code = "from setuptools import build_meta; print(build_meta.build_wheel('..'))"
    built = finish([sys.executable, "-c", code], limit=200, cwd=source)
    wheel = folder / built.stdout.splitlines()[-1]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def module(installed, tmp_path):
    """`python -m init_study` of the wheel: exit code, output, standard error."""

    def call(*words):
        environment = os.environ | {"PYTHONPATH": str(installed)}
        launcher = ("-m", "init_study")
        return launch(*words, cwd=tmp_path, launcher=launcher, env=environment)

    return call


def test_the_wheel_holds_the_package_and_the_experiments_once(installed):
    top = {path.name for path in installed.iterdir()}
    assert {name.partition("-")[0] for name in top} == {"init_study"}
    for ours, theirs in (
        (ROOT / "init_study", installed / "init_study"),
        (ROOT / "experiments", installed / "init_study" / "experiments"),
    ):
        for path in ours.rglob("*"):
            if path.is_file() and path.suffix in (".py", ".css", ".html"):
                assert (theirs / path.relative_to(ours)).is_file(), path
    (facts,) = installed.glob("*.dist-info")
    script = "init-study = init_study.__main__:start"
    assert script in (facts / "entry_points.txt").read_text()


def test_words_and_names_of_studies(module, installed):
    code, out, err = module("list", "--json")
    assert code == 0 and err == ""
    studies = {p.stem for p in shipped.folder().glob("*.py")} - {"__init__"}
    assert set(json.loads(out)["studies"]) == studies
    code, out, err = module("--study=frist_look")
    assert code == 64 and "Did you mean 'first_look'" in err
    assert "python -m init_study list --kind=studies" in err
    code, out, err = module("plan", "--json", *tiny(schemes="he_normal"))
    assert code == 0 and json.loads(out)["members"] == 6


def test_a_run_says_how_to_repeat_it(module, tmp_path):
    code, out, err = module(*tiny(), "--workdir=w")
    assert code == 0 and is_progress(err), err
    manifest = json.loads((tmp_path / "w" / "manifest.json").read_text())
    assert manifest["command"].startswith("python -m init_study --study.schemes=")
    assert "report: w/report.html" in out


def test_a_published_result_and_the_models_of_claims(module, installed, tmp_path):
    code, out, err = module("published", "--only=low_precision_draws")
    assert code == 0 and "1 result: 1 reproduced" in out, err
    code = (
        "from init_study.cli.shipped import experiment\n"
        "from init_study.models import build_model\n"
        "for study in experiment('article').studies(True).values():\n"
        "    for name in study.model: build_model(name, 10, {})\n"
    )
    environment = os.environ | {"PYTHONPATH": str(installed)}
    finish([sys.executable, "-c", code], cwd=tmp_path, env=environment)
