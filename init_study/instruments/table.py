"""`INSTRUMENTS`: everything that can be measured of a member on one batch."""

from collections.abc import Mapping

from init_study.instruments.change_readings import CHANGE_INSTRUMENTS
from init_study.instruments.instrument import Instrument
from init_study.instruments.loss_readings import LOSS_INSTRUMENTS
from init_study.instruments.signal_readings import SIGNAL_INSTRUMENTS

INSTRUMENTS: Mapping[str, Instrument] = {
    **SIGNAL_INSTRUMENTS,
    **LOSS_INSTRUMENTS,
    **CHANGE_INSTRUMENTS,
}
