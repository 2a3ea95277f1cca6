"""Records of a run in, answers out. Reads tables only, never live objects.

Pandas and SciPy are imported when one of these names is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from init_study.errors import extra

if TYPE_CHECKING:
    from init_study.answers.at_rates import AtRate
    from init_study.answers.comparison import Comparison, Row, compare_runs
    from init_study.answers.outcomes import Outcomes, final_outcomes
    from init_study.answers.run_document import to_json
    from init_study.answers.run_table import format_table
    from init_study.answers.run_words import sentence
    from init_study.answers.statistics import Interval, Share
    from init_study.answers.step_curves import learning_curves, seed_curves

__all__ = [
    "AtRate",
    "Comparison",
    "Interval",
    "Outcomes",
    "Row",
    "Share",
    "compare_runs",
    "final_outcomes",
    "format_table",
    "learning_curves",
    "seed_curves",
    "sentence",
    "to_json",
]

_LATER = {
    "AtRate": "at_rates",
    "Comparison": "comparison",
    "Interval": "statistics",
    "Outcomes": "outcomes",
    "Row": "comparison",
    "Share": "statistics",
    "compare_runs": "comparison",
    "final_outcomes": "outcomes",
    "format_table": "run_table",
    "learning_curves": "step_curves",
    "seed_curves": "step_curves",
    "sentence": "run_words",
    "to_json": "run_document",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with extra("report"):
        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
