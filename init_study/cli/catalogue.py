"""The reference page: every initializer and scheme with all that its docstring says.

The page is written by `python -m init_study.cli.catalogue > docs/catalogue.md`.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from init_study.initializers import INITIALIZERS
from init_study.schemes import ALIASES, SCHEMES, Scheme
from init_study.theory.shaping import SHAPES

_FIELD = re.compile(
    r"(Preserves|Use|When not|Cost|Kernel layout|Args|Raises|References?|Source): ?"
)
# Of the factories in Python: a scheme's layer knows them.
_HIDDEN = {
    *("key", "shape", "dtype", "groups", "fans", "tap"),
    *("in_axis", "out_axis", "batch_axis", "column_axis"),
}

_INTRODUCTION = """# Catalogue

Made from the docstrings by `python -m init_study.cli.catalogue`.

An initializer is `(key, shape, dtype) -> Array`, as JAX's own, for kernels in the
layout `[height, width, in / groups, out]` or `[in, out]`. Every one of them is a scheme
of the same name, which gives each layer of a network this law, and zero biases.

fan_in = height · width · in / groups and fan_out = height · width · out / groups are
what an initializer counts, which sees a shape. A scheme counts what the operation does,
on average: a transposed convolution of stride s has 1 / s² of these inputs for an
output, one of stride s has 1 / s² of these outputs for an input. Identities and
delta-orthogonal kernels sit on the tap that moves no image. `fans=nominal`, as in
`he_normal(fans=nominal)`, keeps the formula as published; the schemes of frameworks
keep it always. Whatever JAX's own initializers take is in
[the reference](reference/initializers.md).

[The reference](reference/initializers.md) has an example of each.

`python launch.py show --scheme=NAME --model=NAME` says what any of them makes of a
network; `init_study.initialize(module, images, "NAME", key)` applies it to a module.
"""

_SHAPES = """They change the network, not its numbers: `--study.activation="tat(relu)"`
shapes for the model's own depth, `init_study.theory.tat("relu", 20)` gives the function
for a module of your own.
"""

# What one may look for, and why it is not here.
LEFT_OUT = {
    "IDInit's rules for convolutions and residual branches": (
        "the exact padding was not to be had; `repeated_identity` is what it starts "
        "from"
    ),
    "ConvCov's covariance by depth": (
        "its closed form was not to be had; `gaussian_field` is a plain relative"
    ),
    "RAI (asymmetric, against dead ReLUs)": "its formula could not be checked",
    "NF-ResNets": (
        "scaled weight standardization is another forward pass; the model `nfnet_f0` "
        "has it"
    ),
    "T-Fixup": "for transformers; what is general in it is in `fixup`",
    "Mimetic initialization": "for self-attention",
    "Filters from trained nets": "transfer is another question than initialization",
}


def reference_page() -> str:
    """Write every initializer and scheme with its docstring, as Markdown."""
    of_networks = {n: f for n, f in SCHEMES.items() if n not in INITIALIZERS}
    also = ", ".join(f"`{other}` is `{name}`" for other, name in ALIASES.items())
    left_out = "\n".join(f"- {what}: {why}." for what, why in LEFT_OUT.items())
    parts = [
        _INTRODUCTION,
        f"Other names: {also}.\n",
        f"## {len(INITIALIZERS)} initializers\n",
        *_entries(INITIALIZERS),
        f"## {len(of_networks)} schemes for whole networks\n",
        *_entries(of_networks),
        f"## {len(SHAPES)} shapes of activations\n\n{_SHAPES}",
        *_entries(SHAPES),
        f"## Left out\n\n{left_out}\n",
    ]
    return "\n".join(parts)


def _entries(table: Mapping[str, Callable[..., Any]]) -> Iterator[str]:
    for name, function in table.items():
        arguments = ", ".join(
            parameter.name + _default(parameter.default)
            for parameter in inspect.signature(function).parameters.values()
            if parameter.name not in _HIDDEN
        )
        # The reference has the examples, which end a docstring.
        doc = (inspect.getdoc(function) or "").partition("\n\nExample:\n")[0]
        yield f"### `{name}({arguments})`\n\n{_markdown(doc)}"


def _default(value: Any) -> str:
    # The only scheme that others begin with.
    if value is inspect.Parameter.empty:
        return ""
    return "='he_normal'" if isinstance(value, Scheme) else f"={value!r}"


def _markdown(doc: str) -> str:
    """Write a docstring's fields as a list; text stays as it is."""
    lines, in_args = [], False
    for line in doc.splitlines():
        field = _FIELD.match(line)
        if field:
            in_args = field[1] == "Args"
            starts_list = lines and not lines[-1].startswith(("- ", "  "))
            if starts_list and lines[-1]:
                lines.append("")
            lines.append(f"- **{field[1]}:** {line[field.end() :]}".rstrip())
        elif in_args and re.match(r"    \w[\w, ]*: ", line):
            names, _, what = line.strip().partition(": ")
            if names not in _HIDDEN:
                lines.append(f"  - `{names}`: {what}")
            else:
                lines.append("")
        elif line.strip() and lines and lines[-1].startswith(("- ", "  ")):
            lines.append(f"    {line.strip()}" if in_args else f"  {line.strip()}")
        else:
            lines.append(line)
    text = "\n".join(lines)
    # Blank lines between items would make the list a loose one.
    text = re.sub(r"\n\n+(?=( *- ))", "\n", text)
    text = re.sub(r"(?<=\.)\n(?=- \*\*)", "\n\n", text, count=1)
    return f"{text.strip()}\n"


if __name__ == "__main__":
    print(reference_page(), end="")
