"""The page of a run, a race or an examination, written again from its files."""

import sys
from pathlib import Path

from init_study.cli.invocation import Answer, Invocation
from init_study.cli.reports import reported
from init_study.cli.stages import folder_to_read
from init_study.report import export_figures, watch


def answer(invocation: Invocation) -> Answer:
    """Write the page, and with `--figures` every figure as a file."""
    workdir = folder_to_read(invocation)
    if invocation.flags.watch:
        _watch(workdir)
    figures = invocation.flags.figures
    notes: tuple[str, ...] = ()
    if figures:
        written = export_figures(workdir, figures)
        notes = (f"figures: {len(written)} in {workdir / 'figures'}",)
    answer = reported(workdir)
    return answer._replace(notes=(*notes, *answer.notes))


def _watch(workdir: Path) -> None:
    for drawn, path in enumerate(watch(workdir)):
        if not drawn:
            print(f"report: {path}, drawn again as records come", file=sys.stderr)
