"""Files that a run keeps on disk, and nothing else touches.

    workdir/
      manifest.json        what ran, on what, from which data; replaced atomically
      records.jsonl        one line per program and step; appended, never rewritten
      layers.jsonl         of every layer, before the first step and after the last
      filters.jsonl        of the first layer and seed, at the same two times
      spectra.jsonl, predictions.jsonl   before the first step, if asked for
      checkpoints/ID/      Orbax checkpoints of one program's population
      waves/ID-0000/       the same files of a part of one program's members
      fresh/ID/            the same files of one program's fresh seeds, if asked for
      .lock                held while a process runs here

A line of `records.jsonl` holds one number per member and metric:

    {"program": "3f2a...", "step": 20, "values": {"validation/accuracy": [0.1, ...]},
     "sum": "91c0d1fb2c5e7a06"}

The sum is checked at every read: of the line, and of all before it.

`load` turns the lines into a table with one *record* (member, split, step, metric,
value) a row; it needs the extra `report`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from init_study.store.completeness import (
    checkpoint_steps,
    each_line,
    read_lines,
    stops_of,
)
from init_study.store.disk_room import can_write, check_disk
from init_study.store.documents import (
    check_new_file,
    read_document,
    write_atomically,
    write_document,
)
from init_study.store.records import (
    Recorder,
    fresh_runs_in,
    last_steps,
    wave_folder,
    wave_runs_in,
)
from init_study.store.repairing import Repaired, repair
from init_study.store.run_files import (
    CHECKPOINTS,
    CHECKS,
    DECISION,
    FILTERS,
    FRESH,
    LAYERS,
    LEDGER,
    MANIFEST,
    PREDICTIONS,
    RACE,
    READINGS,
    RECORDS,
    RULES,
    SPECTRA,
    WAVES,
)
from init_study.store.waves_done import NO_WAVES, Waves, WavesDone, waves_done
from init_study.store.workdir import (
    check_is_empty,
    check_race,
    check_workdir,
    holder_of,
    lock,
    open_race,
    open_workdir,
    other_version,
    read_manifest,
    read_study,
    write_manifest,
)

if TYPE_CHECKING:
    from init_study.store.checkpoints import Checkpoints
    from init_study.store.loading import (
        load,
        load_filters,
        load_layers,
        load_predictions,
        load_readings,
        load_spectra,
    )

__all__ = [
    "CHECKPOINTS",
    "CHECKS",
    "DECISION",
    "FILTERS",
    "FRESH",
    "LAYERS",
    "LEDGER",
    "MANIFEST",
    "NO_WAVES",
    "PREDICTIONS",
    "RACE",
    "READINGS",
    "RECORDS",
    "RULES",
    "SPECTRA",
    "WAVES",
    "Checkpoints",
    "Recorder",
    "Repaired",
    "Waves",
    "WavesDone",
    "can_write",
    "check_disk",
    "check_is_empty",
    "check_new_file",
    "check_race",
    "check_workdir",
    "checkpoint_steps",
    "each_line",
    "fresh_runs_in",
    "holder_of",
    "last_steps",
    "load",
    "load_filters",
    "load_layers",
    "load_predictions",
    "load_readings",
    "load_spectra",
    "lock",
    "open_race",
    "open_workdir",
    "other_version",
    "read_document",
    "read_lines",
    "read_manifest",
    "read_study",
    "repair",
    "stops_of",
    "wave_folder",
    "wave_runs_in",
    "waves_done",
    "write_atomically",
    "write_document",
    "write_manifest",
]

_LOADING = "init_study.store.loading"
# Those who read records need no Orbax, and those who write them no pandas.
_LATER = {
    "Checkpoints": "init_study.store.checkpoints",
    "load": _LOADING,
    "load_filters": _LOADING,
    "load_layers": _LOADING,
    "load_predictions": _LOADING,
    "load_readings": _LOADING,
    "load_spectra": _LOADING,
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'init_study.store' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)
