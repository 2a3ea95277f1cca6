"""R14 and R16: files and names that are meant to do harm."""

import csv
import json
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from faults.room import FAILED, OFTEN, PASSED, SMALL, Room, Trial

_RUN = ("run", *SMALL, "--workdir=w")
_OF_NPZ = (*_RUN, "--study.dataset=arrays:x.npz")
# An object array whose reading makes a file, as pickles can.
_PICKLE = b"cposix\nsystem\n(S'touch canary'\ntR."


def _npy(shape: tuple[int, ...], kind: str, content: bytes) -> bytes:
    head = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + content


def _archive(**members: bytes) -> Callable[[Path], tuple[str, ...]]:
    def make(cwd: Path) -> tuple[str, ...]:
        with zipfile.ZipFile(cwd / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name.replace("__", "/") + ".npy", content)
        return _OF_NPZ

    return make


def _raw_pickle(cwd: Path) -> tuple[str, ...]:
    (cwd / "x.npz").write_bytes(_PICKLE)
    return _OF_NPZ


def _link(name: str) -> Callable[[Path], tuple[str, ...]]:
    """A file of the run that is a link to a file of somebody's."""

    def make(cwd: Path) -> tuple[str, ...]:
        (cwd / "w").mkdir(exist_ok=True)
        (cwd / "w" / name).symlink_to(cwd / "victim")
        return _RUN

    return make


def _link_to_nowhere(cwd: Path) -> tuple[str, ...]:
    """Links by which a run would write where somebody else looks."""
    (cwd / "w").mkdir()
    for name in ("records.jsonl", "layers.jsonl", "filters.jsonl"):
        (cwd / "w" / name).symlink_to(cwd / "treasure" / name)
    return _RUN


def _linked_folder(cwd: Path) -> tuple[str, ...]:
    (cwd / "w").mkdir()
    (cwd / "w" / "checkpoints").symlink_to(cwd / "treasure")
    return _RUN


def _dataset_link(cwd: Path) -> tuple[str, ...]:
    (cwd / "x.npz").symlink_to("/etc/passwd")
    return _OF_NPZ


def _deep_study(cwd: Path) -> tuple[str, ...]:
    (cwd / "x.json").write_text('{"schemes": ' + "[" * 200_000)
    return ("run", "--study=x.json", "--workdir=w")


def _deep_manifest(cwd: Path) -> tuple[str, ...]:
    (cwd / "w").mkdir()
    (cwd / "w" / "manifest.json").write_text('{"a":' * 100_000)
    return ("status", "--workdir=w")


def _tagged_study(cwd: Path) -> tuple[str, ...]:
    (cwd / "x.yaml").write_text("!!python/object/apply:os.system ['touch canary']")
    return ("run", "--study=x.yaml", "--workdir=w")


def _code_in_a_scheme(cwd: Path) -> tuple[str, ...]:
    return (*_RUN, "--study.schemes=__import__('os').system('touch canary')")


def _code_in_a_model(cwd: Path) -> tuple[str, ...]:
    return (*_RUN, "--study.model=os:system")


def _pictures(cwd: Path) -> tuple[str, ...]:
    """A picture that claims 100,000 × 100,000 points, and links out of the folder."""
    for label in ("a", "b"):
        (cwd / "set" / label).mkdir(parents=True)
        head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + head
        sealed = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        (cwd / "set" / label / "big.png").write_bytes(b"\x89PNG\r\n\x1a\n" + sealed)
        (cwd / "set" / label / "out.png").symlink_to("/etc/passwd")
        (cwd / "set" / label / "loop").symlink_to(cwd / "set")
    return (*_RUN, "--study.dataset=folder:set", "--study.image_size=8")


_LABELS = _npy((4,), "<i8", bytes(32))
_IMAGES = _npy((4, 8, 8), "|u1", bytes(256))
_OBJECTS = _npy((4,), "|O", _PICKLE)
_ENDLESS = _npy((10**6, 10**6, 10**3), "|u1", b"")
_NEGATIVE = _npy((-4, 8, 8), "|u1", bytes(256))
ATTACKS: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "an object array": _archive(images=_OBJECTS, labels=_LABELS),
    "labels of objects": _archive(images=_IMAGES, labels=_OBJECTS),
    "a shape beyond all memory": _archive(images=_ENDLESS, labels=_LABELS),
    "a negative shape": _archive(images=_NEGATIVE, labels=_LABELS),
    "names that climb": _archive(**{"..__..__images": _IMAGES, "labels": _LABELS}),
    "a pickle for an archive": _raw_pickle,
    "a link for an archive": _dataset_link,
    "a link for the lock": _link(".lock"),
    "a link for the records": _link("records.jsonl"),
    "a link for the layers": _link("layers.jsonl"),
    "a link for the manifest": _link("manifest.json"),
    "a link for the page": _link("report.html"),
    "links to where nothing is": _link_to_nowhere,
    "a link for the checkpoints": _linked_folder,
    "a study without bottom": _deep_study,
    "a manifest without bottom": _deep_manifest,
    "a tag of YAML": _tagged_study,
    "code in a scheme": _code_in_a_scheme,
    "code for a model": _code_in_a_model,
    "pictures that are bombs and links": _pictures,
}


