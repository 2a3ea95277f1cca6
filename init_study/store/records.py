"""Records: a number per member, split, step and metric, or per layer as well; appended,
never rewritten."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from init_study.errors import UserError
from init_study.store.workdir import read_manifest
from init_study.study import Member, Program, Study

RECORDS, LAYERS = "records.jsonl", "layers.jsonl"
SPECTRA, FILTERS = "spectra.jsonl", "filters.jsonl"
PREDICTIONS = "predictions.jsonl"

Values = Mapping[str, np.ndarray]
_LAYER_COLUMNS = ("program", "step", "layer", "name", "metric", "value")


class Recorder:
    """Appends records; a line is on the disk when `append` returns.

    A run that starts again from a checkpoint meets steps that are written already.
    They are compared, not written twice: training is deterministic, and a difference
    means that something outside the study has changed.
    """

    def __init__(self, workdir: Path, name: str = RECORDS) -> None:
        self._path = workdir / name
        _drop_torn_line(self._path)
        self._written = {
            (line["program"], line["step"]): line["values"]
            for line in _read_lines(self._path)
        }

    def has(self, program: Program, step: int) -> bool:
        """Whether the records of this step are on the disk."""
        return (program.id, step) in self._written

    def append(self, program: Program, step: int, values: Values) -> None:
        """Write one number per member and metric: `values` maps `split/metric` to an
        array of shape [members]; or, in the file of layers, `metric` to [members,
        layers].

        Raises: UserError if other numbers are written for this step already.
        """
        plain = {name: _plain(array) for name, array in values.items()}
        key = (program.id, step)
        if key in self._written:
            if self._written[key] != plain:
                raise UserError(
                    f"{self._path}: step {step} of program {program.id} came out "
                    "differently from what is written there; packages, devices or "
                    "XLA flags have changed. Start in a new folder: --workdir=DIR"
                )
            return
        line = {"program": program.id, "step": step, "values": plain}
        with open(self._path, "a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._written[key] = plain


def last_steps(workdir: Path) -> dict[str, int]:
    """The last step with records, by program id. Reads only."""
    lines = _read_lines(workdir / RECORDS)
    steps = [(line["program"], line["step"]) for line in lines]
    return {program: max(s for p, s in steps if p == program) for program, _ in steps}


def load(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """All records of a run as a table, one record a row.

    Columns: the id of the program and its axes (`program`, `dataset`, `model`,
    `depth`, ...), `scheme`, `learning_rate`, `seed`, `member`, `split` (train,
    validation, test), `step`, `metric` (loss, accuracy; `diverged_step` on the last
    step: the step at which training stopped being finite, else NaN), `value`.

    Raises: UserError if the folder holds no run, or one of another version.
    """
    folder = Path(workdir)
    study = Study.from_dict(read_manifest(folder)["study"])
    programs = {program.id: program for program in study.programs()}
    members = _member_columns(study.members())
    lines = list(_read_lines(folder / RECORDS))
    if any(line["program"] not in programs for line in lines):
        raise UserError(
            f"{folder} was written by another version of init_study: it has records of "
            "programs that its study does not have here; read it with that version, or "
            "run the study in a new folder"
        )
    tables = [_line_table(line, programs[line["program"]], members) for line in lines]
    if not tables:
        raise UserError(f"{folder} holds no records yet; run the study first")
    return pd.concat(tables, ignore_index=True)


def load_layers(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """What was measured in every layer, one number a row.

    Columns: `program`, `scheme`, `learning_rate`, `seed`, `member`, `step` (0: before
    the first one; the last), `layer` (its place), `name`, `metric` (see
    `layer_statistics.measure_layers`), `value`. Empty for a run without such numbers.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    manifest = read_manifest(folder)
    members = pd.DataFrame(
        _member_columns(Study.from_dict(manifest["study"]).members())
    )
    tables = []
    for line in _read_lines(folder / LAYERS):
        names = manifest["programs"][line["program"]]["layers"]
        for metric, values in line["values"].items():
            rows = members.loc[members.index.repeat(len(names))].reset_index(drop=True)
            rows["program"], rows["step"] = line["program"], line["step"]
            rows["layer"] = np.tile(np.arange(len(names)), len(members))
            rows["name"] = np.tile(names, len(members))
            rows["metric"] = metric
            rows["value"] = np.array(values, dtype=np.float64).ravel()
            tables.append(rows)
    if not tables:
        tables = [members.iloc[:0].assign(**dict.fromkeys(_LAYER_COLUMNS))]
    return pd.concat(tables, ignore_index=True)


