"""The report: one page, made of the files of a run alone, that opens anywhere."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from init_study.answers.verdicts.heats import read_heats
from init_study.errors import UserError, extra
from init_study.store import (
    DECISION,
    FRESH,
    LEDGER,
    RACE,
    RECORDS,
    RULES,
    fresh_runs_in,
    last_steps,
    read_document,
    read_manifest,
    read_study,
    wave_runs_in,
)
from init_study.store.links import inside, refuse_links_out

__all__ = ["export_figures", "watch", "write_report"]

_REFRESH = 5


def write_report(workdir: str | os.PathLike[str], refresh: int | None = None) -> Path:
    """Write `report.html` into the folder of a run, a race or an examination.

    It is one file that needs no network. The same records give the same bytes.
    Programs that are not finished are named.

    Args:
        workdir: of a run, a race or an examination.
        refresh: seconds after which an open page of a run reads itself again.

    Returns: the path of the page.
    Raises: UserError if the folder holds no run, a run without records, or links out
        of it.
    """
    # Drawing takes a second to import, which `launch.py list` need not wait for.
    with extra("report"):
        from init_study.report.run_data import load_run
        from init_study.report.run_page import render_run
    from init_study.store import write_atomically

    folder = Path(workdir)
    refuse_links_out(folder)
    path = folder / "report.html"
    if (folder / RACE).exists():
        write_atomically(path, _race_page(folder))
        return path
    if (folder / RULES).exists():
        write_atomically(path, _ledger_page(folder))
        return path
    page = render_run(load_run(folder), read_manifest(folder), refresh)
    write_atomically(path, page)
    return path


def watch(workdir: str | os.PathLike[str], pause: float = 2.0) -> Iterator[Path]:
    """Write the page of a run again whenever there are new records, until the last one.

    Yields: its path, each time. An open page reads itself again until the run is done.
    Raises: UserError if the folder holds no run.
    """
    folder, seen = Path(workdir), -1
    study = read_study(folder)
    while True:
        steps, fresh = last_steps(folder), fresh_runs_in(folder)
        done = all(steps.get(p.id) == p.steps for p in study.programs())
        if done and study.fresh_seeds:
            asked = read_manifest(folder).get("fresh", {})
            done = len(asked) == len(study.programs()) and all(
                last_steps(fresh.get(p.id, folder / FRESH)).get(p.id) == p.steps
                for p in study.programs()
                if asked[p.id]
            )
        apart = [p.id for p in study.programs() if p.id not in steps]
        waves = [one for name in apart for one in wave_runs_in(folder, name)]
        parts = (folder, *fresh.values(), *waves)
        files = [part / RECORDS for part in parts if last_steps(part)]
        size = sum(file.stat().st_size for file in files) or -1
        if size != seen:
            seen = size
            yield write_report(folder, None if done else _REFRESH)
        if done:
            return
        time.sleep(pause)


def export_figures(workdir: str | os.PathLike[str], form: str) -> list[Path]:
    """Write every figure of a run's page into `WORKDIR/figures`, its data beside it.

    Each is a file of its own; the data are CSV.

    Args:
        workdir: of a run.
        form: `pdf`, `svg` or `png`.

    Returns: the paths of the figures; none if no program is finished.
    Raises: UserError if the folder holds no run, or a run without records.
    """
    with extra("report"):
        from init_study.report.run_data import load_run
        from init_study.report.run_page import run_figures
        from init_study.report.shown import export

    folder = Path(workdir)
    if (folder / RACE).exists() or (folder / RULES).exists():
        inside = sorted(p.parent for p in folder.glob(f"**/{RECORDS}"))
        named = f", e.g. --workdir={inside[0]}" if inside else ""
        raise UserError(f"{folder} holds several runs; name one of them{named}")
    figures = run_figures(load_run(folder), read_manifest(folder))
    (folder / "figures").mkdir(exist_ok=True)
    return export(figures, folder / "figures", form)


def _ledger_page(folder: Path) -> str:
    with extra("report"):
        from init_study.report.ledger_page import render_ledger

    if not (folder / LEDGER).exists():
        raise UserError(
            f"{folder} holds an examination that has not come to its verdicts; go on "
            "with the command that began it"
        )
    ledger = read_document(folder / LEDGER)
    for study in ledger["studies"]:
        write_report(inside(folder, study))
    return render_ledger(ledger)


def _race_page(folder: Path) -> str:
    with extra("report"):
        from init_study.report.race_page import render_race

    if not (folder / DECISION).exists():
        raise UserError(
            f"{folder} holds a race that has not come to a verdict; go on with the "
            "command that began it"
        )
    heats = read_heats(folder)
    plan = read_document(folder / RACE)
    # A stage that was stopped before its first evaluation has nothing to show.
    records = (p for p in folder.glob(f"*/*/{RECORDS}") if p.stat().st_size)
    stages = sorted(p.parent for p in records)
    for stage in stages:
        write_report(stage)
    names = [stage.relative_to(folder).as_posix() for stage in stages]
    return render_race(heats, plan, names)
