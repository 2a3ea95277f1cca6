"""From a profile of compiled steps to the parts of a step. Pure, but for one file.

XLA's CPU runtime notes when each operation of a program begins and ends, by its name in
the compiled text; there every operation has the path of what it came from:

    %fusion.7 = f32[64,32,32,16]{3,2,1,0} fusion(%a, %b), kind=kLoop, calls=%c,
        metadata={op_name="jit(train)/while/body/transpose(jvp(ResNet/BatchNorm_1))/mul"}
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import NamedTuple

import jax

from benchmarks.cases import BATCH_SIZE
from init_study.errors import UserError
from init_study.network import Layer, Network

PARTS = {
    "forward": "convolutions, forward",
    "images_gradient": "convolutions, gradient of images",
    "kernel_gradient": "convolutions, gradient of kernels",
    "dense": "dense layers",
    "norms": "norms",
    "elementwise": "activations, sums, pooling, loss",
    "optimizer": "optimizer",
    "augmentation": "batches and augmentation",
    "other": "copies, loops and all else",
}
_CONVOLUTIONS = ("forward", "images_gradient", "kernel_gradient")

# name = shape operation(operands), ..., op_name="path"
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (.*?) ([\w\-]+)\((.*)$")
_ARRAY = re.compile(r"(pred|[a-z]+\d+)\[([\d,]*)\]")
_PATH = re.compile(r'op_name="([^"]*)"')
_OPERAND = re.compile(r"%([\w.\-]+)")
# They only hold others, whose times are noted on their own.
_HOLD = ("while", "conditional", "call")


class Event(NamedTuple):
    """One run of an operation, or what holds others.

    Attributes:
        name: of the instruction.
        start, end: in nanoseconds.
    """

    name: str
    start: float
    end: float


class Instruction(NamedTuple):
    """An instruction of a compiled program.

    Attributes:
        path: of what it came from.
        numbers: bytes of its operands and results; 0 for what holds others.
    """

    path: str
    numbers: int


class Part(NamedTuple):
    """A part of a step.

    Attributes:
        name: in `PARTS`.
        ms: milliseconds of a step.
        gflops: of convolutions, counted as plain ones, per second; else None.
        gbs: GB of operands and results per second.
    """

    name: str
    ms: float
    gflops: float | None
    gbs: float | None


def read_events(folder: Path) -> list[list[Event]]:
    """Read a profile that `jax.profiler.trace` wrote: of each thread its events.

    Raises: UserError where there is none.
    """
    found = sorted(folder.glob("**/*.xplane.pb"))
    if not found:
        raise UserError(f"JAX wrote no profile into {folder}; is the disk full?")
    data = jax.profiler.ProfileData.from_file(str(found[-1]))
    return [
        [Event(e.name, e.start_ns, e.start_ns + e.duration_ns) for e in line.events]
        for plane in data.planes
        for line in plane.lines
        if line.name != "python"
    ]


def parts_of(
    threads: Iterable[Iterable[Event]], text: str, steps: int, network: Network
) -> list[Part]:
    """Add up the parts of a step.

    Args:
        threads: of each the events of so many steps.
        text: of the compiled program.
        steps: that were profiled.
        network: that is trained, for the work of its convolutions.
    """
    instructions = read_instructions(text)
    seconds: dict[str, float] = defaultdict(float)
    moved: dict[str, float] = defaultdict(float)
    for events in threads:
        for name, own in own_times(events):
            if name in instructions:
                one = instructions[name]
                part = part_of(one.path)
                seconds[part] += own / 1e9 / steps
                moved[part] += one.numbers / 1e9 / steps
    work = convolution_gflop(network.layers)
    return [
        Part(
            name,
            1e3 * seconds[name],
            work[name] / seconds[name] if name in work else None,
            moved[name] / seconds[name] if name not in work else None,
        )
        for name in PARTS
        if seconds[name] > 0
    ]


def own_times(events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    """Find what each event took itself, without those inside it, in nanoseconds.

    Example:
        >>> outer, inner = Event("while", 0.0, 10.0), Event("add", 2.0, 5.0)
        >>> sorted(own_times([outer, inner]))
        [('add', 3.0), ('while', 7.0)]
    """
    open_ones: list[tuple[Event, list[float]]] = []
    for event in sorted(events, key=lambda event: (event.start, -event.end)):
        while open_ones and open_ones[-1][0].end <= event.start:
            done, inside = open_ones.pop()
            yield done.name, done.end - done.start - sum(inside)
        if open_ones:
            open_ones[-1][1].append(event.end - event.start)
        open_ones.append((event, []))
    for done, inside in reversed(open_ones):
        yield done.name, done.end - done.start - sum(inside)


def read_instructions(text: str) -> dict[str, Instruction]:
    """Read the instructions of a compiled program's text, by name.

    Example:
        >>> line = '  %b = f32[2,3]{1,0} add(%a, %a), metadata={op_name="x/add"}'
        >>> read_instructions("  %a = f32[2,3]{1,0} parameter(0)" + chr(10) + line)["b"]
        Instruction(path='x/add', numbers=72)
    """
    lines = [match for line in text.splitlines() if (match := _INSTRUCTION.match(line))]
    sizes = {match[1]: _bytes(match[2]) for match in lines}
    found = {}
    for match in lines:
        name, _, kind, rest = match.groups()
        operands = _OPERAND.findall(rest.partition(")")[0])
        numbers = sizes[name] + sum(sizes.get(operand, 0) for operand in operands)
        path = _PATH.search(rest)
        found[name] = Instruction(
            path[1] if path else "", 0 if kind in _HOLD else numbers
        )
    return found


def _bytes(shape: str) -> int:
    """Count the bytes of an array or of a tuple of them, as `f32[2,3]{1,0}`."""
    return sum(
        prod(int(size) for size in sizes.split(",") if size)
        * (1 if kind == "pred" else max(1, int(re.sub(r"\D", "", kind)) // 8))
        for kind, sizes in _ARRAY.findall(shape)
    )


def part_of(path: str) -> str:
    """Name the part of a step that an operation belongs to, by its path.

    Example:
        >>> part_of("jit(f)/while/body/transpose(jvp(Net/BatchNorm_0))/reduce_sum")
        'norms'
    """
    for name in ("images_gradient", "kernel_gradient", "optimizer", "augmentation"):
        if f"/{name}/" in path:
            return name
    if "jvp(" not in path:
        # A step's batch is gathered before its pass.
        gathers = path.endswith(("gather", "dynamic_slice"))
        return "augmentation" if gathers else "other"
    if "/convolution/" in path or path.endswith("conv_general_dilated"):
        return "forward"
    module = path.rpartition("jvp(")[2].partition(")")[0].rpartition("/")[2]
    if "Norm" in module:
        return "norms"
    if module.startswith("Dense"):
        return "dense"
    # 1 × 1 convolutions are plain products.
    if path.endswith(("dot_general", "transpose")) and "Conv" in module:
        return "images_gradient" if "transpose(" in path else "forward"
    return "elementwise"


def convolution_gflop(layers: Iterable[Layer]) -> dict[str, float]:
    """Count the work of a plain convolution, forward and of both gradients, by part.

    The first layer's images need no gradient.
    """
    work = dict.fromkeys(_CONVOLUTIONS, 0.0)
    for place, layer in enumerate(layers):
        if layer.kind != "conv":
            continue
        gflop = 2 * prod(layer.output_shape) * layer.fan_in * BATCH_SIZE / 1e9
        for name in _CONVOLUTIONS:
            if place or name != "images_gradient":
                work[name] += gflop
    return work
