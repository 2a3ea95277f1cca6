"""The tables that a run has left on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from init_study import store
from init_study.report.filter_figure import Kernels


class RunData(NamedTuple):
    """What the folder of a run holds.

    It is read by `store.load`, `load_layers`, `load_spectra`, `load_predictions`,
    `load_filters` and `load_readings`; the manifest says what the readings are of, and
    which are for other computations alone: these are `raw_readings`. `waves` are of
    programs whose waves are not put together yet.
    """

    records: pd.DataFrame
    layers: pd.DataFrame
    spectra: pd.DataFrame
    predictions: pd.DataFrame
    filters: Kernels
    readings: pd.DataFrame
    raw_readings: pd.DataFrame
    instruments: Mapping[str, Mapping[str, Any]]
    waves: store.Waves


def load_run(folder: Path) -> RunData:
    """Read the tables of a run.

    Raises: UserError if the folder holds no run, or a run without records.
    """
    # Before the records: another process may put them together meanwhile.
    waves = store.waves_done(folder)
    readings = store.load_readings(folder)
    said = store.read_manifest(folder).get("instruments", {})
    raw = {(name, group) for name, one in said.items() for group in one.get("raw", ())}
    groups = (str(number).partition("/")[0] for number in readings["number"])
    is_raw = [key in raw for key in zip(readings["instrument"], groups, strict=True)]
    return RunData(
        store.load(folder),
        store.load_layers(folder),
        store.load_spectra(folder),
        store.load_predictions(folder),
        store.load_filters(folder),
        readings.loc[~np.array(is_raw, bool)],
        readings.loc[np.array(is_raw, bool)],
        said,
        waves,
    )
