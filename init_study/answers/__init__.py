"""Records of a run in, answers out. Reads tables only, never live objects."""

from init_study.errors import extra

with extra("report"):
    # Everything here reads tables.
    import pandas  # noqa: F401

from init_study.answers.comparison import (
    AtRate,
    Comparison,
    Row,
    compare,
)
from init_study.answers.outcomes import Outcomes, final_outcomes
from init_study.answers.statistics import Interval, Share
from init_study.answers.step_curves import learning_curves, seed_curves
from init_study.answers.words import format_table, sentence, to_json

__all__ = [
    "AtRate",
    "Comparison",
    "Interval",
    "Outcomes",
    "Row",
    "Share",
    "compare",
    "final_outcomes",
    "format_table",
    "learning_curves",
    "seed_curves",
    "sentence",
    "to_json",
]
