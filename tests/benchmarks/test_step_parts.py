"""Where the time of a step goes: read off a profile, and added up by hand."""

import json
import os
import sys
from pathlib import Path

import flax.linen as nn
import pytest
from calling import finish

from benchmarks.step_parts import (
    PARTS,
    Event,
    convolution_gflop,
    own_times,
    part_of,
    parts_of,
)
from init_study.network import trace

ROOT = Path(__file__).resolve().parents[2]
# Two operations in a loop, one of them of no module.
TEXT = """
%body {
  %x = f32[8,4]{1,0} parameter(0)
  %w = f32[3,3,2,4]{3,2,1,0} parameter(1)
  %conv.1 = f32[8,4]{1,0} convolution(%x, %w), metadata={op_name="f/jvp(N/Conv_0)/convolution/conv_general_dilated"}
  ROOT %mul.2 = f32[8,4]{1,0} multiply(%x, %conv.1), metadata={op_name="f/transpose(jvp(N/LayerNorm_0))/mul" source_file="a.py"}
}
  %while.3 = (f32[8,4], f32[3,3,2,4]) while(%tuple), condition=%cond, body=%body
"""  # noqa: E501  As a compiler writes it.


@pytest.fixture(scope="module")
def network():
    convolutions = [nn.Conv(4, (3, 3)), nn.relu, nn.Conv(4, (3, 3))]
    return trace(nn.Sequential(convolutions), (8, 8, 2))


def test_times_are_added_up_by_part(network):
    """Of 10 ms the loop itself takes 2, and each step has half of it all."""
    events = [
        Event("while.3", 0.0, 10e6),
        Event("conv.1", 1e6, 4e6),
        Event("mul.2", 4e6, 5e6),
        Event("conv.1", 5e6, 8e6),
        Event("mul.2", 8e6, 9e6),
        # What the runtime notes of itself is no operation.
        Event("ThunkExecutor::Execute", 0.0, 20e6),
    ]
    found = {part.name: part for part in parts_of([events], TEXT, 2, network)}
    assert found.keys() == {"forward", "norms", "other"}
    assert found["forward"].ms == pytest.approx(3)
    assert found["norms"].ms == pytest.approx(1)
    assert found["other"].ms == pytest.approx(1)
    # 8 · 4 numbers of 4 bytes thrice in a millisecond.
    assert found["norms"].gbs == pytest.approx(3 * 128 / 1e9 / 1e-3)
    work = convolution_gflop(network.layers)["forward"]
    assert found["forward"].gflops == pytest.approx(work / 3e-3)


def test_work_is_that_of_plain_convolutions(network):
    """Batches of 64: two multiply-adds of 9 · 2 and 9 · 4 taps, 8 × 8 and 4 channels;
    the images need no gradient."""
    first, second = (64 * 64 * 4 * 9 * c * 2 / 1e9 for c in (2, 4))
    work = convolution_gflop(network.layers)
    assert work["forward"] == pytest.approx(first + second)
    assert work["kernel_gradient"] == pytest.approx(first + second)
    assert work["images_gradient"] == pytest.approx(second)


def test_an_event_keeps_what_is_not_inside_it():
    events = [
        Event("outer", 0.0, 100.0),
        Event("inner", 10.0, 60.0),
        Event("innermost", 20.0, 30.0),
        Event("next", 100.0, 101.0),
    ]
    assert dict(own_times(events)) == {
        "outer": 50.0,
        "inner": 40.0,
        "innermost": 10.0,
        "next": 1.0,
    }


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("f/transpose(jvp(N/Conv_1))/images_gradient/dot_general", "images_gradient"),
        ("f/transpose(jvp(N/Conv_1))/kernel_gradient/cond/copy", "kernel_gradient"),
        ("jit(f)/jvp(N/Conv_3)/dot_general", "forward"),
        ("jit(f)/transpose(jvp(N/Conv_3))/dot_general", "images_gradient"),
        ("jit(f)/jvp(N/Block_1/BatchNorm_0)/sub", "norms"),
        ("jit(f)/jvp(N/Dense_0)/add", "dense"),
        ("jit(f)/jvp(N)/max", "elementwise"),
        ("jit(f)/optimizer/mul", "optimizer"),
        ("jit(f)/while/body/gather", "augmentation"),
        ("", "other"),
    ],
)  # fmt: skip
def test_operations_belong_to_parts(path, part):
    assert part_of(path) == part and part in PARTS


def run_layers(*flags):
    return finish(
        [sys.executable, "-m", "benchmarks.layers", *flags],
        limit=200,
        check=False,
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )


def test_a_real_step_is_known_part_by_part(tmp_path):
    """Nearly all that operations took belongs to a part with a name."""
    path = tmp_path / "parts.json"
    done = run_layers("--case=tiny", "--seconds=0.2", f"--json={path}")
    assert done.returncode == 0, done.stderr
    document = json.loads(path.read_text())
    ms = {part["name"]: part["ms"] for part in document["parts"]}
    assert {"forward", "images_gradient", "kernel_gradient", "optimizer"} <= ms.keys()
    assert ms.get("other", 0.0) < 0.3 * sum(ms.values())
    for name in ("evaluation_ms", "measuring_ms", "matmul_gflops", "memory_gbs"):
        assert document[name] > 0
    assert "| convolutions, forward | " in done.stdout


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--case=resnet21", "Did you mean 'resnet20'"),
        ("--execution=winograd", "winograd"),
        ("--json=nowhere/parts.json", "its folder is not there"),
    ],
)
def test_what_cannot_be_profiled_is_one_line(flag, words):
    done = run_layers(flag)
    assert done.returncode == 1 and words in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
