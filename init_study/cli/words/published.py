"""Whether results of papers come out again."""

from init_study.cli import shipped
from init_study.cli.invocation import Answer, Invocation
from init_study.errors import unknown
from init_study.study.files import describe_studies


def answer(invocation: Invocation) -> Answer:
    """Run what the results need, and judge them; with `--only` one of them."""
    only = invocation.flags.only
    if only is not None:
        # The names of the files are known without importing one.
        names = describe_studies(shipped.folder() / "published")
        if only not in names:
            raise unknown("result", only, names, ", ".join(names))
    # A wrong name need not wait for JAX.
    from init_study.cli.examinations import examined

    published = shipped.experiment("published")
    results = published.RESULTS if only is None else {only: published.RESULTS[only]}
    studies: dict = {}
    checks: dict = {}
    for result in results.values():
        studies |= published.studies_of(result)
        checks |= getattr(result, "CHECKS", {})
    return examined(
        invocation,
        tuple(result.RESULT for result in results.values()),
        studies,
        checks,
        folder=f"published-{only}" if only else "published",
        title=published.TITLE,
        kind="results",
    )
