"""How far a run is: read from its files, without JAX."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from init_study import store
from init_study.answers.spent import spent_in_words
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.stages import (
    begun,
    examined_studies,
    folder_to_read,
    is_examination,
    is_race,
    raced_study,
)
from init_study.cli.terminal import table_text
from init_study.store.links import inside
from init_study.study import Program, Study


def answer(invocation: Invocation) -> Answer:
    """Tell how far each program is; of a race every stage, of claims every study."""
    folder = folder_to_read(invocation)
    document = status_overview(folder)
    spent = spent_in_words(document["sessions"])
    summary = "{study} in {workdir}" + (f"\nspent: {spent}" if spent else "")
    return Answer(document, table_text(document, summary), _notes(folder, document))


def _notes(folder: Path, document: dict[str, Any]) -> tuple[str, ...]:
    """Say what is missing where every program is done, and the whole is not."""
    if document["done"] or not all(row["done"] for row in document["programs"]):
        return ()
    last = folder / _last_file(folder)
    way_out = "the command that began it goes on, and writes it"
    return (f"{last} is not there: nothing is left to train, but to judge; {way_out}",)


def _last_file(folder: Path) -> str:
    """Name the file that is written when there is nothing left to run."""
    return store.DECISION if is_race(folder) else store.LEDGER


def status_overview(workdir: Path) -> dict[str, Any]:
    """Find each program's last step with records, and whether it is done.

    Raises: UserError if the folder holds no run, or one of another version.
    """
    if is_race(workdir):
        name, stages = raced_study(workdir).name, _begun_stages(workdir)
    elif is_examination(workdir):
        name, stages = workdir.name, _examined(workdir)
    else:
        study, manifest = store.read_study(workdir), store.read_manifest(workdir)
        rows = _rows(study, workdir)
        sessions = manifest["sessions"]
        for program in study.programs() if study.fresh_seeds else ():
            folder = workdir / store.FRESH / program.id
            rates = manifest.get("fresh", {}).get(program.id)
            rows += _fresh_rows(study, program, rates, folder)
            if (folder / store.MANIFEST).exists():
                sessions = [*sessions, *store.read_manifest(folder)["sessions"]]
        return _overview(study.name, workdir, rows, sessions)
    rows = [
        {"stage": stage, **row}
        for stage, study, folder in stages
        for row in _rows(study, folder)
    ]
    sessions = [
        session
        for folder in begun(workdir)
        for session in store.read_manifest(folder)["sessions"]
    ]
    overview = _overview(name, workdir, rows, sessions)
    is_judged = (workdir / _last_file(workdir)).exists()
    return overview | {"done": overview["done"] and is_judged}


def _begun_stages(workdir: Path) -> Iterable[tuple[str, Study, Path]]:
    for folder in begun(workdir):
        yield folder.name, store.read_study(folder), folder


def _examined(workdir: Path) -> Iterable[tuple[str, Study, Path]]:
    for name, study in examined_studies(workdir).items():
        yield name, study, inside(workdir, name)


def _rows(study: Study, folder: Path) -> list[dict[str, Any]]:
    progress = _progress(study.programs(), folder)
    return [
        {
            "program": study.label(program),
            "members": len(study.members()),
            **progress[program],
        }
        for program in study.programs()
    ]


def _progress(
    programs: Sequence[Program], folder: Path
) -> dict[Program, dict[str, Any]]:
    """Tell how far programs are; of one in waves, the mean step and what is done."""
    steps = store.last_steps(folder)
    has_begun = (folder / store.MANIFEST).exists()
    waves = store.waves_done(folder) if has_begun else store.NO_WAVES
    return {
        program: _how_far(program, steps.get(program.id, 0), waves.get(program.id))
        for program in programs
    }


def _how_far(
    program: Program, step: int, waves: store.WavesDone | None
) -> dict[str, Any]:
    """Say the step of a program, which is done when its waves are put together."""
    found = {
        "step": waves.step if waves else step,
        "steps": program.steps,
        "done": step == program.steps,
    }
    if waves is None or waves.of == 1:
        return found
    return {**found, "waves": f"{waves.done} of {waves.of} done"}


def _fresh_rows(
    study: Study, program: Program, rates: dict[str, float] | None, folder: Path
) -> list[dict[str, Any]]:
    """Tell how far a program's fresh seeds are; nothing where no scheme learned.

    How many they are is known when the grid is done: at most this many.
    """
    if rates == {}:
        return []
    schemes = len(study.schemes if rates is None else rates)
    return [
        {
            "program": f"{study.label(program)}, fresh seeds",
            "members": schemes * study.fresh_seeds,
            **_progress([program], folder)[program],
        }
    ]


def _overview(
    name: str, workdir: Path, rows: list[dict[str, Any]], sessions: list[Any]
) -> dict[str, Any]:
    if any("waves" in row for row in rows):
        rows = [{**row, "waves": row.get("waves", "")} for row in rows]
    return {
        "study": name,
        "workdir": str(workdir),
        "done": all(row["done"] for row in rows),
        "programs": rows,
        "sessions": sessions,
    }
