"""One convolution or pooling at a time, inside a loop: each form against XLA's own.

    python -m benchmarks.convolutions

Forward and both gradients, batch 64, on one device. Prints CPU milliseconds (median of
several calls) and GFLOP per CPU-second as a Markdown table.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from absl import app, flags
from jax import lax

from init_study.conv import FORMS, convolve, fast_in_loops

_BATCH = flags.DEFINE_integer("batch", 64, "Images.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Calls of each form.", 1)
# Of one call, about.
_SECONDS = 0.3


class Shape(NamedTuple):
    """A square map and kernel."""

    size: int
    channels_in: int
    channels_out: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1

    def __str__(self) -> str:
        text = f"{self.size}×{self.size}, {self.channels_in} → {self.channels_out}, "
        text += f"{self.kernel}×{self.kernel}"
        text += f", stride {self.stride}" if self.stride > 1 else ""
        return text + (f", {self.groups} groups" if self.groups > 1 else "")


SHAPES = (
    Shape(8, 1, 16),
    Shape(4, 16, 16),
    Shape(28, 1, 6, kernel=5),
    Shape(14, 6, 16, kernel=5),
    Shape(28, 1, 32),
    Shape(14, 32, 64),
    Shape(32, 3, 32),
    Shape(32, 16, 16),
    Shape(16, 32, 32),
    Shape(16, 64, 64),
    Shape(8, 128, 128),
    Shape(32, 16, 32, stride=2),
    Shape(16, 32, 32, kernel=1),
    Shape(16, 64, 64, groups=64),
    Shape(16, 64, 64, groups=8),
)


def main(_: list[str]) -> None:
    """Print both tables."""
    forms = list(FORMS)
    print("| convolution | " + " | ".join(f"{f}, ms (GFLOP/s)" for f in forms) + " |")
    print("| --- |" + " --- |" * len(forms))
    for shape in SHAPES:
        cells = [_cell(shape, form) for form in forms]
        print(f"| {shape} | " + " | ".join(cells) + " |", flush=True)
    print("\n| pooling of 28×28×32 | XLA, ms | this package, ms |\n| --- | --- | --- |")
    for name, pool in (("max 2×2", _max(2, 2)), ("max 3×3, stride 2", _max(3, 2))):
        images = jnp.ones((_BATCH.value, 28, 28, 32))
        seconds = [
            _seconds(jax.grad(lambda x, p=p: p(x).sum()), (images,))
            for p in (pool, fast_in_loops(pool))
        ]
        print(f"| {name} | " + " | ".join(f"{1e3 * s:.2f}" for s in seconds) + " |")


def _cell(shape: Shape, form: str) -> str:
    draw = jax.random.normal
    images = draw(
        jax.random.key(0), (_BATCH.value, shape.size, shape.size, shape.channels_in)
    )
    per_group = shape.channels_in // shape.groups
    kernel = draw(
        jax.random.key(1), (shape.kernel, shape.kernel, per_group, shape.channels_out)
    )
    strides = (shape.stride, shape.stride)

    def both_gradients(images: Any, kernel: Any) -> Any:
        out, pull = jax.vjp(
            lambda x, k: convolve(
                x, k, strides, "SAME", groups=shape.groups, form=form
            ),
            images,
            kernel,
        )
        return out.mean(), pull(out)

    seconds = _seconds(both_gradients, (images, kernel))
    rows = -(-shape.size // shape.stride)
    flop = 6 * _BATCH.value * rows**2 * kernel.size
    return f"{1e3 * seconds:.2f} ({flop / seconds / 1e9:.0f})"


def _max(window: int, stride: int) -> Callable[[Any], Any]:
    return lambda x: nn.max_pool(x, (window, window), (stride, stride), "SAME")


def _seconds(function: Callable[..., Any], inputs: Any) -> float:
    """Measure the CPU seconds of one turn of a loop, the median of some calls.

    Every result is kept, so that none is optimized away, and each turn needs the one
    before.
    """
    shapes = jax.eval_shape(function, *inputs)

    def turn(_: Any, results: Any) -> Any:
        before = sum(jnp.ravel(leaf)[0] for leaf in jax.tree.leaves(results))
        first, *rest = inputs
        return function(first + 1e-30 * before, *rest)

    @jax.jit
    def loop(number: Any) -> Any:
        start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return lax.fori_loop(0, number, turn, start)

    jax.block_until_ready(loop(1))
    began = time.monotonic()
    jax.block_until_ready(loop(1))
    # The system counts a process's time in steps of some milliseconds.
    turns = max(1, int(_SECONDS / (time.monotonic() - began)))
    took = []
    for _ in range(_REPEATS.value):
        began = time.process_time()
        jax.block_until_ready(loop(turns))
        took.append((time.process_time() - began) / turns)
    return median(took)


if __name__ == "__main__":
    app.run(main)
