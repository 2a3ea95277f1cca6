"""Directives that turn a table of names, or a package's public names, into reference.

    .. rows:: init_study.schemes.SCHEMES
       :without: init_study.initializers.INITIALIZERS
    .. public-names:: init_study.theory
    .. launcher-words::
    .. traps::
    .. instruments::
    .. advice-settings::

Functions and classes are shown by their docstrings, plain text as a list. So a page of
the reference needs no line for a new scheme; only the table does.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Rows(SphinxDirective):
    """Every row of a dict of names, but those of another one."""

    required_arguments = 1
    option_spec: ClassVar[Any] = {"without": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        table = _load(self.arguments[0])
        without = _load(self.options["without"]) if "without" in self.options else {}
        rows = {name: row for name, row in table.items() if name not in without}
        package = self.arguments[0].rpartition(".")[0]
        return self.parse_text_to_nodes("\n".join(lines(rows, package)))


class PublicNames(SphinxDirective):
    """Every function and class of a package's `__all__`, by that name."""

    required_arguments = 1
    option_spec: ClassVar[Any] = {"without": str.split}

    def run(self) -> list[nodes.Node]:
        package = importlib.import_module(self.arguments[0])
        written = []
        for name in package.__all__:
            found = getattr(package, name)
            if callable(found) and name not in self.options.get("without", ()):
                kind = "autoclass" if isinstance(found, type) else "autofunction"
                members = ["   :members:"] if isinstance(found, type) else []
                written += [f".. {kind}:: {package.__name__}.{name}", *members, ""]
        return self.parse_text_to_nodes("\n".join(written))


class LauncherWords(SphinxDirective):
    """Every word of the launcher with the flags that it takes, from its own table."""

    def run(self) -> list[nodes.Node]:
        options = importlib.import_module("init_study.cli.options")
        written: list[str] = []
        for word, says in options.WORDS.items():
            written += [
                "",
                f".. rubric:: {word}",
                "",
                f"{says[0].upper()}{says[1:]}.",
                "",
            ]
            written += [
                f"- ``--{option.name}``{_default(option.default)}: {option.help}"
                for option in options.OPTIONS
                if word in option.words
            ]
        return self.parse_text_to_nodes("\n".join(written))


class Traps(SphinxDirective):
    """Every trap that an audit looks for, from its own table."""

    def run(self) -> list[nodes.Node]:
        rules = importlib.import_module("init_study.diagnosis.rules")
        written: list[str] = []
        for trap in rules.TRAPS.values():
            # What is written of a trap is plain text, whatever signs it has.
            why, cure, source = map(_plain, (trap.why, trap.cure, trap.source))
            written += [
                f"``{trap.id}``: {_plain(trap.what)}",
                f"   {why} *Cure:* {cure}. *Source:* {source}.",
                "",
            ]
        return self.parse_text_to_nodes("\n".join(written))


class Instruments(SphinxDirective):
    """Every instrument with formula, units, cost and source, from its own table."""

    def run(self) -> list[nodes.Node]:
        table = importlib.import_module("init_study.instruments.table")
        written: list[str] = []
        for name, row in table.INSTRUMENTS.items():
            what, units, cost, source = map(
                _plain, (row.what, row.units, row.cost, row.source)
            )
            formula = row.formula.replace("`", "")
            written += [
                f"``{name}``: {what}",
                f"   ``{formula}``. *Units:* {units}. *Cost:* {cost}. "
                f"*Source:* {source}.",
                "",
            ]
        return self.parse_text_to_nodes("\n".join(written))


class AdviceSettings(SphinxDirective):
    """How good advice was, and each setting, from the table that is shipped."""

    def run(self) -> list[nodes.Node]:
        module = importlib.import_module
        table = module("init_study.advice.settings").read_settings()
        measured = module("init_study.advice.measured").measure_advice(table.settings)
        near_setting = module("init_study.advice.advising").near_setting
        ways = [
            [
                name,
                f"{way.mean:.2f}",
                "–" if way.low is None else f"{way.low:.2f} to {way.high:.2f}",
                f"{way.regret:.1f}",
            ]
            for name, way in measured.ways.items()
        ]
        ahead = [
            [
                f"this advice, more than: {name}",
                f"{more['difference']:.2f}",
                "–"
                if more["low"] is None
                else f"{more['low']:.2f} to {more['high']:.2f}",
                "",
            ]
            for name, more in measured.better.items()
        ]
        own = next(iter(measured.ways.values()))
        listed = module("init_study.cli.shipped").experiment("settings").SETTINGS
        heads = ["ranking", "Spearman, mean", "95 % interval", "points lost"]
        written = [
            f"{own.settings} settings of {own.families} families that count; "
            f"{len(table.settings)} of the {len(listed)} in the list are raced and "
            "shipped:",
            "",
            *_list_table(heads, [*ways, *ahead]),
            f"Of {measured.ranges} schemes that learned "
            f"{100 * measured.in_range:.0f} % had their best rate of the grid in the "
            "range that the advice gives.",
            "",
            *_list_table(
                [
                    "setting",
                    "family",
                    "best",
                    "%",
                    "advised",
                    "points lost",
                    "Spearman",
                ],
                [_setting_cells(one, near_setting(one, 0.0)) for one in table.settings],
            ),
            *[f"- {key}: {value}" for key, value in sorted(table.about.items())],
        ]
        return self.parse_text_to_nodes("\n".join(written))


def _setting_cells(setting: Any, near: Any) -> list[str]:
    return [
        f"``{setting.name}``",
        setting.family,
        f"``{near.best}``",
        f"{100 * near.accuracy:.0f}",
        f"``{near.first}``",
        f"{near.lost:.1f}",
        f"{near.agreement:.2f}",
    ]


def _list_table(heads: list[str], rows: list[list[str]]) -> list[str]:
    written = [".. list-table::", "   :header-rows: 1", ""]
    for row in [heads, *rows]:
        for place, cell in enumerate(row):
            written.append(f"   {'*' if place == 0 else ' '} - {cell}")
    return [*written, ""]


def _plain(text: str) -> str:
    """Escape the signs of reStructuredText."""
    for sign in "\\*`|_":
        text = text.replace(sign, f"\\{sign}")
    return text.removesuffix(".")


def _default(value: Any) -> str:
    shown = ",".join(value) if isinstance(value, (list, tuple)) else value
    return "" if shown in (None, False, "") else f" (``{shown}``)"


def lines(rows: Mapping[str, Any], package: str) -> Iterator[str]:
    """reStructuredText for a dict of functions, classes or plain text.

    Args:
        rows: what stands under each name.
        package: what exports them, where it does.
    """
    for name, row in rows.items():
        if isinstance(row, str):
            yield f"- ``{name}``: {row.replace('|', chr(92) + '|')}"
            continue
        kind = "autoclass" if isinstance(row, type) else "autofunction"
        exported = vars(importlib.import_module(package)).get(row.__name__) is row
        yield f".. {kind}:: {package if exported else row.__module__}.{row.__name__}"
        yield ""


def _load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.add_directive("rows", Rows)
    app.add_directive("public-names", PublicNames)
    app.add_directive("launcher-words", LauncherWords)
    app.add_directive("traps", Traps)
    app.add_directive("instruments", Instruments)
    app.add_directive("advice-settings", AdviceSettings)
    return {"parallel_read_safe": True}
