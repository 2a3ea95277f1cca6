"""Records of a run in, answers out. Reads tables only, never live objects."""

from init_study.answers.comparison import (
    AtRate,
    Comparison,
    Row,
    compare,
    learning_curves,
)
from init_study.answers.statistics import Interval, Share
from init_study.answers.text import format_table, sentence, to_json

__all__ = [
    "AtRate",
    "Comparison",
    "Interval",
    "Row",
    "Share",
    "compare",
    "format_table",
    "learning_curves",
    "sentence",
    "to_json",
]
