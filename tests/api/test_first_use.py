"""The first use of a module compiles what layers share once, the next use nothing."""

import collections

import flax.linen as nn
import jax
import jax.monitoring
import pytest

from init_study import initialize
from init_study.diagnosis.layer_table import inspect_scheme
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme


class Blocks(nn.Module):
    """Residual blocks of one width, and a head."""

    blocks: int
    width: int

    @nn.compact
    def __call__(self, x, train: bool = True):
        """Compute the logits."""
        x = nn.Conv(self.width, (3, 3), use_bias=False)(x)
        for _ in range(self.blocks):
            y = nn.Conv(self.width, (3, 3), use_bias=False)(x)
            x = nn.relu(x + nn.BatchNorm(use_running_average=not train)(y))
        return nn.Dense(3)(x.mean((1, 2)))


@pytest.fixture
def counted():
    """Count what is compiled, by name, and what is traced."""
    found = collections.Counter()

    def note(event, duration_secs, **kwargs):
        del duration_secs
        if event.endswith("/backend_compile_duration"):
            found[
                str(kwargs.get("fun_name")).removeprefix("jit(").removesuffix(")")
            ] += 1
        if event.endswith("/jaxpr_trace_duration"):
            found["traces"] += 1

    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


def images(channels=5):
    return jax.random.normal(jax.random.key(0), (4, 6, 6, channels))


def test_kernels_of_one_shape_share_their_programs(counted):
    initialize(Blocks(2, 7), images(), "he_normal", jax.random.key(0))
    once = dict(counted)
    # Three shapes of kernels, and one of them four times.
    assert once["_scaled"] == 3
    counted.clear()
    initialize(Blocks(4, 7), images(), "he_normal", jax.random.key(0))
    assert counted["_scaled"] == counted["_normal"] == 0


@pytest.mark.parametrize("scheme", ["he_normal", "zero_gamma", "zero_head"])
def test_the_next_draw_traces_and_compiles_nothing(counted, scheme):
    module = Blocks(2, 9)
    initialize(module, images(), scheme, jax.random.key(0))
    assert counted["traces"] > 0
    counted.clear()
    initialize(module, images(), scheme, jax.random.key(1))
    assert not counted


def test_another_scheme_does_not_trace_the_module_again(counted):
    module = Blocks(2, 11)
    initialize(module, images(), "zero_gamma", jax.random.key(0))
    counted.clear()
    initialize(module, images(), "zero_branch(rest='lecun_normal')", jax.random.key(0))
    assert not {"model_state", "remainder", "terms_of", "_scaled"} & {*counted}


def test_layers_that_compute_the_same_are_measured_by_one_program(counted):
    network = trace(Blocks(5, 13), (6, 6, 5))
    draw = parse_scheme("he_normal")
    rows = inspect_scheme(draw, network, Batch(images()))
    assert len(rows) == 7
    # The first convolution, five alike, and the head.
    assert counted["_through"] == 3
    assert counted["_with_moments"] <= 2


def test_a_walk_of_moments_compiles_no_more_in_a_deeper_net(counted):
    def inspect(blocks):
        network = trace(Blocks(blocks, 15), (6, 6, 5))
        inspect_scheme(parse_scheme("he_normal"), network, Batch(images()))

    inspect(2)
    assert counted["mean_squares"] == 1
    counted.clear()
    inspect(4)
    # What is compiled again is each network's own, or closes over its graph.
    own = {"traces", "mean_squares", "model_state", "remainder", "others", "_through"}
    assert {*counted} <= own