def attack_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Do what is meant to do harm: refused, or harmless; nobody's files change."""
    name = list(ATTACKS)[number % len(ATTACKS)]
    cwd = room.new()
    (cwd / "victim").write_text("mine\n")
    (cwd / "treasure").mkdir()
    (cwd / "treasure" / "gold").write_text("mine\n")
    words = ATTACKS[name](cwd)
    ended = room.call(*words, cwd=cwd)
    done = f"{name}: {ended.seen}"
    if (cwd / "canary").exists() or Path("canary").exists():
        return Trial(FAILED, f"{done}: its code ran")
    mine = (cwd / "victim", cwd / "treasure" / "gold")
    kept = [path.read_text() for path in mine if path.exists()]
    if kept != ["mine\n"] * 2 or len(os.listdir(cwd / "treasure")) != 1:
        return Trial(FAILED, f"{done}: it changed somebody's files")
    if ended.hung or ended.is_traceback or (ended.code and not ended.refusal):
        return Trial(FAILED, f"{done} {ended.err[-500:]}")
    return Trial(PASSED, done)


_PAYLOADS = (
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}",
    "=cmd|'/c calc'!A1",
    "@SUM(1+1)",
    "+1+1",
    "-1+1",
    "&lt;script&gt;",
    "javascript:alert(1)",
    "<!--",
    "]]>",
)


_DOES = ("script", "img", "iframe", "object", "embed", "link", "base", "form")


class _Page(HTMLParser):
    """Counts what a page does rather than says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in (
            "script",
            "img",
            "iframe",
            "object",
            "embed",
            "link",
            "base",
            "form",
        ):
            self.found.append(tag)
        for name, value in attrs:
            if name.startswith("on") or "javascript:" in (value or ""):
                self.found.append(f"{name}={value}")
            if name == "src" and "//" in (value or ""):
                self.found.append(f"{name}={value}")


def injection_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Name a study and its data by what a page or a spreadsheet would run."""
    payload = _PAYLOADS[number % len(_PAYLOADS)]
    cwd = room.new()
    flat = payload.replace("/", "_").replace("\0", "")
    rng_np = np.random.default_rng(0)
    images = rng_np.integers(0, 255, (200, 8, 8), np.uint8)
    for name in (flat, "plain"):
        np.savez(cwd / f"{name}.npz", images=images, labels=np.arange(200) % 4)
    pages = []
    for i, (name, data) in enumerate(((payload, flat), ("plain", "plain"))):
        fields = {"name": name, "dataset": f"arrays:{data}.npz", "image_size": 8}
        plain = {"schemes": ["he_normal", "zeros"], "learning_rates": [0.1], "seeds": 2}
        small = {"depth": 1, "width": 2, "batch_size": 4, "steps": 4, "evaluations": 1}
        study = {**fields, **plain, **small, "fresh_seeds": 0}
        (cwd / "x.json").write_text(json.dumps(study))
        words = ("run", "--study=x.json", *OFTEN, f"--workdir=w{i}")
        ended = room.call(*words, cwd=cwd)
        if ended.code:
            fine = i == 0 and ended.refusal
            return Trial(PASSED if fine else FAILED, f"{payload!r}: {ended.seen}")
        pages.append(_Page((cwd / f"w{i}" / "report.html").read_text()).found)
    if pages[0] != pages[1]:
        return Trial(FAILED, f"{payload!r}: the page has {pages[0]}, not {pages[1]}")
    ended = room.call("export", "--workdir=w0", "--to=x.csv", cwd=cwd)
    formulas = list(_formulas(cwd / "x.csv")) if not ended.code else [ended.seen]
    verdict = FAILED if formulas else PASSED
    return Trial(verdict, f"{payload!r}: {formulas[:2]}")


def _formulas(path: Path):
    """The cells that a spreadsheet would compute."""
    with open(path, newline="") as file:
        for row in csv.reader(file):
            for cell in row:
                if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
                    try:
                        float(cell)
                    except ValueError:
                        yield cell
