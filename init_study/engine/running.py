"""A program's population as it runs, and what is measured of it, as host arrays."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from flax import traverse_util

from init_study.data import standardize
from init_study.data.batches import center_crop
from init_study.engine.common import Common, make_common
from init_study.engine.cutting import cut
from init_study.engine.devices import (
    fetch_members,
    num_bytes,
    place_members,
)
from init_study.engine.feeding import Feeding
from init_study.engine.layout import Layout, lay_out
from init_study.engine.population import (
    Compiled,
    hyperparameters,
    member_shapes,
)
from init_study.engine.reader import Reader
from init_study.errors import UserError
from init_study.instruments.gains import tap_squares
from init_study.instruments.spectra import eigenvalues
from init_study.keys import fixed_key
from init_study.mean_field.predict import make_predictor
from init_study.plan import Plan, ProgramPlan
from init_study.train import EVALUATION_BATCH, Hyper, Sums, TrainState, no_sums

# Numbers of a kernel that are kept and shown, at most.
_MOST_NUMBERS = 2000


class Running(NamedTuple):
    """A program's population on the devices, and what its loop needs.

    Attributes:
        plan: of the program.
        layout: where its members lie.
        distinct: places of the members that differ before the first step.
        same_start: of every member, which of these it is then.
        first_seed: places of the members of the first seed.
        seeds: how many there are.
        compiled: the functions of the population.
        hyper: of every member, on the devices.
        feeding: of its members.
        reader: of the study's instruments, if it has any.
    """

    plan: ProgramPlan
    layout: Layout
    distinct: list[int]
    same_start: list[int]
    first_seed: list[int]
    seeds: int
    compiled: Compiled
    hyper: Hyper
    feeding: Feeding
    reader: Reader | None

    @property
    def members(self) -> int:
        """Count the members."""
        return self.layout.members


def prepare_program(
    plan: Plan, program_plan: ProgramPlan, common: Common | None = None
) -> Running:
    """Prepare what a program needs besides its state, on all devices.

    Nothing is compiled before it is called.

    Args:
        plan: of the population.
        program_plan: of the program.
        common: what another population of it has made; by default made for this one.
    """
    common = common or make_common(plan, program_plan)
    width = program_plan.execution.chunk_width
    starts = [(member.scheme, member.seed) for member in plan.members]
    # Of the first of each: what is read from the end is written over.
    backwards = range(len(starts) - 1, -1, -1)
    first_place = {starts[place]: place for place in backwards}
    member_bytes = num_bytes(member_shapes(program_plan))
    distinct = sorted(first_place.values())
    layout = lay_out(len(plan.members), member_bytes, common.mesh, width, common.most)
    return Running(
        plan=program_plan,
        layout=layout,
        distinct=distinct,
        same_start=[distinct.index(first_place[start]) for start in starts],
        first_seed=[
            place
            for place, member in enumerate(plan.members)
            if member.seed == plan.study.seeds[0]
        ],
        seeds=len(plan.study.seeds),
        compiled=common.compiled,
        hyper=layout.place(hyperparameters(plan.members, program_plan.program)),
        feeding=common.feeder(plan.study.seeds),
        reader=common.reader,
    )


def evaluations(
    population: Running,
    state: TrainState,
    step: int,
    stop_requested: Callable[[], bool] = lambda: False,
) -> dict[str, np.ndarray] | None:
    """Measure the records of one evaluation, host arrays `[members]`.

    All of them leave the devices together.

    Args:
        population: that runs.
        state: of its members.
        step: that it has reached.
        stop_requested: asked about once a second; if true, nothing is given.
    """
    last = step == population.plan.program.steps
    parts = ("validation", "test") if last else ("validation",)
    sums = {part: _sums(population, state, part, stop_requested) for part in parts}
    if stop_requested():
        return None
    small = state._replace(params=(), model_state=(), opt_state=())
    host, sums = population.layout.fetch((small, sums))
    values = {}
    for part, (loss, correct) in sums.items():
        count = np.float32(len(getattr(population.plan.dataset, part).labels))
        values[f"{part}/accuracy"] = correct.astype(np.float32) / count
        values[f"{part}/loss"] = loss / count
    if step:
        stops = (0, *population.plan.program.evaluation_steps())
        steps = np.float32(step - max(s for s in stops if s < step))
        values["train/loss"] = host.loss_sum / steps
        values["train/accuracy"] = host.correct_sum / steps
    if last:
        diverged = host.diverged_step.astype(np.float32)
        values["train/diverged_step"] = np.where(diverged < 0, np.nan, diverged)
    return values


def _sums(
    population: Running,
    state: TrainState,
    part: str,
    stop_requested: Callable[[], bool],
) -> Sums:
    """Add up losses and hits on a part of the data, on the devices.

    A stop leaves them unfinished.
    """
    layout = population.layout
    sums = layout.place(no_sums(layout.members))
    for data, start, stop in population.feeding.held(part):
        batch = min(EVALUATION_BATCH, len(data.labels))
        for bounds in cut(start, stop, batch, stop_requested):
            sums = population.compiled.evaluate(
                (state, sums), data, *map(jnp.int32, bounds), chunks=layout.chunks
            )
            jax.block_until_ready(sums)
        if stop_requested():
            break
    return sums


def layer_numbers(population: Running, state: TrainState) -> dict[str, np.ndarray]:
    """Measure every layer, host arrays `[members, layers]`."""
    feeding = population.feeding
    measured = population.compiled.measure(
        (state, population.hyper),
        feeding.first,
        feeding.first_steps,
        chunks=population.layout.chunks,
    )
    return population.layout.fetch(measured)


def spectrum_numbers(population: Running, state: TrainState) -> dict[str, np.ndarray]:
    """Measure spectra of every scheme and seed, host arrays `[schemes × seeds, ...]`.

    Before the first step members that differ only in their rate are the same.
    """
    places, width = population.distinct, population.plan.execution.chunk_width
    members = population.layout.fetch((state, population.hyper))
    chosen = jax.tree.map(lambda leaf: leaf[places], members)
    measured = population.compiled.spectra(
        place_members(chosen, population.layout.mesh, width),
        population.feeding.first,
        population.feeding.first_steps,
    )
    return eigenvalues(fetch_members(measured, len(places)))


def predicted_numbers(population: Running, state: TrainState) -> dict[str, np.ndarray]:
    """Predict mean squares of signals and gradients, `[schemes, layers]`.

    From the mean squares of each scheme's weights over seeds, on the first seed's
    first batch; gradients for ones of mean square 1 at the logits. Empty where an
    operation of the network is not known.
    """
    network, places = population.plan.network, population.distinct
    data, first_steps = population.feeding.first, population.feeding.first_steps
    seen = center_crop(data.images[first_steps[0]], network.image_shape[:2])
    images = standardize(seen, data.mean, data.std)
    kept = (state.params, state.model_state)
    members = population.layout.fetch(kept)
    chosen = jax.tree.map(lambda leaf: leaf[places], members)
    seeds = population.seeds
    found: dict[str, list[Any]] = {"signal": [], "gradient": []}
    predictor = None
    for start in range(0, len(places), seeds):
        own = jax.tree.map(lambda leaf, i=start: leaf[i : i + seeds], chosen)
        params, model_state = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), own)
        squares = jax.vmap(partial(tap_squares, network))(*own)
        means = [np.asarray(square).mean(0) for square in squares]
        try:
            predictor = predictor or make_predictor(
                network, params, model_state, images
            )
            prediction = predictor(params, model_state, means, fixed_key(2))
        except UserError as error:
            logging.warning("no prediction of signals: %s", error)
            return {}
        found["signal"].append(prediction.signals)
        found["gradient"].append(prediction.gradients)
    return {name: np.array(rows, np.float32) for name, rows in found.items()}


def reset_sums(state: TrainState) -> TrainState:
    """Set the sums of losses and hits to zero, as after each evaluation."""
    return state._replace(
        loss_sum=jnp.zeros_like(state.loss_sum),
        correct_sum=jnp.zeros_like(state.correct_sum),
    )


def first_filters(population: Running, state: TrainState) -> dict[str, np.ndarray]:
    """Fetch the kernels of the first layer of the first seed's members.

    Host arrays `[members, height, width, in, out]`; none if the layer is no
    convolution, or a large one.
    """
    if not population.plan.network.layers:
        return {}
    layer = population.plan.network.layers[0]
    if layer.kind == "dense" or np.prod(layer.kernel_shape) > _MOST_NUMBERS:
        return {}
    stored = traverse_util.flatten_dict(state.params)[layer.kernel]
    on_host = population.layout.fetch(stored)[population.first_seed]
    return {
        "first": np.stack([np.asarray(layer.plain(jnp.asarray(k))) for k in on_host])
    }
