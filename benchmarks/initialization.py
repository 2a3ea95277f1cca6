"""How long it takes to draw a population, scheme by scheme, beside He's normal draws.

    python -m benchmarks.initialization

Draws every member of a plain CNN as a run does, turn by turn with `he_normal` in one
run. Prints seconds (median) and the ratio to the `he_normal` of the same turn as a
Markdown table.
"""

import time
from statistics import median
from typing import Any

import jax
from absl import app, flags

from init_study.models import CNN
from init_study.network import Network, trace
from init_study.schemes import Scheme, parse_scheme

_SCHEMES = flags.DEFINE_list(
    "schemes",
    ["orthogonal", "scaled_orthogonal", "delta_orthogonal", "he_uniform"],
    "To be compared with he_normal; none that looks at data.",
)
_MEMBERS = flags.DEFINE_integer("members", 256, "Drawn at once.", 1)
_DEPTH = flags.DEFINE_integer("depth", 30, "Convolutions of the CNN.", 1)
_WIDTH = flags.DEFINE_integer("width", 16, "Channels of the CNN.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 7, "Turns that are timed.", 1)


def main(_: list[str]) -> None:
    """Print the table."""
    network = trace(CNN(10, depth=_DEPTH.value, width=_WIDTH.value), (8, 8, 1), 10)
    print(
        f"{_MEMBERS.value} members, {_DEPTH.value} convolutions of {_WIDTH.value} "
        f"channels, n={_REPEATS.value}\n\n| scheme | seconds | × he_normal |\n"
        "| --- | --- | --- |"
    )
    he = parse_scheme("he_normal")
    for text in _SCHEMES.value:
        seconds, ratios = _compare(parse_scheme(text), he, network)
        spread = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        print(f"| {text} | {median(seconds):.3f} | {spread} |", flush=True)


def _compare(
    scheme: Scheme, he: Scheme, network: Network
) -> tuple[list[float], list[float]]:
    """Seconds of each turn, and their ratios to He's."""
    seconds, ratios = [], []
    # The first turn compiles.
    for turn in range(_REPEATS.value + 1):
        own, other = (_seconds(s, network, turn) for s in (scheme, he))
        if turn:
            seconds.append(own)
            ratios.append(own / other)
    return seconds, ratios


def _seconds(scheme: Scheme, network: Network, seed: int) -> float:
    keys = jax.block_until_ready(jax.random.split(jax.random.key(seed), _MEMBERS.value))
    draw: Any = jax.vmap(lambda key: scheme(key, network))
    start = time.perf_counter()
    jax.block_until_ready(draw(keys))
    return time.perf_counter() - start


if __name__ == "__main__":
    app.run(main)
