"""Everything that has a name, each with one line: what `launch.py list` shows."""

import inspect
from pathlib import Path

from init_study.data import describe_datasets
from init_study.experiments import describe_studies
from init_study.initializers import describe_initializers
from init_study.models import MODELS
from init_study.schemes import describe_schemes


def describe_all(experiments: Path) -> dict[str, dict[str, str]]:
    """One line for each study, model, data set, initializer and scheme, by kind.

    Args:
        experiments: the folder of the studies' files.
    """
    models = {
        name: (inspect.getdoc(model) or "").partition("\n")[0]
        for name, model in MODELS.items()
    }
    models["module:Class"] = "a Flax Linen module of your own, from Python's path"
    return {
        "studies": describe_studies(experiments),
        "models": models,
        "datasets": describe_datasets(),
        "initializers": describe_initializers(),
        "schemes": describe_schemes(),
    }
