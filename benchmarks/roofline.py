"""What a step asks of accelerators' peaks, without one at hand.

    python -m benchmarks.roofline --cases=small,resnet20

XLA's own cost analysis counts the operations of a step of each case in each form, and
the bytes that its compiled operations read and write; by a chip's published peaks that
is so many steps per second of either. No chip takes more steps than its peak of matrix
products allows. Bytes are no bound but a guide: they are those of the program as XLA
compiles it here, for a CPU, and a backend that fuses more moves fewer.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks.cases import BATCH_SIZE, CASES, find_case
from benchmarks.machine import versions
from benchmarks.ours import Population, place_population
from benchmarks.starting import check_file, keep, start
from init_study.conv.forms import FORMS
from init_study.errors import UserError, unknown

_CASES = flags.DEFINE_list("cases", list(CASES), f"Of {', '.join(CASES)}.")
_FORMS = flags.DEFINE_list("forms", list(FORMS), f"Of {', '.join(FORMS)}.")
_WIDTH = flags.DEFINE_integer("width", 4, "Members side by side.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File for all figures.")


class Chip(NamedTuple):
    """An accelerator's published peaks.

    Attributes:
        name: of the chip.
        tflops: dense products of float32 as XLA does them by default, whose factors are
            rounded to TF32 on NVIDIA's and to bfloat16 on Google's; in 10¹² a second.
        gbs: of its memory, in 10⁹ bytes a second.
    """

    name: str
    tflops: float
    gbs: float


# Of the makers' data sheets: NVIDIA H100 and A100 80 GB, both SXM; Google Cloud.
CHIPS = (
    Chip("H100", 494.7, 3350),
    Chip("A100", 156, 2039),
    Chip("TPU v5e", 197, 819),
)


class Work(NamedTuple):
    """What a step of one member is made of.

    Attributes:
        case: the net.
        form: of its convolutions.
        gflop: multiplications and additions.
        gb: read and written by compiled operations.
    """

    case: str
    form: str
    gflop: float
    gb: float


class Peaks(NamedTuple):
    """What a chip's peaks allow.

    Attributes:
        products: member-steps per second, if nothing but operations took time.
        bytes: if nothing but reading and writing did.
        share: of the peak of products that is left if bytes bind, else 1.
    """

    products: float
    bytes: float
    share: float


def main(_: list[str]) -> None:
    """Count the work of every case in every form, and print the table."""
    cases = [find_case(name) for name in _CASES.value]
    for form in _FORMS.value:
        if form not in FORMS:
            raise unknown("form", form, FORMS, ", ".join(FORMS))
    check_file(_JSON.value)
    jax.config.update("jax_num_cpu_devices", 1)
    if jax.default_backend() != "cpu":
        raise UserError(
            f"bytes are counted as a CPU's, and JAX runs on {jax.default_backend()}; "
            "set JAX_PLATFORMS=cpu"
        )
    found = []
    for case in cases:
        for form in _FORMS.value:
            width = _WIDTH.value
            found.append(work_of(place_population(case, width, f"{form}/{width}")))
            keep(_JSON.value, _document(found))
    print(table(found, _WIDTH.value))


def work_of(population: Population) -> Work:
    """Count the work of a member-step, from the compiled train step of a chunk.

    Loops whose turns are an argument, over chunks and steps, are counted once.
    """
    shared, _ = next(population.feeding.shared(0))
    place = jnp.int32(0)
    lowered = population.compiled.train.lower(
        population.start, population.hyper, shared, place, place
    )
    counted: Any = lowered.cost_analysis()
    moved: Any = lowered.compile().cost_analysis()
    members = population.members
    return Work(
        population.plan.label,
        population.plan.execution.convolution,
        counted["flops"] / members / 1e9,
        moved["bytes accessed"] / members / 1e9,
    )


def peaks(work: Work, chip: Chip) -> Peaks:
    """Find the rates that a chip's peaks allow.

    Example:
        >>> peaks(Work("net", "form", gflop=1.0, gb=0.5), Chip("chip", 1.0, 100.0))
        Peaks(products=1000.0, bytes=200.0, share=0.2)
    """
    products, moved = 1e3 * chip.tflops / work.gflop, chip.gbs / work.gb
    return Peaks(products, moved, min(1.0, moved / products))


def table(found: list[Work], width: int) -> str:
    """Write the work, and what the peaks of all chips allow, as a Markdown table."""
    names = "".join(f" {chip.name} |" for chip in CHIPS)
    rows = []
    for work in found:
        allowed = (peaks(work, chip) for chip in CHIPS)
        cells = "".join(
            f" {a.products:,.0f} / {a.bytes:,.0f} ({a.share:.1%}) |" for a in allowed
        )
        rows.append(
            f"| {work.case} | `{work.form}` | {work.gflop:.3g} | {1e3 * work.gb:.3g} | "
            f"{work.gflop / work.gb:.2g} |{cells}"
        )
    return "\n".join(
        (
            f"A step of one of {width} members side by side, batch {BATCH_SIZE}. For "
            "each chip the steps per second that its peak of products allows / that of "
            "memory, and the share of the first that the second leaves:",
            "",
            f"| case | form | GFLOP | MB | FLOP/byte |{names}",
            "| --- | --- | --- | --- | --- |" + " --- |" * len(CHIPS),
            *rows,
        )
    )


def _document(found: list[Work]) -> dict[str, Any]:
    return {
        "batch_size": BATCH_SIZE,
        "chips": [chip._asdict() for chip in CHIPS],
        "work": [work._asdict() for work in found],
        "versions": versions(),
    }


if __name__ == "__main__":
    start(main)
