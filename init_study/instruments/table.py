"""`INSTRUMENTS`: everything that can be measured of a member on one batch."""

from collections.abc import Mapping, Sequence

from init_study.errors import unknown
from init_study.instruments.change_readings import CHANGE_INSTRUMENTS
from init_study.instruments.explanation_readings import EXPLANATION_INSTRUMENTS
from init_study.instruments.instrument import Instrument
from init_study.instruments.loss_readings import LOSS_INSTRUMENTS
from init_study.instruments.signal_readings import SIGNAL_INSTRUMENTS

INSTRUMENTS: Mapping[str, Instrument] = {
    **SIGNAL_INSTRUMENTS,
    **LOSS_INSTRUMENTS,
    **CHANGE_INSTRUMENTS,
    **EXPLANATION_INSTRUMENTS,
}


def find_instruments(names: Sequence[str]) -> dict[str, Instrument]:
    """Find instruments by their names.

    Raises: UserError for a name that is none, with the nearest one.

    Example:
        >>> list(find_instruments(["logits", "layers"]))
        ['logits', 'layers']
    """
    for name in names:
        if name not in INSTRUMENTS:
            raise unknown("instrument", name, INSTRUMENTS, ", ".join(INSTRUMENTS))
    return {name: INSTRUMENTS[name] for name in names}
