"""The traps that an audit looks for, by what they are of: a file for each kind."""

from collections.abc import Mapping

from init_study.diagnosis.finding import Trap, by_id
from init_study.diagnosis.rules.batch_traps import BATCH_TRAPS
from init_study.diagnosis.rules.comparison_traps import COMPARISON_TRAPS
from init_study.diagnosis.rules.copy_traps import COPY_TRAPS
from init_study.diagnosis.rules.fan_traps import FAN_TRAPS
from init_study.diagnosis.rules.finite_traps import FINITE_TRAPS
from init_study.diagnosis.rules.gradient_traps import GRADIENT_TRAPS
from init_study.diagnosis.rules.image_traps import IMAGE_TRAPS
from init_study.diagnosis.rules.label_traps import LABEL_TRAPS
from init_study.diagnosis.rules.law_traps import LAW_TRAPS
from init_study.diagnosis.rules.map_traps import MAP_TRAPS
from init_study.diagnosis.rules.norm_traps import NORM_TRAPS
from init_study.diagnosis.rules.number_traps import NUMBER_TRAPS
from init_study.diagnosis.rules.operation_traps import OPERATION_TRAPS
from init_study.diagnosis.rules.optimizer_traps import OPTIMIZER_TRAPS
from init_study.diagnosis.rules.output_traps import OUTPUT_TRAPS
from init_study.diagnosis.rules.shared_traps import SHARED_TRAPS
from init_study.diagnosis.rules.signal_traps import SIGNAL_TRAPS
from init_study.diagnosis.rules.training_traps import TRAINING_TRAPS
from init_study.diagnosis.rules.unit_traps import UNIT_TRAPS
from init_study.diagnosis.rules.zero_traps import ZERO_TRAPS

TRAPS: Mapping[str, Trap] = by_id(
    ZERO_TRAPS,
    OUTPUT_TRAPS,
    LABEL_TRAPS,
    IMAGE_TRAPS,
    BATCH_TRAPS,
    TRAINING_TRAPS,
    OPTIMIZER_TRAPS,
    COMPARISON_TRAPS,
    FINITE_TRAPS,
    SIGNAL_TRAPS,
    GRADIENT_TRAPS,
    UNIT_TRAPS,
    MAP_TRAPS,
    NORM_TRAPS,
    OPERATION_TRAPS,
    LAW_TRAPS,
    FAN_TRAPS,
    NUMBER_TRAPS,
    COPY_TRAPS,
    SHARED_TRAPS,
)
