"""Every number of a run, a race or an examination as one table in a file."""

from pathlib import Path

from init_study import store
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.stages import begun, folder_to_read, is_examination, is_race
from init_study.errors import UserError, extra

with extra("report"):
    import pandas as pd

_FORMS = (".csv", ".parquet")


def answer(invocation: Invocation) -> Answer:
    """Write the records into the file that `--to` names."""
    named = invocation.flags.to
    target = Path(named or "")
    if target.suffix not in _FORMS:
        given = (
            "export needs --to" if named is None else f"--to={named} is no such file"
        )
        raise UserError(f"{given}; name a .csv or .parquet file: --to=records.csv")
    if target.exists():
        raise UserError(f"--to={target} exists; name a new file")
    records = all_records(folder_to_read(invocation))
    if target.suffix == ".csv":
        records.to_csv(target, index=False)
    else:
        records.to_parquet(target, index=False)
    document = {"records": len(records), "to": str(target)}
    return Answer(document, f"{len(records)} records: {target}")


def all_records(workdir: Path) -> pd.DataFrame:
    """The records of a run; of a race or an examination those of all its runs, with
    the name of the stage or study in a first column `stage`.

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
