"""What an introduction to initialization claims, put to the test."""

from init_study.cli import shipped
from init_study.cli.examinations import examined
from init_study.cli.invocation import Answer, Invocation


def answer(invocation: Invocation) -> Answer:
    """Run what the claims need, and judge them."""
    article, quick = shipped.experiment("article"), invocation.flags.quick
    return examined(
        invocation,
        article.CLAIMS,
        article.studies(quick),
        article.CHECKS,
        folder="claims-quick" if quick else "claims",
        title=article.TITLE,
        kind="claims",
    )
