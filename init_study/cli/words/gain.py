"""What activations do to signal and gradients."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from init_study.activations import ACTIVATIONS
from init_study.answers.columns import format_columns
from init_study.cli.invocation import Answer, Invocation
from init_study.theory import gain_table

_COLUMNS = 100


def answer(invocation: Invocation) -> Answer:
    """Compute the constants of one activation, or of all that have a name."""
    flags = invocation.flags
    name, given = flags.activation, (flags.q, flags.bias_variance)
    if name is None:
        found: Any = [gain_table.gain_overview(one, *given) for one in ACTIVATIONS]
    else:
        found = gain_table.gain_overview(name, *given)
    return Answer(found, gain_text(found))


def gain_text(found: Mapping[str, Any] | Sequence[dict[str, Any]]) -> str:
    """Write what `gain_overview` found: of one activation, or a line for each."""
    if not isinstance(found, Mapping):
        return format_columns(gain_table.gain_columns(found))
    one = dict(found)
    table = format_columns(gain_table.gain_rows(one), header=False)
    sentence = fill(gain_table.gain_sentence(one), _COLUMNS)
    return "\n".join([table, "", sentence, *gain_table.gain_reasons(one)])
