"""What can happen to a file: accidents and edits by hand."""

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

_PAGE = 512
_NUMBER = re.compile(rb"\d+\.\d+|\d+")


def _flip(content: bytes, rng: random.Random) -> bytes:
    place, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def _zero_page(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content)) // _PAGE * _PAGE
    page = content[at : at + _PAGE]
    return content[:at] + bytes(len(page)) + content[at + _PAGE :]


def _insert(extra: bytes) -> Callable[[bytes, random.Random], bytes]:
    def inserted(content: bytes, rng: random.Random) -> bytes:
        place = rng.randrange(len(content) + 1)
        return content[:place] + extra + content[place:]

    return inserted


def _edit_number(content: bytes, rng: random.Random) -> bytes:
    found = rng.choice(list(_NUMBER.finditer(content)))
    digits = bytearray(found[0])
    place = rng.choice([i for i, c in enumerate(digits) if chr(c).isdigit()])
    digits[place] = ord("0") + (digits[place] - ord("0") + rng.randint(1, 9)) % 10
    return content[: found.start()] + bytes(digits) + content[found.end() :]


def _lines(edit: Callable[[list[bytes], random.Random], None]):
    def edited(content: bytes, rng: random.Random) -> bytes:
        lines = content.splitlines(keepends=True)
        edit(lines, rng)
        return b"".join(lines)

    return edited


def _duplicate(lines: list[bytes], rng: random.Random) -> None:
    place = rng.randrange(len(lines))
    lines.insert(place, lines[place])


def _drop(lines: list[bytes], rng: random.Random) -> None:
    del lines[rng.randrange(len(lines))]


def _drop_last(lines: list[bytes], rng: random.Random) -> None:
    lines.pop()


def _move(lines: list[bytes], rng: random.Random) -> None:
    line = lines.pop(rng.randrange(len(lines)))
    lines.insert(rng.randrange(len(lines) + 1), line)


def _append_old(lines: list[bytes], rng: random.Random) -> None:
    lines.append(rng.choice(lines))


# Of what a file holds.
CONTENT: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flip a bit of": _flip,
    "zero a page of": _zero_page,
    "truncate": lambda content, rng: content[: rng.randrange(len(content))],
    "empty": lambda content, rng: b"",
    "put garbage into": _insert(b'}{"x": [1, 2'),
    "put NUL into": _insert(b"\0"),
    "put what is no UTF-8 into": _insert(b"\xff\xfe"),
    "edit a number of": _edit_number,
    "duplicate a line of": _lines(_duplicate),
    "delete a line of": _lines(_drop),
    "delete the last line of": _lines(_drop_last),
    "move a line of": _lines(_move),
    "append an old line to": _lines(_append_old),
}
# Of files and folders.
PLACES = (
    "delete",
    "swap",
    "put another study's in place of",
    "put a folder in place of",
)


def damage(
    path: Path, workdir: Path, other: Path, peers: list[Path], rng: random.Random
) -> str | None:
    """Damage a file, and say how; None if nothing came of it.

    Args:
        path: of the file.
        workdir: of the run that it is of.
        other: of another study's run.
        peers: files that it may be swapped with.
        rng: draws what is done and where.
    """
    how = rng.choice([*CONTENT, *PLACES])
    named = f"{how} {path.relative_to(workdir)}"
    content = path.read_bytes()
    if how in CONTENT:
        try:
            changed = CONTENT[how](content, rng)
        except (IndexError, ValueError):
            # There is nothing of the kind in the file.
            return None
        path.write_bytes(changed)
        return None if changed == content else named
    if how == "swap":
        peer = rng.choice(peers)
        swapped = peer.read_bytes()
        path.write_bytes(swapped)
        peer.write_bytes(content)
        return (
            None if swapped == content else f"{named} and {peer.relative_to(workdir)}"
        )
    if how.startswith("put another"):
        theirs = _counterpart(path, workdir, other)
        if theirs is None or theirs.read_bytes() == content:
            return None
        path.write_bytes(theirs.read_bytes())
        return f"{named} ({theirs})"
    path.unlink()
    if how.startswith("put a folder"):
        path.mkdir()
    return named


def _counterpart(path: Path, workdir: Path, other: Path) -> Path | None:
    same = other / path.relative_to(workdir)
    if same.is_file():
        return same
    found = sorted(p for p in other.rglob(path.name) if p.is_file())
    return found[0] if found else None


def damage_folder(folder: Path, workdir: Path, other: Path, rng: random.Random) -> str:
    """Do to a whole checkpoint what can be done, and say it."""
    named = folder.relative_to(workdir)
    how = rng.choice(("delete", "renumber", "another study's", "empty"))
    if how == "renumber":
        number = int(folder.name) + rng.choice((-1, 1, 2))
        while folder.with_name(str(number)).exists():
            number += 1
        folder.rename(folder.with_name(str(number)))
        return f"renumber {named}"
    shutil.rmtree(folder)
    if how == "empty":
        folder.mkdir()
    theirs = sorted(p for p in other.rglob(folder.name) if p.is_dir())
    if how.startswith("another") and theirs:
        shutil.copytree(theirs[0], folder)
    return f"{how}: {named}"
