"""Every number of a run, race or examination as one table, or a member's variables."""

import os
from pathlib import Path

from init_study import store
from init_study.answers.cells import as_cells
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.stages import begun, folder_to_read, is_examination, is_race
from init_study.errors import ExitCode, UserError, extra, unknown
from init_study.study import Study

with extra("report"):
    import pandas as pd

_FORMS = (".csv", ".parquet")


def answer(invocation: Invocation) -> Answer:
    """Write the records, or with `--member` one member, to what `--to` names."""
    named = invocation.flags.to
    target = Path(named or "")
    if invocation.flags.member is not None:
        return _member(invocation, named)
    if named is None:
        forms = " or ".join(_FORMS)
        raise UserError(f"export needs --to; name a {forms} file: --to=records.csv")
    store.check_new_file("to", target, _FORMS)
    records = all_records(folder_to_read(invocation))
    # Half a table would be taken for the whole one.
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.suffix == ".csv":
            as_cells(records).to_csv(beside, index=False)
        else:
            _write_parquet(records, beside)
        os.replace(beside, target)
    except OSError as error:
        raise UserError(
            f"--to={target}: {len(records)} records could not be written: "
            f"{error.strerror or error}; name another place",
            exit_code=ExitCode.IO,
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    document = {"records": len(records), "to": str(target)}
    return Answer(document, f"{len(records)} records: {target}")


def _write_parquet(records: pd.DataFrame, target: Path) -> None:
    try:
        records.to_parquet(target, index=False)
    except UnicodeEncodeError as error:
        raise UserError(
            f"{error.object!r} is a name that is no text, which Parquet does not hold; "
            "export a .csv file: --to=records.csv"
        ) from error


def _member(invocation: Invocation, named: str | None) -> Answer:
    # JAX takes seconds, which the export of a table does not need.
    from init_study.api.trained import find_member, read_member, save_variables

    if named is None:
        raise UserError("export --member needs --to; name a new folder: --to=DIR")
    target = Path(named)
    store.check_new_file("to", target)
    workdir = folder_to_read(invocation)
    if is_race(workdir) or is_examination(workdir):
        inside = [str(folder) for folder in begun(workdir)]
        raise UserError(
            f"{workdir} holds several runs; name one of them: --workdir="
            f"{inside[0] if inside else 'DIR'}"
        )
    study = Study.from_dict(store.read_manifest(workdir)["study"])
    labels = {study.label(program): program for program in study.programs()}
    wanted = invocation.flags.program or next(iter(labels))
    if wanted not in labels:
        raise unknown("program", wanted, labels, ", ".join(labels))
    if invocation.flags.program is None and len(labels) > 1:
        raise UserError(
            f"{workdir} has {len(labels)} programs; name one: --program={wanted!r}"
        )
    program = labels[wanted]
    # A fresh seed is a member of a run of its own.
    fresh = store.fresh_runs_in(workdir).get(program.id)
    runs = [(study, workdir), *([(store.read_study(fresh), fresh)] if fresh else [])]
    member = find_member([one for one, _ in runs], invocation.flags.member)
    own, folder = next(run for run in runs if member in run[0].members())
    variables = read_member(own, program, folder, member)
    save_variables(variables, target)
    document = {"member": member.name, "program": wanted, "to": str(target)}
    return Answer(document, f"{member.name} of {wanted}: {target}")


def all_records(workdir: Path) -> pd.DataFrame:
    """Load the records of a run, or of all runs of a race or an examination.

    Those of several runs have the name of the stage or study in a first column `stage`.

    Raises: UserError if the folder holds no records.
    """
    if not is_race(workdir) and not is_examination(workdir):
        return store.load(workdir)
    folders = [folder for folder in begun(workdir) if store.last_steps(folder)]
    if not folders:
        raise UserError(f"{workdir} holds no records yet; go on with what began it")
    tables = []
    for folder in folders:
        table = store.load(folder)
        table.insert(0, "stage", folder.name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
