"""The page of a run, a race or an examination, written again from its files."""

import sys
from collections.abc import Iterator
from pathlib import Path

from init_study import store
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.reports import reported
from init_study.cli.stages import folder_to_read
from init_study.code_sums import changed_modules
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
    return answer._replace(notes=(*notes, *answer.notes, *_changed(workdir)))


def _changed(workdir: Path) -> Iterator[str]:
    """Say that modules of the user's own are not what they were."""
    paths = workdir.rglob(store.MANIFEST)
    manifests = [store.read_manifest(path.parent) for path in paths]
    names = {name for manifest in manifests for name in changed_modules(manifest)}
    if names:
        yield (
            f"{', '.join(sorted(names))} changed since: this is the answer of what it "
            "was; for what it is, name another folder: --workdir=DIR"
        )


def _watch(workdir: Path) -> None:
    for drawn, path in enumerate(watch(workdir)):
        if not drawn:
            print(f"report: {path}, drawn again as records come", file=sys.stderr)