def load_spectra(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """Spectra before the first step, one number a row.

    Columns: `program`, `scheme`, `seed`, `kind` (`jacobian`, `hessian`: see
    `spectra.eigenvalues`), `rank` (1 the greatest), `value`. Empty for a run without.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    study = Study.from_dict(read_manifest(folder)["study"])
    pairs = [(scheme, seed) for scheme in study.schemes for seed in study.seeds]
    rows = [
        (line["program"], scheme, seed, kind, rank, float(value))
        for line in _read_lines(folder / SPECTRA)
        for kind, values in line["values"].items()
        for (scheme, seed), own in zip(pairs, values, strict=True)
        for rank, value in enumerate(own, start=1)
    ]
    columns = ["program", "scheme", "seed", "kind", "rank", "value"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def load_predictions(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """What was predicted before the first step, one number a row.

    Columns: `program`, `scheme`, `layer`, `metric` (`signal`, or `gradient` for ones of
    mean square 1 at the logits), `value`. Empty for a run without.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    study = Study.from_dict(read_manifest(folder)["study"])
    rows = [
        (line["program"], scheme, layer, metric, float(value))
        for line in _read_lines(folder / PREDICTIONS)
        for metric, values in line["values"].items()
        for scheme, own in zip(study.schemes, values, strict=True)
        for layer, value in enumerate(own)
    ]
    columns = ["program", "scheme", "layer", "metric", "value"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def load_filters(
    workdir: str | os.PathLike[str],
) -> dict[tuple[str, int, str, float], np.ndarray]:
    """Kernels of the first layer, `[height, width, in, out]`, of the first seed: by
    program, step (0 and the last), scheme and learning rate. Empty for a run without.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    study = Study.from_dict(read_manifest(folder)["study"])
    members = [(s, rate) for s in study.schemes for rate in study.learning_rates]
    return {
        (line["program"], line["step"], *member): np.array(kernel, np.float64)
        for line in _read_lines(folder / FILTERS)
        for kernels in line["values"].values()
        for member, kernel in zip(members, kernels, strict=True)
    }


def _member_columns(members: tuple[Member, ...]) -> dict[str, Any]:
    columns: dict[str, Any] = {
        field.name: [getattr(m, field.name) for m in members]
        for field in dataclasses.fields(Member)
    }
    return columns | {"member": [member.name for member in members]}


def _line_table(
    line: Mapping[str, Any], program: Program, members: dict[str, Any]
) -> pd.DataFrame:
    tables = []
    for name, values in line["values"].items():
        split, metric = name.split("/")
        tables.append(
            pd.DataFrame(
                {"program": line["program"]}
                | dataclasses.asdict(program)
                | members
                | {"split": split, "step": line["step"], "metric": metric}
                | {"value": [float(value) for value in values]}
            )
        )
    return pd.concat(tables, ignore_index=True)


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines; a last line without its end was never a record."""
    if not path.exists():
        return
    with open(path) as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _drop_torn_line(path: Path) -> None:
    """Cut off what a killed process left of its last line."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _plain(array: np.ndarray) -> list[Any]:
    """JSON numbers: the shortest that give the same float32 back; NaN and infinities,
    which JSON does not have, as text."""
    if np.ndim(array) > 1:
        return [_plain(row) for row in array]
    numbers = [float(str(value)) for value in np.asarray(array)]
    return [n if np.isfinite(n) else str(n) for n in numbers]
