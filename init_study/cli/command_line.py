"""From a command line to one word and its flags, or one line of what is wrong."""

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from absl import flags

from init_study.cli.flag_values import flag_values
from init_study.cli.option import Option
from init_study.cli.options import BY_NAME, WORDS, options_of
from init_study.errors import UserError, unknown

_HELP = ("help", "h", "?")
# A flag that is less like another one is no slip of it.
_ALIKE = 0.6


class CommandLine(NamedTuple):
    """What a command line asks for.

    Attributes:
        word: in `WORDS`; empty if help on all of them is asked for.
        values: of every flag that the word takes.
        wants_help: whether to explain the word, not to do it.
    """

    word: str
    values: flags.FlagValues
    wants_help: bool


class _Given(NamedTuple):
    """A flag as it was typed: the arguments, and its name in the table or as typed."""

    name: str
    typed: tuple[str, ...]


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """Read what follows the program's name.

    Raises: UserError in one line if a word or flag is not there, is given twice, is
        abbreviated, has no effect, or has a value that it does not take.
    """
    words, given = _split(arguments)
    wants_help = any(flag.name in _HELP for flag in given)
    _refuse_unknown(given, words)
    word = words[0] if words else "run"
    if word not in WORDS:
        raise unknown("word", word, WORDS, ", ".join(WORDS))
    if len(words) > 1:
        hint = "flags begin with -- and stand before a lone --"
        raise UserError(f"{words[1]!r} is one word too many; {hint}")
    values = flag_values(word)
    if wants_help:
        return CommandLine(word if words else "", values, True)
    _refuse_flags(word, given)
    try:
        values(["", *(part for flag in given for part in flag.typed)])
    except flags.Error as error:
        raise UserError(str(error)) from None
    _refuse_idle(word, values)
    return CommandLine(word, values, False)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[_Given]]:
    """Words and flags; what follows a lone `--` is no flag."""
    words: list[str] = []
    given: list[_Given] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            # The word, if it has not come yet, does not come here.
            words += ["run", *rest] if not words and rest else rest
            break
        if argument == "-" or not argument.startswith("-"):
            words.append(argument)
            continue
        name, equals, value = argument.lstrip("-").partition("=")
        # As other launchers write it: --fail-on is --fail_on.
        if "-" in name and _table_name(name.replace("-", "_")) in BY_NAME:
            name = name.replace("-", "_")
            argument = f"--{name}{equals}{value}"
        typed = [argument]
        option = BY_NAME.get(name)
        if option and option.kind is not bool and not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"--{name} has no value; write --{name}=VALUE")
            typed.append(rest.pop(0))
        given.append(_Given(_table_name(name), tuple(typed)))
    return words, given


def _table_name(name: str) -> str:
    """`nojson` is the flag `json`."""
    positive = BY_NAME.get(name.removeprefix("no"))
    if name not in BY_NAME and positive and positive.kind is bool:
        return positive.name
    return name


def _refuse_unknown(given: Iterable[_Given], words: Sequence[str]) -> None:
    """Refuse a flag that no word takes.

    This comes first: what follows such a flag may be its value, not a word.
    """
    word = words[0] if words and words[0] in WORDS else "run"
    for name, _ in given:
        if name not in BY_NAME and name not in _HELP:
            raise _unknown_flag(name, word)


def _unknown_flag(name: str, word: str) -> UserError:
    taken = options_of(word)
    for option in taken.values():
        if name == option.formerly:
            return UserError(f"--{name} of {word} is called --{option.name} now")
    longer = [f"--{one}" for one in taken if name and one.startswith(name)]
    if longer:
        meant = " or ".join(longer[:5]) + (" or ..." if len(longer) > 5 else "")
        return UserError(f"--{name} is short for {meant}; write it in full")
    near = _nearest(name, (*taken, "help"))
    hint = f" Did you mean --{near}?" if _likeness(name, near) > _ALIKE else ""
    return UserError(
        f"unknown flag --{name}.{hint} All flags of {word}: python launch.py {word} "
        "--help"
    )


def _refuse_flags(word: str, given: Sequence[_Given]) -> None:
    taken = options_of(word)
    for place, (name, typed) in enumerate(given):
        if name not in taken:
            raise _not_taken(BY_NAME[name], word)
        twice = [flag for flag in given[:place] if flag.name == name]
        if twice and taken[name].kind is not tuple:
            before, again = " ".join(twice[0].typed), " ".join(typed)
            raise UserError(
                f"--{name} is given twice, {before} and {again}; give it once"
            )


def _not_taken(option: Option, word: str) -> UserError:
    *most, last = option.words
    takers = f"{', '.join(most)} and {last} do" if most else f"{last} does"
    return UserError(
        f"{word} does not take --{option.name} ({takers}); the nearest flag of {word} "
        f"is --{_nearest(option.name, options_of(word))}; all of them: python "
        f"launch.py {word} --help"
    )


def _nearest(name: str, names: Iterable[str]) -> str:
    return max(names, key=lambda other: _likeness(name, other))


def _likeness(name: str, other: str) -> float:
    """Compare two flags, 1 if equal; `study.` in front makes none alike."""
    plain, bare = (one.removeprefix("study.") for one in (name, other))
    return difflib.SequenceMatcher(None, bare, plain).ratio()


def _as_given(option: Option) -> str:
    """Write a flag as it is given, e.g. `--until=decided`."""
    value = "" if option.kind is bool else f"={'|'.join(option.choices) or 'NAME'}"
    return f"--{option.name}{value}"


def _refuse_idle(word: str, values: flags.FlagValues) -> None:
    """Refuse a flag that has no effect beside the others, and say why."""
    for name, option in options_of(word).items():
        if not values[name].present:
            continue
        if values[name].value in ("", []) and name != "cache_dir":
            raise UserError(f"--{name} is empty; give it a value, or leave it out")
        if option.needs and not values[option.needs].value:
            needed = _as_given(BY_NAME[option.needs])
            raise UserError(
                f"--{name} is of {needed} and has no effect without; give both, or "
                f"leave out --{name}"
            )
        for other, why in option.against.items():
            if other in values and values[other].present:
                raise UserError(f"{why}; leave out --{name} or --{other}")
