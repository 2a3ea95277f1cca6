"""What is compared: a study, its programs and its members, as data."""

from init_study.study.choices import (
    FEEDS,
    FIXED,
    OPTIMIZERS,
    PAIRINGS,
    PRECISIONS,
    SCHEDULES,
)
from init_study.study.description import (
    PROGRAM_AXES,
    Study,
    field_types,
    parse_field,
)
from init_study.study.program import Member, Program, exact

__all__ = [
    "FEEDS",
    "FIXED",
    "OPTIMIZERS",
    "PAIRINGS",
    "PRECISIONS",
    "PROGRAM_AXES",
    "SCHEDULES",
    "Member",
    "Program",
    "Study",
    "exact",
    "field_types",
    "parse_field",
]
