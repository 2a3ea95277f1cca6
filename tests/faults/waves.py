"""R22, R23 and R24: a run in waves is killed, damaged, and has a full disk."""

import functools
import random
import shutil
from pathlib import Path

from faults.damage import PARTS, kept, names_damage
from faults.damages import damage
from faults.disks import full_trial
from faults.kills import MOMENTS, aimed, anywhere, growing, measured
from faults.room import (
    FAILED,
    LOST,
    PASSED,
    SMALL,
    WITH_FRESH,
    WRONG,
    Room,
    Trial,
    judged,
)
from faults.subjects import (
    Subject,
    answer_of,
    copied,
    member_words,
    prepared,
    right_answer,
    subject,
)
from init_study import store

# What the place of a write has in it.
JOINING = r"^(?!.*/waves)"
_BETWEEN = r"/waves/[^/]*(/\.?manifest[^/]*|/\.lock)?$"
_WAVES = 3
_OTHER = tuple(w.replace("0.1,0.3", "0.1,0.4") for w in SMALL)


@functools.cache
def in_waves(room: Room) -> Room:
    """The same folder, where the members of one seed fit at a time."""

    def have_little() -> None:
        from init_study.engine import tuning

        tuning.holds = lambda plan, program, seeds: seeds <= 1

    return room.where(have_little)


@functools.cache
def undisturbed_in_waves(room: Room, words: tuple[str, ...]) -> Path:
    """The folder of a finished run in waves, which gave what one without them gives."""
    workdir = in_waves(room).undisturbed(words) / "w"
    assert len(list(workdir.glob(f"{store.WAVES}/*/"))) == _WAVES
    assert not (differs := joined_difference(workdir, room.undisturbed(words) / "w")), (
        differs
    )
    return workdir


def joined_difference(workdir: Path, other: Path) -> str:
    """The first file in which a run in any waves differs from one in none."""
    names = sorted(path.relative_to(other) for path in other.rglob("*.jsonl"))
    assert names
    differs = [n for n in names if _bytes(workdir / n) != _bytes(other / n)]
    return str(differs[0]) if differs else ""


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def wave_kill_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Kill a run in waves once or more, and go on, perhaps with room for all members.

    As they are joined, between them, as files come, at any moment and at any write.
    """
    words, waves = WITH_FRESH if number % 8 == 7 else SMALL, in_waves(room)
    whole = undisturbed_in_waves(room, words)
    cwd, done, kinds = room.new(), [], []
    ways = {
        "as they are joined": lambda: _aimed(waves, rng, words, cwd, JOINING),
        "between waves": lambda: _aimed(waves, rng, words, cwd, _BETWEEN),
        "at any moment": lambda: anywhere(
            waves, words, cwd, rng.uniform(0, measured(waves, words).seconds)
        ),
        "in a write": lambda: _aimed(waves, rng, words, cwd, ""),
        "as files come": lambda: growing(
            waves, words, cwd, rng.randint(1, measured(waves, words).files)
        ),
    }
    first = list(ways)[number % len(ways)]
    for way in [first, *rng.choices(list(ways), k=rng.choice((0, 1, 1, 2)))]:
        done.append(f"{way}, {ways[way]()}")
        if done[-1].endswith(" -9"):
            kinds.append(f"kills {way}")
    # In how many waves it runs stays as it began; so do fresh seeds, which begin later.
    begun = words is SMALL and (cwd / "w" / store.MANIFEST).exists()
    last = room if begun and rng.random() < 0.3 else waves
    ended = last.call("run", *words, "--workdir=w", cwd=cwd)
    trial = judged(ended, cwd / "w", whole, "; ".join(done), tuple(kinds))
    if trial.verdict != PASSED:
        return trial
    return same_answers(room, words, cwd, any_member(whole, rng), trial)


def _aimed(
    room: Room, rng: random.Random, words: tuple[str, ...], cwd: Path, among: str
) -> str:
    at = rng.randrange(measured(room, words).among(among))
    return aimed(room, words, cwd, at, rng.choice(MOMENTS), among)


def same_answers(
    room: Room,
    words: tuple[str, ...],
    cwd: Path,
    member: str,
    trial: Trial,
    *,
    may_refuse: bool = False,
) -> Trial:
    """Judge a page, and a member of a checkpoint, beside those of an undisturbed run.

    Args:
        room: where.
        words: of the run.
        cwd: holds the run.
        member: its name.
        trial: what to give if all is right.
        may_refuse: whether a line may stand in the place of an answer.
    """
    if not (cwd / "w" / "report.html").exists():
        return Trial(FAILED, f"{trial.seen}; then there is no page", trial.kinds)
    whole = room.undisturbed(words)
    one = Subject(whole, whole, ("run", *words, "--workdir=w"), ())
    for asked in (member_words(member), ("report", "--workdir=w", "--json")):
        ended = room.call(*asked, cwd=cwd, before=prepared(asked))
        found = ended.code, answer_of(ended, asked, cwd)
        if may_refuse and ended.refusal:
            trial = trial._replace(kinds=(*trial.kinds, f"{asked[0]} refused"))
        elif found != right_answer(room, one, asked):
            seen = f"{trial.seen}; then {asked[:3]} answers otherwise: {ended.seen}"
            return Trial(WRONG, seen, trial.kinds)
    return trial


def any_member(workdir: Path, rng: random.Random) -> str:
    """The name of a member of a run."""
    return rng.choice(store.read_study(workdir).members()).name


def wave_damage_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Damage a wave of a run, and go on, or ask again for what is done.

    Where that is refused, what is repaired goes on to the same bytes. Each third is of
    a run that is done, each fourth damages all of a wave.
    """
    words = WITH_FRESH if number % 5 == 4 else SMALL
    part = rng.choice(PARTS) if number % 3 != 2 else 0.0
    undisturbed_in_waves(room, words)
    waves = in_waves(room)
    one = subject(waves, "run" if words is WITH_FRESH else "small", part)
    cwd = copied(waves, one)
    other = waves.undisturbed(_OTHER) / "w"
    damaged = _damage_wave if number % 4 == 3 else _damage_file
    done, hurt = damaged(cwd / "w", other, rng)
    before = kept(cwd, hurt)
    ended = waves.call(*one.words, cwd=cwd)
    if not ended.code:
        return _same_or_refused(room, words, cwd, done, "answered right")
    done = f"{done}; then {ended.seen}"
    if not (ended.refusal and names_damage(ended.refusal, cwd, hurt)):
        return Trial(FAILED, f"{done}, which is no line that names it")
    if before != kept(cwd, hurt):
        return Trial(LOST, f"{done}, and files changed that nothing happened to")
    mended = waves.call("repair", "--workdir=w", cwd=cwd)
    ended = waves.call(*one.words, cwd=cwd)
    done = f"{done}; repair: {mended.seen}; then {ended.seen}"
    if not ended.code and not mended.code:
        return _same_or_refused(room, words, cwd, done, "repaired")
    verdict = PASSED if ended.refusal else FAILED
    return Trial(verdict, done, ("refused, and not to be repaired",))


