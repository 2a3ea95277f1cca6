"""Notebooks as pages: their text and code, with the outputs that they keep."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Read every `.ipynb` among the sources as Markdown."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    if Path(app.env.doc2path(name)).suffix == ".ipynb":
        source[0] = to_markdown(json.loads(source[0]))


def to_markdown(notebook: dict[str, Any]) -> str:
    """The cells of a notebook, one after the other, as MyST Markdown."""
    return "\n\n".join(part for cell in notebook["cells"] for part in _parts(cell))


def _parts(cell: dict[str, Any]) -> Iterator[str]:
    text = "".join(cell["source"])
    if cell["cell_type"] != "code":
        yield text
        return
    yield _fenced("python", text)
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "text/html" in data:
            yield _fenced("{raw} html", "".join(data["text/html"]))
        elif "image/png" in data:
            picture = "".join(data["image/png"].split())
            yield f'<img alt="output" src="data:image/png;base64,{picture}">'
        else:
            plain = "".join(data.get("text/plain", output.get("text", [])))
            if plain.strip():
                yield _fenced("text", plain.rstrip())


def _fenced(language: str, text: str) -> str:
    fence = "`" * 3
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
