"""Which packages a wheel holds: the package, and inside it the experiments.

They lie beside it in a checkout. All else is in pyproject.toml.
"""

from setuptools import find_packages, setup

EXPERIMENTS = "init_study.experiments"

setup(
    packages=[
        *find_packages(include=["init_study", "init_study.*"]),
        EXPERIMENTS,
        *(f"{EXPERIMENTS}.{name}" for name in find_packages("experiments")),
    ],
    package_dir={EXPERIMENTS: "experiments"},
)
