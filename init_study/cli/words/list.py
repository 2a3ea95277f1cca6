"""Everything that has a name, read from the sources: no table is imported for it."""

from init_study.cli import shipped
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.summaries import first_lines
from init_study.cli.terminal import kinds_text
from init_study.data.names import describe_datasets
from init_study.errors import unknown
from init_study.study.files import describe_studies

_OWN_MODEL = "one of your own, of Flax Linen or NNX, Haiku or Equinox, or what makes it"


def answer(invocation: Invocation) -> Answer:
    """List studies, results, models, data sets, initializers and schemes."""
    kinds, kind = every_kind(), invocation.flags.kind
    if kind is not None:
        if kind not in kinds:
            raise unknown("kind", kind, kinds, ", ".join(kinds))
        kinds = {kind: kinds[kind]}
    return Answer(kinds, kinds_text(kinds))


def every_kind() -> dict[str, dict[str, str]]:
    """Collect a line for each thing that has a name, by kind."""
    models = first_lines("init_study.models", "MODELS")
    return {
        "studies": describe_studies(shipped.folder()),
        "results": describe_studies(shipped.folder() / "published"),
        "models": models | {"module:NAME": _OWN_MODEL},
        "datasets": describe_datasets(),
        "initializers": first_lines("init_study.initializers", "INITIALIZERS"),
        "schemes": first_lines("init_study.schemes", "SCHEMES"),
    }