def _same_or_refused(
    room: Room,
    words: tuple[str, ...],
    cwd: Path,
    done: str,
    kind: str,
) -> Trial:
    """Judge a run that has come to its end: its answers are right, or refused."""
    whole = room.undisturbed(words) / "w"
    if differs := joined_difference(cwd / "w", whole):
        return Trial(WRONG, f"{done}; then {differs} differs")
    trial = Trial(PASSED, done, (kind,))
    # Of the first wave that was damaged; each has the members of a seed.
    wave = int(done.partition(f"{store.WAVES}/")[2].partition("-")[2][:4])
    seed = store.read_study(whole).seeds[wave]
    name = f"he_normal/lr=0.1/{seed}"
    return same_answers(room, words, cwd, name, trial, may_refuse=True)


def _damage_file(
    workdir: Path, other: Path, rng: random.Random
) -> tuple[str, list[Path]]:
    """Damage any file of any wave; say how, and which."""
    files = sorted(p for p in workdir.rglob(f"{store.WAVES}/*/**/*") if p.is_file())
    # Most are of checkpoints, each of some twenty.
    inside = [p for p in files if store.CHECKPOINTS in p.parts]
    files = inside if rng.random() < 0.4 else [p for p in files if p not in inside]
    while True:
        path = rng.choice(files)
        peers = [p for p in files if p.name == path.name or p.parent == path.parent]
        if done := damage(path, workdir, other, peers, rng):
            named = [p for p in files if str(p.relative_to(workdir)) in done]
            return done, named


def _damage_wave(
    workdir: Path, other: Path, rng: random.Random
) -> tuple[str, list[Path]]:
    """Do to a whole wave what can be done, and say it."""
    waves = sorted(workdir.rglob(f"{store.WAVES}/*"))
    wave, peer = rng.choice(waves), rng.choice(waves)
    named = f"wave {wave.relative_to(workdir)}"
    how = rng.choice(("delete", "empty", "swap", "another study's"))
    if how == "swap" and peer != wave:
        aside = wave.with_name("aside")
        for a, b in ((wave, aside), (peer, wave), (aside, peer)):
            a.rename(b)
        return f"swap {named} and {peer.relative_to(workdir)}", []
    shutil.rmtree(wave)
    if how == "empty":
        wave.mkdir()
    if how == "another study's":
        theirs = sorted(other.rglob(f"{store.WAVES}/*{wave.name[-5:]}"))
        shutil.copytree(theirs[0], wave)
    return f"{how}: {named}", []


def wave_disk_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Fill the disk under a run in waves, once they have begun."""
    words = WITH_FRESH if number % 4 == 3 else SMALL
    whole = undisturbed_in_waves(room, words)
    # What is written before is smaller than these.
    least = max(path.stat().st_size for path in whole.rglob(store.MANIFEST))
    every = [path.stat().st_size - 1 for path in whole.rglob("*") if path.is_file()]
    sizes = [size for size in every if size > least]
    return full_trial(in_waves(room), rng, number, sizes)
