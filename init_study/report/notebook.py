"""The answer of a folder as a notebook shows it: words, table and a figure."""

import html
import json
from pathlib import Path
from typing import Any, NamedTuple

from init_study.answers import compare_runs
from init_study.answers.verdicts.heats import read_heats
from init_study.report.palette import scheme_styles
from init_study.report.program_figures import strip_figure
from init_study.report.program_section import comparison_card
from init_study.report.race_page import race_answer, race_section
from init_study.report.rendering import render_page
from init_study.report.run_page import Summary, run_answer
from init_study.report.shown import Picture, picture
from init_study.report.tables import Card
from init_study.store import RACE, load, read_manifest, waves_done
from init_study.store.links import refuse_links_out
from init_study.study import Study

_HEIGHT = 560


class NotebookPart(NamedTuple):
    """One program in a notebook; parts that are not there yet are None."""

    answer: Summary
    picture: Picture | None
    comparison: Card[Any] | None
    verdicts: Card[Any] | None


def notebook_html(folder: Path) -> str:
    """Render the answer of a run or a race, in a frame of its own.

    A frame keeps the notebook's style and the page's apart.

    Raises: UserError if the folder holds no run, or a run without records.
    """
    refuse_links_out(folder)
    shown = _of_race(folder) if (folder / RACE).exists() else _of_run(folder)
    page = render_page("notebook.html", {"title": folder.name, "programs": shown})
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-downloads" '
        f'style="width:100%;height:{_HEIGHT}px;border:0"></iframe>'
    )


def _of_run(folder: Path) -> list[NotebookPart]:
    manifest, waves = read_manifest(folder), waves_done(folder)
    styles = scheme_styles(Study.from_dict(manifest["study"]).schemes)
    found = []
    for index, comparison in enumerate(compare_runs(load(folder), manifest, waves)):
        learned = any(not row.standing.never for row in comparison.rows)
        runs = strip_figure(f"p{index}", comparison, styles) if learned else None
        found.append(
            NotebookPart(
                run_answer(comparison),
                picture(runs) if runs else None,
                comparison_card(comparison, styles) if comparison.rows else None,
                None,
            )
        )
    return found


def _of_race(folder: Path) -> list[NotebookPart]:
    plan = json.loads((folder / RACE).read_text("utf-8"))
    styles = scheme_styles(Study.from_dict(plan["study"]).schemes)
    heats = read_heats(folder)
    sections = [race_section(f"p{i}", heat, styles) for i, heat in enumerate(heats)]
    return [
        NotebookPart(race_answer(heat), section.runs, None, section.verdicts)
        for heat, section in zip(heats, sections, strict=True)
    ]
