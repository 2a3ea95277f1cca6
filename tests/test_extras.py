"""What is not installed is missed only where it is used, by one line with a cure."""

import re
import sys
import tomllib

import bare
import pytest

from init_study.errors import MissingPackage, UserError, extra
from init_study.models import build_model

PROJECT = tomllib.loads((bare.ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
INITIALIZERS_NEED = ("jax", "numpy", "jaxtyping")
BENCHMARKS_NEED = (
    *("jax", "flax", "optax", "orbax-checkpoint", "absl-py", "numpy", "jaxtyping"),
    "torch",
)
# What is done without which module, and the extra that helps.
USES = [
    ("import init_study; init_study.load('runs')", "pandas", "report"),
    ("from init_study.answers import compare_runs", "pandas", "report"),
    (
        "from init_study.report import write_report; write_report('runs')",
        "pandas",
        "report",
    ),
    (
        "from init_study.report import write_report; write_report('runs')",
        "matplotlib",
        "report",
    ),
    (
        "from init_study.report.scalars import Scalars; from init_study import Study\n"
        "    study = Study(schemes='zeros', learning_rates=1)\n"
        "    Scalars(pathlib.Path('runs'))._open(study)",
        "tensorboardX",
        "tensorboard",
    ),
    ("from init_study.data.sources import digits; digits.read()", "sklearn", "data"),
    (
        "from init_study.data import load_dataset; load_dataset('mnist')",
        "tensorflow_datasets",
        "data",
    ),
]


def requirements(name):
    lines = (bare.ROOT / name).read_text().splitlines()
    return {line for line in lines if not line.startswith(("#", "-r"))}


def brought_by(*names):
    """Of extras, with the extras that these name."""
    for name in names:
        for line in EXTRAS[name]:
            nested = re.fullmatch(r"init_study\[([\w,]+)\]", line)
            yield from brought_by(*nested[1].split(",")) if nested else [line]


def test_initializers_need_jax_alone(tmp_path):
    program = (
        "import jax; from init_study.initializers import gabor, he_normal\n"
        "for law in (he_normal(), gabor()):\n"
        "    print(law(jax.random.key(0), (3, 3, 4, 8)).shape)"
    )
    # JAX brings SciPy; what decomposes no matrix does without.
    blocked = [*bare.all_but(INITIALIZERS_NEED), "scipy"]
    assert {"flax", "optax", "absl", "pandas", "sklearn"} <= {*blocked}
    done = bare.python("-c", program, without=blocked, folder=tmp_path)
    assert done.stdout.split("\n")[:2] == ["(3, 3, 4, 8)"] * 2, done.stderr


def test_runs_need_the_core_alone(tmp_path):
    core = [re.split("[<>=]", line)[0] for line in PROJECT["dependencies"]]
    blocked = bare.all_but(core)
    assert {"pandas", "matplotlib", "sklearn", "tensorboardX"} <= {*blocked}
    program = "import init_study, init_study.run; init_study.initialize"
    done = bare.python("-c", program, without=blocked, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_benchmarks_import_no_more_than_they_name(tmp_path):
    blocked = bare.all_but(BENCHMARKS_NEED)
    assert {"pandas", "matplotlib", "sklearn", "tensorflow_datasets"} <= {*blocked}
    program = (
        "import benchmarks.summary, benchmarks.worker, benchmarks.ours\n"
        "import benchmarks.accelerator_pass, benchmarks.accelerator_table\n"
        "from benchmarks.cases import CASES, case_dataset\n"
        "print([case_dataset(case).name for case in CASES.values()])"
    )
    done = bare.python("-c", program, without=blocked, folder=tmp_path)
    assert "synthetic" in done.stdout, done.stderr


@pytest.mark.slow
def test_a_benchmark_runs_where_nothing_else_is(tmp_path):
    done = bare.python(
        *("-m", "benchmarks", "--cases=tiny", "--ways=ours,flax_loop,matmul"),
        *("--members=2", "--repeats=1", "--steps=2"),
        without=bare.all_but(BENCHMARKS_NEED),
        folder=tmp_path,
        limit=200,
    )
    assert done.returncode == 0, done.stderr
    assert "| tiny |" in done.stdout


@pytest.mark.parametrize("with_pandas", [True, False])
def test_an_absent_package_is_one_line_with_the_cure(tmp_path, with_pandas):
    """All of them in one process, but for pandas, without which none gets far."""
    uses = [use for use in USES if (use[1] != "pandas") == with_pandas]
    program = "import pathlib\nfrom init_study import UserError\n" + "".join(
        f"try:\n    {use}\nexcept UserError as error: print(error)\n"
        for use, _, _ in uses
    )
    absent = {module for _, module, _ in uses}
    done = bare.python("-c", program, without=absent, folder=tmp_path)
    said = done.stdout.splitlines()
    assert len(said) == len(uses), done.stderr
    for line, (_, module, name) in zip(said, uses, strict=True):
        assert line.startswith(f"{module} is not installed")
        assert f'pip install "init_study[{name}]"' in line


@pytest.mark.parametrize("framework", ["haiku", "equinox"])
def test_the_framework_of_a_model_may_be_absent(framework, monkeypatch, tmp_path):
    (tmp_path / f"net_of_{framework}.py").write_text(f"import {framework}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(UserError, match=rf'pip install "init_study\[{framework}\]"'):
        build_model(f"net_of_{framework}:Net", 10, {})


def test_other_import_errors_are_not_covered_up():
    with pytest.raises(MissingPackage) as caught, extra("report"):
        import no_such_package_anywhere  # noqa: F401 # pyright: ignore
    assert isinstance(caught.value, UserError) and isinstance(caught.value, ImportError)
    with pytest.raises(ModuleNotFoundError), extra("report"):
        import init_study.no_such_module  # noqa: F401 # pyright: ignore


def test_every_extra_that_an_error_names_is_there():
    named = {
        name
        for path in (bare.ROOT / "init_study").rglob("*.py")
        for name in re.findall(r'extra\("(\w+)"\)', path.read_text())
    }
    assert named and named <= EXTRAS.keys()


def test_requirements_say_what_the_project_says():
    core = {*PROJECT["dependencies"]}
    assert requirements("requirements.txt") == core | {
        *brought_by("claims", "data", "report", "tensorboard")
    }
    assert requirements("requirements-docs.txt") == {*EXTRAS["docs"]}
    dev = {line for line in EXTRAS["dev"] if "[" not in line}
    assert requirements("requirements-dev.txt") == dev | {
        *brought_by("haiku", "equinox")
    }
    assert requirements("requirements-bench.txt") - {"torch>=2.6"} <= core
