"""Records as tables: what reads a run's files, with pandas."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from init_study.errors import UserError, extra
from init_study.store.completeness import read_lines
from init_study.store.records import fresh_runs_in, last_steps, wave_runs_in
from init_study.store.run_files import (
    FILTERS,
    LAYERS,
    PREDICTIONS,
    READINGS,
    RECORDS,
    SPECTRA,
)
from init_study.store.workdir import read_manifest, read_study
from init_study.study import Member, Program

with extra("report"):
    import pandas as pd

_LAYER_COLUMNS = ("program", "step", "layer", "name", "metric", "value")
_READING_COLUMNS = ("program", "step", "instrument", "number", "place", "value")


def load(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """Load all records of a run as a table, one record a row.

    Columns: the id of the program and its axes (`program`, `dataset`, `model`,
    `depth`, ...), `scheme`, `learning_rate`, `seed`, `member`, `split` (train,
    validation, test), `step`, `metric` (loss, accuracy; `diverged_step` on the last
    step: the step at which training stopped being finite, else NaN), `value`,
    `drifted` (whether the run went on with other versions or another computation
    before this step, by `--accept_drift`). Fresh seeds are there as soon as they have
    records. Of a program in waves there is what these have recorded before the last
    step, until all are done: of as many seeds as have begun, and no answer yet.

    Args:
        workdir: of the run, finished or not.

    Raises: UserError if the folder holds no run, or one of another version.

    Example:
        >>> from init_study import Study, store
        >>> study = Study(schemes="zeros", learning_rates=0.1, seeds=2)
        >>> store.open_workdir(Path("run"), study)
        >>> store.write_manifest(Path("run"), {"study": study.to_dict()})
        >>> losses = {"validation/loss": np.array([2.0, 4.0])}
        >>> store.Recorder(Path("run")).append(study.programs()[0], 0, losses)
        >>> load("run")[["member", "metric", "value"]].values.tolist()
        [['zeros/lr=0.1/0', 'loss', 2.0], ['zeros/lr=0.1/1', 'loss', 4.0]]
    """
    folder = Path(workdir)
    study, manifest = read_study(folder), read_manifest(folder)
    programs = {program.id: program for program in study.programs()}
    members = _member_columns(study.members())
    lines = read_lines(folder, RECORDS)
    tables = [_line_table(line, programs[line["program"]], members) for line in lines]
    for table, line in zip(tables, lines, strict=True):
        table["drifted"] = _has_drifted(manifest, line["program"], line["step"])
    written = {line["program"] for line in lines}
    for program in programs.values():
        if program.id not in written:
            tables += _tables_of_waves(folder, program)
    # Fresh seeds are further members of the same programs.
    tables += [load(part) for part in fresh_runs_in(folder).values()]
    if not tables:
        raise UserError(f"{folder} holds no records yet; run the study first")
    return pd.concat(tables, ignore_index=True)


def load_layers(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """Load what was measured in every layer as a table, one number a row.

    Columns: `program`, `scheme`, `learning_rate`, `seed`, `member`, `step` (0: before
    the first one; the last), `layer` (its place), `name`, `metric` (see
    `layer_statistics.measure_layers`), `value`. Empty for a run without such numbers.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    manifest = read_manifest(folder)
    members = pd.DataFrame(_member_columns(read_study(folder).members()))
    tables = []
    for line in read_lines(folder, LAYERS):
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
    """Load the spectra before the first step as a table, one number a row.

    Columns: `program`, `scheme`, `seed`, `kind` (`jacobian`, `hessian`: see
    `spectra.eigenvalues`), `rank` (1 the greatest), `value`. Empty for a run without.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    study = read_study(folder)
    pairs = [(scheme, seed) for scheme in study.schemes for seed in study.seeds]
    rows = [
        (line["program"], scheme, seed, kind, rank, float(value))
        for line in read_lines(folder, SPECTRA)
        for kind, values in line["values"].items()
        for (scheme, seed), own in zip(pairs, values, strict=True)
        for rank, value in enumerate(own, start=1)
    ]
    columns = ["program", "scheme", "seed", "kind", "rank", "value"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def load_predictions(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """Load what was predicted before the first step as a table, one number a row.

    Columns: `program`, `scheme`, `layer`, `metric` (`signal`, or `gradient` for ones of
    mean square 1 at the logits), `value`. Empty for a run without.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    study = read_study(folder)
    rows = [
        (line["program"], scheme, layer, metric, float(value))
        for line in read_lines(folder, PREDICTIONS)
        for metric, values in line["values"].items()
        for scheme, own in zip(study.schemes, values, strict=True)
        for layer, value in enumerate(own)
    ]
    columns = ["program", "scheme", "layer", "metric", "value"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def load_readings(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """Load what a study's instruments gave as a table, one number a row.

    Columns: `program`, `scheme`, `learning_rate`, `seed`, `member`, `step`,
    `instrument`, `number` (which of its numbers, as `sharpness`), `place` (in a number
    that is a list, as of layers or rates; else -1), `value`. Empty for a study without
    instruments.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    members = pd.DataFrame(_member_columns(read_study(folder).members()))
    tables = []
    for line in read_lines(folder, READINGS):
        for name, values in line["values"].items():
            numbers = np.array(values, dtype=np.float64).reshape(len(members), -1)
            many = numbers.shape[1]
            rows = members.loc[members.index.repeat(many)].reset_index(drop=True)
            rows["program"], rows["step"] = line["program"], line["step"]
            rows["instrument"], _, rows["number"] = name.partition("/")
            places = np.arange(many) if isinstance(values[0], list) else [-1]
            rows["place"] = np.tile(places, len(members))
            rows["value"] = numbers.ravel()
            tables.append(rows)
    if not tables:
        tables = [members.iloc[:0].assign(**dict.fromkeys(_READING_COLUMNS))]
    return pd.concat(tables, ignore_index=True)


def load_filters(
    workdir: str | os.PathLike[str],
) -> dict[tuple[str, int, str, float], np.ndarray]:
    """Load the kernels of the first layer of the first seed.

    Raises: UserError if the folder holds no run.

    Returns: kernels `[height, width, in, out]` by program, step (0 and the last),
        scheme and learning rate. Empty for a run without.
    """
    folder = Path(workdir)
    study = read_study(folder)
    members = [
        (m.scheme, m.learning_rate) for m in study.members() if m.seed == study.seeds[0]
    ]
    return {
        (line["program"], line["step"], *member): np.array(kernel, np.float64)
        for line in read_lines(folder, FILTERS)
        for kernels in line["values"].values()
        for member, kernel in zip(members, kernels, strict=True)
    }


def _tables_of_waves(folder: Path, program: Program) -> list[pd.DataFrame]:
    """Load what waves have recorded before the last step."""
    begun = [one for one in wave_runs_in(folder, program.id) if last_steps(one)]
    tables = map(load, begun)
    return [table.loc[table["step"] < program.steps] for table in tables]


def _has_drifted(manifest: Mapping[str, Any], program: str, step: int) -> bool:
    """Say whether a run had accepted another computation before a step."""
    accepted = manifest.get("accepted_drift", [])
    return any(step > one.get("steps", {}).get(program, -1) for one in accepted)


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
