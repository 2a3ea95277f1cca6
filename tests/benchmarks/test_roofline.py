"""What an accelerator would be given, and what that asks of its peaks.

No chip is here: programs are lowered for one, and read.
"""

import functools
import re

import jax
import jax.numpy as jnp
import pytest

import init_study.engine.population as engine_population
from benchmarks import ours
from benchmarks.cases import CASES, step_gflop
from benchmarks.ours import place_population
from benchmarks.roofline import CHIPS, Chip, Work, peaks, table, work_of
from init_study.conv.forms import FORMS
from init_study.engine.devices import place_members
from init_study.network import Arithmetic
from init_study.schemes import Batch, parse_scheme
from init_study.train import no_sums

QUICK = {("tiny", "patches/4"), ("tiny", "xla/4"), ("tiny", "winograd/1")}
PLACES = [
    pytest.param(
        *(case, f"{form}/{width}"),
        marks=[] if (case, f"{form}/{width}") in QUICK else pytest.mark.slow,
    )
    for case in CASES
    for form in FORMS
    for width in (1, 4)
]


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    """The devices of a test process are as they are: nothing prepares JAX again."""
    monkeypatch.setattr(ours, "prepare_jax", lambda cache_dir: None)
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("member",))
    monkeypatch.setattr(ours, "member_mesh", lambda: mesh)


@functools.cache
def functions(case, execution, precision=None):
    """The jitted functions of a run, each with its arguments."""
    population = place_population(CASES[case], 4, execution, precision=precision)
    feeding, place = population.feeding, jnp.int32(0)
    state, hyper = population.start, population.hyper
    width = population.plan.execution.chunk_width
    sums = place_members(no_sums(4), population.mesh, width)
    held, _, _ = next(iter(feeding.held("validation")))
    shared, _ = next(feeding.shared(0))
    compiled = population.compiled
    return {
        "train": (compiled.train, (state, hyper, shared, place, place)),
        "evaluate": (compiled.evaluate, ((state, sums), held, place, place)),
        "measure": (
            compiled.measure,
            ((state, hyper), feeding.first, feeding.first_steps),
        ),
    }


def lowered_for(platform, function, arguments):
    """The module that the platform would compile, as text."""
    exported = jax.export.export(function, platforms=[platform])(*arguments)
    return str(exported.mlir_module())


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize(("case", "execution"), PLACES)
def test_a_run_lowers_for_accelerators(case, execution, platform):
    """No call back to the host, no float64, and groups only under `vmap` of kernels."""
    form, width = execution.split("/")
    for name, (function, arguments) in functions(case, execution).items():
        text = lowered_for(platform, function, arguments)
        assert "custom_call" not in text, name
        assert "f64" not in text, name
        groups = re.findall(r"(?:feature|batch)_group_count = (\d+)", text)
        assert len(groups) == 2 * text.count("stablehlo.convolution")
        if form == "patches":
            assert not groups, name
        elif width == "1":
            assert set(groups) == {"1"}, name
        else:
            # What all members share, as images in evaluation, needs no group.
            assert set(groups) <= {"1", "4"}, name
            convolutions = text.count("stablehlo.convolution")
            grouped = groups.count("4") == convolutions
            assert grouped or name == "evaluate" or form == "winograd"


HALF_ON = {
    "cuda": Arithmetic("bfloat16", "BF16_BF16_F32"),
    "tpu": Arithmetic("bfloat16", "bfloat16"),
}


@pytest.mark.parametrize("platform", HALF_ON)
@pytest.mark.parametrize("form", ["patches", "canonical"])
def test_half_precision_lowers_for_accelerators(monkeypatch, form, platform):
    """To matrix units of half precision; what is rounded is said, and nothing else."""
    here = HALF_ON[platform]
    monkeypatch.setattr(engine_population, "arithmetic_here", lambda name: here)
    compiled = functions.__wrapped__("tiny", f"{form}/4", "bfloat16")
    lowered = {name: lowered_for(platform, *one) for name, one in compiled.items()}
    for name, text in lowered.items():
        products = re.findall(r"stablehlo.dot_general.*", text)
        assert "custom_call" not in text and "f64" not in text, name
        # Parameters, norms and losses: all there is.
        assert "bf16>" not in text, name
        assert products
        half = "lhs_precision_type = bf16, rhs_precision_type = bf16"
        said = sum(half in product for product in products)
        # Layers are measured with all digits.
        if name == "measure":
            assert all("[HIGHEST, HIGHEST]" in product for product in products)
        is_said = platform == "cuda" and name != "measure"
        assert said == (len(products) if is_said else 0), name
        roundings = text.count("format = e8m7")
        assert (roundings > 0) == (name != "measure")


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize(
    "scheme",
    ["he_normal", "orthogonal", "delta_orthogonal", "lsuv", "zero_hadamard"],
)
def test_draws_lower_for_accelerators(scheme, platform):
    """Members side by side; decompositions are those of the platform's libraries."""
    plan = place_population(CASES["tiny"], 1).plan
    batch = Batch(jnp.zeros((4, 8, 8, 1)), jnp.zeros(4, jnp.int32))
    draw = parse_scheme(scheme)

    def draw_all(keys):
        return jax.vmap(lambda key: draw(key, plan.network, batch))(keys)

    text = lowered_for(
        platform, jax.jit(draw_all), (jax.random.split(jax.random.key(0), 2),)
    )
    assert "f64" not in text
    called = set(re.findall(r"custom_call @([\w.]+)", text))
    assert not {name for name in called if "callback" in name}


def test_the_work_of_a_step_is_counted_once():
    """Thrice what layers multiply forward, and a little for all else."""
    population = place_population(CASES["tiny"], 1, "patches/1")
    work = work_of(population)
    assert work.gflop == pytest.approx(step_gflop(CASES["tiny"]), rel=0.15)
    kernels = sum(leaf.nbytes for leaf in jax.tree.leaves(population.start.params))
    images = 64 * 8 * 8 * 16 * 4
    assert work.gb > (kernels + 4 * images) / 1e9


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        # A thousandth of a second of products, and a tenth of that of memory.
        (Work("net", "form", gflop=1.0, gb=0.01), (1000, 10_000, 1.0)),
        # Memory takes four times as long as products.
        (Work("net", "form", gflop=1.0, gb=0.4), (1000, 250, 0.25)),
    ],
)
def test_what_takes_longer_binds(work, expected):
    assert peaks(work, Chip("chip", tflops=1.0, gbs=100.0)) == pytest.approx(expected)


def test_the_table_has_a_column_for_each_chip():
    lines = table([Work("net", "form", gflop=1.0, gb=0.01)], 4).splitlines()
    assert [line.count("|") for line in lines[2:]] == 3 * [6 + len(CHIPS)]
    assert "`form`" in lines[-1]
