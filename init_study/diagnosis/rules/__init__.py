"""The traps that an audit looks for, by what they are of: a file for each kind."""

from collections.abc import Mapping

from init_study.diagnosis.finding import Trap, by_id
from init_study.diagnosis.rules.copy_traps import COPY_TRAPS
from init_study.diagnosis.rules.fan_traps import FAN_TRAPS
from init_study.diagnosis.rules.law_traps import LAW_TRAPS
from init_study.diagnosis.rules.number_traps import NUMBER_TRAPS
from init_study.diagnosis.rules.shared_traps import SHARED_TRAPS
from init_study.diagnosis.rules.zero_traps import ZERO_TRAPS

TRAPS: Mapping[str, Trap] = by_id(
    ZERO_TRAPS, LAW_TRAPS, FAN_TRAPS, NUMBER_TRAPS, COPY_TRAPS, SHARED_TRAPS
)
