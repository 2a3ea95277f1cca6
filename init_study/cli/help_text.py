"""What `--help` prints."""

from collections.abc import Iterable
from textwrap import fill

from init_study.cli.option import Option
from init_study.cli.options import FIELD_OPTIONS, OPTIONS, WORDS

_COLUMNS = 88
_INDENT = " " * 6


def words_help(program: str) -> str:
    """Write every word with what it does."""
    width = max(map(len, WORDS)) + 2
    lines = [f"  {word:{width}}{what}" for word, what in WORDS.items()]
    return "\n".join(
        [
            "Trains populations of CNNs that differ in how they start, and compares",
            "them.\n",
            f"  {program} WORD --FLAG=VALUE ...\n",
            *lines,
            f"\nThe flags of a word: {program} WORD --help",
            "Every field of a study can be set: --study.depth=4,8 --study.seeds=10\n",
            "Exit codes: 64 what was asked for cannot be, 65 damaged data, 73 no place",
            "to write, 74 disk or network, 75 stopped and saved, 130 Ctrl-C",
        ]
    )


def word_help(word: str, program: str) -> str:
    """Write the flags that a word takes, and no others."""
    parts = [f"{program} {word}: {WORDS[word]}.\n", *_entries(OPTIONS, word)]
    fields = list(_entries(FIELD_OPTIONS, word))
    if fields:
        parts += ["\nFields of the study; the value `default` is the model's own.\n"]
    return "\n".join([*parts, *fields])


def _entries(options: Iterable[Option], word: str) -> Iterable[str]:
    for option in options:
        if word in option.words:
            text = fill(
                option.help + _default(option),
                _COLUMNS,
                initial_indent=_INDENT,
                subsequent_indent=_INDENT,
            )
            yield f"  {_usage(option)}\n{text}"


def _usage(option: Option) -> str:
    if option.kind is bool:
        return f"--[no]{option.name}"
    kinds = {int: "N", float: "NUMBER", list: "N,N,..."}
    value = "|".join(option.choices) or kinds.get(option.kind, "TEXT")
    return f"--{option.name}={value}"


def _default(option: Option) -> str:
    if option.default is None or option.kind is bool:
        return ""
    default = option.default
    text = ",".join(default) if isinstance(default, list) else f"{default}"
    return f" Default: {text}."
