"""The settings on which advice is measured: raced one by one, and put into a table.

DIR/NAME/                   the run of one setting, as any other
DIR/NAME/setting.parquet    what it came to, and the evidence that was measured
DIR/settings.parquet        all of them: what the package ships
"""

import signal
from pathlib import Path

from init_study import store
from init_study.advice.making import make_setting, make_table
from init_study.advice.measured import measure_advice, quality_text
from init_study.advice.settings import (
    Setting,
    SettingsTable,
    read_settings,
    write_settings,
)
from init_study.cli import shipped
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.training import going_on, stopped, train_study
from init_study.study import Study

_ONE, _ALL = "setting.parquet", "settings.parquet"


def race_settings(invocation: Invocation, folder: Path) -> Answer:
    """Race what is not raced yet, and write the table of all settings.

    Args:
        invocation: its flags say how races run.
        folder: made if it is not there; what is done there is read.

    Raises: UserError as `run` does.
    """
    families = shipped.experiment("settings").FAMILIES
    wanted = [(family, study) for family in families for study in families[family]]
    received: list[signal.Signals] = []
    found: list[Setting] = []
    with going_on(invocation):
        for place, (family, study) in enumerate(wanted, 1):
            stage = f"setting {place} of {len(wanted)} {study.name}"
            if not train_study(invocation, study, folder / study.name, received, stage):
                return stopped(invocation, received, Answer(None, ""))
            found.append(_setting(invocation, family, study, folder / study.name))
    manifests = [store.read_manifest(folder / study.name) for _, study in wanted]
    write_settings(folder / _ALL, make_table(found, manifests))
    lines = quality_text(measure_advice(found))
    document = {"settings": len(found), "table": str(folder / _ALL), "said": lines}
    return Answer(document, "\n".join([*lines, f"table: {folder / _ALL}"]))


def _setting(invocation: Invocation, family: str, study: Study, run: Path) -> Setting:
    """Read what is known of a race, or measure it."""
    path = run / _ONE
    if not path.exists():
        plan = invocation.make_plan(study)
        records, manifest = store.load(run), store.read_manifest(run)
        setting = make_setting(plan, family, records, manifest)
        write_settings(path, SettingsTable((setting,), {}))
    return read_settings(path).settings[0]
