"""Docstrings as they are written here, as reStructuredText that Sphinx reads.

Prose is escaped where it would be markup; an indented block is code; a line `Use: ...`,
`Raises: ...` and the like is a field of its own. What napoleon knows (`Args:` and its
like on a line of their own) is left to it.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_NAPOLEONS = ("Args:", "Attributes:", "Example:", "Examples:", "Returns:", "Yields:")
_FIELD = re.compile(r"([A-Z][a-z]+(?: [a-z]+){0,3}): (\S.*)")
_HEADING = re.compile(r"[A-Z][^:]*:")
_CODE = re.compile(r"(``[^`]*``|`[^`]*`)")
_FIELDS = {
    *("Preserves", "Use", "When not", "Cost", "Kernel layout", "Raises", "Returns"),
    *("Reference", "References", "Source", "Sources", "Layout"),
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Rewrite docstrings before napoleon sees them."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"parallel_read_safe": True}


def _process(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    del app, what, name, obj, options
    lines[:] = to_rst(lines)


def to_rst(lines: list[str]) -> list[str]:
    """The lines of one docstring, indentation removed, as reStructuredText."""
    written: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        block = _indented(lines, place + 1)
        if line in _NAPOLEONS and not _lists_names(block):
            written += ["", line, *map(_escape_unless_example, block)]
            place += 1 + len(block)
        elif (field := _FIELD.fullmatch(line)) and field[1] in _FIELDS:
            rest, place = _paragraph(lines, place + 1)
            text = " ".join([field[2], *rest])
            written += ["", f":{field[1]}: {_escape(text)}", ""]
        elif _HEADING.fullmatch(line) and block:
            written += ["", f"**{_escape(line)}**", "", *_items(block), ""]
            place += 1 + len(block)
        elif not line.strip() and block and block[0].strip():
            written += ["", "::", "", *block, ""]
            place += 1 + len(block)
        else:
            written.append(_escape(line))
            place += 1
    return written


def _indented(lines: list[str], start: int) -> list[str]:
    """The block of indented lines, blank ones between them included."""
    end = start
    while end < len(lines) and (not lines[end] or lines[end].startswith(" ")):
        end += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return lines[start:end]


def _lists_names(block: list[str]) -> bool:
    """Whether a section is a list of names in backticks, as some `Returns:` are."""
    return bool(block) and block[0].lstrip().startswith("`")


def _paragraph(lines: list[str], start: int) -> tuple[list[str], int]:
    """What goes on with the field before it: up to a blank line or the next field."""
    end = start
    while end < len(lines) and lines[end].strip():
        field = _FIELD.fullmatch(lines[end])
        if lines[end] in _NAPOLEONS or (field and field[1] in _FIELDS):
            break
        end += 1
    return [line.strip() for line in lines[start:end]], end


def _items(block: list[str]) -> list[str]:
    """`name: what it is`, with lines that go on further in, as a list."""
    margin = min(len(line) - len(line.lstrip()) for line in block if line.strip())
    items: list[str] = []
    for line in (line[margin:] for line in block):
        if line.startswith(" "):
            items.append(f"  {_escape(line.strip())}")
        elif line:
            items.append(f"- {_escape(line)}")
    return items


def _escape_unless_example(line: str) -> str:
    return line if line.lstrip().startswith((">>>", "...")) else _escape(line)


def _escape(line: str) -> str:
    """Stars, bars and underscores at the end of words stand for themselves."""
    parts = _CODE.split(line)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"([*|\\])", r"\\\1", parts[i])
        parts[i] = re.sub(r"(?<=\w)_(?!\w)", r"\\_", parts[i])
    for i in range(1, len(parts), 2):
        # Two backticks each, so that nothing inside is read; `Scheme`s is two words.
        apart = "\\ " if re.match(r"\w", parts[i + 1]) else ""
        parts[i] = f"``{parts[i].strip('`')}``{apart}"
    return "".join(parts)
