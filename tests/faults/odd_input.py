"""R13 and R15: flags and names that nobody should give."""

import random
import string
from pathlib import Path

from calling import tiny

from faults.room import FAILED, PASSED, Room, Trial

_LIMIT = 60.0
# A refusal takes a moment; here other things run, too.
_SOON = 30.0
VALUES = (
    *("", " ", ",", "-1", "0", "-0", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 40),
    *("1.5", "0x10", "1_0", "１", " 3 ", "1e3", "+2", "2.0", "None", "True", "null"),
    *("he_norml", "a,b", "0.1,0.1", "0.1,,0.2", "zeros,zeros", "../x", "/etc/passwd"),
    *(
        "a\nb",
        "\t",
        "--",
        "=",
        "%s%n",
        "{0}",
        "$HOME",
        "`id`",
        "💥",
        "ﬀ",
        "\u202e",
        "x" * 5000,
    ),
    *("normal(", "normal(nan)", "normal(0.1,0.2,0.3)", "normal(1e999)", "normal(-1)"),
    *("(" * 500, "[" * 5000, "by_rule('x=zeros')", "constant('a')", "normal(std=1)"),
    *("os:system", "builtins:eval", "none_such:Net", "cnn:", ":", "digits:9.9.9"),
    *(
        "arrays:none.npz",
        "folder:none",
        "npz:",
        "module",
        "lambda: 1",
        "__import__('os')",
    ),
    *("<script>", "=1+1", "CON", "a/b/c", "..", ".", "~", "*", "?"),
)
# Words that answer at once, or plan; what they plan is tiny.
_WORDS = ("show", "list", "status", "report", "export", "gain", "plan", "run", "data")


def flag_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Give odd values to one or two flags: refused in one line, or fine."""
    from init_study.cli.options import options_of

    word = rng.choice((*_WORDS, "plan", "run", "show"))
    names = [n for n in options_of(word) if n not in ("watch", "mirror", "check")]
    if word == "run":
        # What is planned and refused is no run.
        names = [name for name in names if name not in ("budget", "until")]
    given = {name: _value(rng) for name in rng.sample(names, rng.choice((1, 1, 2)))}
    base = [] if word not in ("plan", "run") else [*tiny(fresh_seeds="0")]
    kept = [x for x in base if x.split("=")[0].lstrip("-") not in given]
    words = [word, *kept, *(f"--{name}={value}" for name, value in given.items())]
    if rng.random() < 0.1:
        words.insert(rng.randrange(len(words)), rng.choice(VALUES))
    return _refused_or_fine(room, words)


def study_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Give a study's file with odd values."""
    import json

    from init_study.study import field_types

    fields: dict[str, object] = {
        "schemes": ["zeros"],
        "learning_rates": [0.1],
        "seeds": 2,
    }
    odd = (
        None,
        True,
        -1,
        0,
        1e308,
        [],
        {},
        [[]],
        "",
        "x",
        [1, "a"],
        10**30,
        {"a": 1},
        0.5,
    )
    for name in rng.sample(
        [*field_types(), "none_such", "__class__"], rng.randint(1, 3)
    ):
        fields[name] = rng.choice((*odd, rng.choice(VALUES)))
    text = json.dumps(fields)
    text = rng.choice(
        (
            text,
            text,
            text,
            text[:-1],
            "[" * 100_000,
            text.replace("0.1", "NaN"),
            "1",
            "\0",
        )
    )
    cwd = room.new()
    (cwd / "odd.json").write_text(text)
    quick = ("--study.steps=2", "--study.batch_size=2", "--study.evaluations=1")
    taken = [f for f in quick if f.split("=")[0].removeprefix("--study.") not in fields]
    return _refused_or_fine(room, ["plan", "--study=odd.json", *taken], cwd)


def odd_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Odd flags, and every fourth time an odd study."""
    return (study_trial if number % 4 == 3 else flag_trial)(room, rng, number)


def _value(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return rng.choice(VALUES)
    letters = string.printable + "äß漢\u200b\U0001f600"
    return "".join(rng.choices(letters, k=rng.randint(1, 30)))


def _refused_or_fine(room: Room, words: list[str], cwd: Path | None = None) -> Trial:
    # A process cannot be given NUL.
    words = [word.replace("\0", "") for word in words]
    cwd = cwd or room.new()
    before = set(cwd.rglob("*"))
    ended = room.call(*words, cwd=cwd, limit=_LIMIT)
    said = " ".join(word if len(word) < 90 else f"{word[:80]}..." for word in words)
    done = f"{said!r}: {ended.seen}"
    if ended.hung or ended.is_traceback or (ended.code and not ended.refusal):
        return Trial(FAILED, f"{done} {ended.err[-300:]}")
    if not ended.code:
        return Trial(PASSED, done, ("taken",))
    if ended.seconds > _SOON:
        return Trial(FAILED, f"{done}, after {ended.seconds:.0f} s")
    if new := set(cwd.rglob("*")) - before:
        return Trial(FAILED, f"{done}: it wrote {sorted(map(str, new))[:2]}")
    return Trial(PASSED, done, ("refused",))


_BATCH = 100


def name_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Give a hundred odd names to a study: its folder lies where it should."""
    names = [_name(rng) for _ in range(_BATCH)]
    cwd = room.new()

    def work() -> int:
        wrong = [found for name in names if (found := _place_of(name))]
        print(*wrong, sep="\n")
        return 1 if wrong else 0

    ended = room.fork(work, cwd).wait()
    done = f"{_BATCH} names: {ended.out[:300]} {ended.err[-300:]}"
    return Trial(FAILED if ended.code else PASSED, done, ("batches of 100 names",))


def _name(rng: random.Random) -> str:
    parts = ["..", "/", "\\", "\0", "CON", "nul", ".", " ", "~", "-", "\n", "%00", ":"]
    parts += [
        "ｅｔｃ",
        "․․",
        "∕",
        "漢" * 90,
        "a" * 300,
        "\U00020000" * 90,
        "\u202e",
        "é",
        "e\u0301",
    ]
    letters = [
        rng.choice((*parts, *VALUES, *string.ascii_letters))
        for _ in range(rng.randint(1, 6))
    ]
    return "".join(letters)


def _place_of(name: str) -> str:
    """What is wrong with the folder of a study of this name; empty if nothing is."""
    from init_study.cli.command_line import read_command_line
    from init_study.cli.invocation import make_invocation
    from init_study.errors import UserError

    words = ["run", "--study.schemes=zeros", f"--study.name={name}"]
    try:
        line = read_command_line(words)
        place = make_invocation("run", line.values, ["launch.py", *words]).the_workdir()
    except UserError:
        return ""
    inside = (Path.cwd() / "runs").resolve()
    try:
        resolved = place.resolve()
        resolved.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        return f"{name[:80]!r}: {error}"
    if resolved.parent != inside or str(place).startswith("-"):
        return f"{name[:80]!r} lies in {place}"
    resolved.rmdir()
    return ""
