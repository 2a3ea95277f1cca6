"""What a scheme makes of a model, layer by layer."""

from collections.abc import Iterable, Mapping
from typing import Any

from init_study.answers.columns import format_columns
from init_study.cli.invocation import Answer, Invocation, asked_study
from init_study.diagnosis.layer_table import layer_columns, scheme_overview


def answer(invocation: Invocation) -> Answer:
    """Draw once, and measure what the network does with it."""
    scheme = invocation.flags.scheme or "he_normal"
    shown = scheme_overview(invocation.make_plan(asked_study(invocation, scheme)))
    return Answer(shown, scheme_text(shown))


def scheme_text(shown: Iterable[Mapping[str, Any]]) -> str:
    """Write what `scheme_overview` found, layer by layer."""
    parts = []
    for one in shown:
        rules = dict.fromkeys(row["rule"] for row in one["layers"])
        passes = "{forward} forward and {backward} backward".format(**one["passes"])
        parts.append(
            f"{one['scheme']} on {one['program']}, {one['parameters']} parameters\n\n"
            f"{format_columns(layer_columns(one['layers']))}\n\n"
            "Fans, on average: inputs that feed one output, outputs that one input "
            "feeds;\n`9 of 36` where a stride or a dilation leaves 9 of the 36.\n"
            "In brackets: what the scheme asks for, and what its variances predict.\n"
            f"Kernels: {'; '.join(rules)}. Cost: {passes} passes.\n"
            f"{''.join(_remarks(one))}"
        )
    return "\n".join(parts)


def _remarks(one: Mapping[str, Any]) -> Iterable[str]:
    """Name what is unusual, a line each."""
    for row in one["layers"]:
        for peculiarity in row["peculiarities"]:
            yield f"{row['layer']}: {peculiarity}.\n"
    for name in one["not_recognized"]:
        yield (
            f"{name}: not recognized. It weighs the images in a way that is not known, "
            "and stays the module's own.\n"
        )
    for name in one["read_no_images"]:
        yield (
            f"{name}: not recognized. It reads no images, and stays the module's own.\n"
        )
