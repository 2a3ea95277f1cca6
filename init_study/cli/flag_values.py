"""The flags of a word, defined for absl out of the table of options."""

from absl import flags

from init_study.cli.option import Option
from init_study.cli.options import options_of


def flag_values(word: str) -> flags.FlagValues:
    """Define the flags that a word takes, at their defaults."""
    values = flags.FlagValues()
    values.set_gnu_getopt(True)
    for option in options_of(word).values():
        _define(option, values)
    return values


def _define(option: Option, values: flags.FlagValues) -> None:
    name, default, text = option.name, option.default, option.help
    if option.choices:
        choices = list(option.choices)
        flags.DEFINE_enum(name, default, choices, text, flag_values=values)
    elif option.kind is bool:
        flags.DEFINE_bool(name, default, text, flag_values=values)
    elif option.kind is int:
        least = None if option.least is None else int(option.least)
        flags.DEFINE_integer(name, default, text, least, flag_values=values)
    elif option.kind is float:
        flags.DEFINE_float(name, default, text, option.least, flag_values=values)
    elif option.kind is tuple:
        flags.DEFINE_multi_string(name, list(default), text, flag_values=values)
    elif option.kind is list:
        flags.DEFINE_list(name, default, text, flag_values=values)
    else:
        flags.DEFINE_string(name, default, text, flag_values=values)
