"""A program's population: how it begins, and the compiled functions that move it."""

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Int, Key

from init_study.data import Split, batch_indices, standardize
from init_study.data.feeds import Examples, from_resident
from init_study.engine.devices import place_shared
from init_study.engine.members import over_members, update_members
from init_study.instruments.layer_statistics import measure_layers
from init_study.instruments.spectra import measure_spectra
from init_study.network import ModelState
from init_study.plan import ProgramPlan
from init_study.schemes import Batch, Scheme
from init_study.study import Member, Program
from init_study.train import (
    Hyper,
    TrainState,
    evaluate,
    init_state,
    stream,
    train,
)


class Held(NamedTuple):
    """The images that are not trained on, validation first, then test.

    Attributes:
        images: of both parts, on every device.
        num_validation: how many are of the validation part.
    """

    images: Examples
    num_validation: int

    def bounds(self, split: str) -> tuple[int, int]:
        """Find the places where `validation` or `test` begins and ends."""
        if split == "validation":
            return 0, self.num_validation
        return self.num_validation, len(self.images.labels)


class Compiled(NamedTuple):
    """The programs of one population; each is compiled at its first call.

    Attributes:
        train: (state, hyper, what the feed holds, num_steps) -> state.
        evaluate: (state, held images, start, stop) -> loss and accuracy.
        measure: ((state, hyper), training images, the first step's indices) -> numbers
            of every layer.
        spectra: the same to `Spectra`.
        indices: (first_step, count) -> `[seeds, most_steps, batch]`, of which so many
            steps are chosen.
    """

    train: jax.stages.Wrapped
    evaluate: jax.stages.Wrapped
    measure: jax.stages.Wrapped
    spectra: jax.stages.Wrapped
    indices: Callable[[int, int], Int[Array, "seeds most_steps batch"]]


def initial_population(
    plan: ProgramPlan,
    schemes: Mapping[str, Scheme],
    members: tuple[Member, ...],
    first_steps: Int[Array | np.ndarray, "seeds batch"],
) -> TrainState:
    """Draw every member before its first step, host arrays `[members, ...]`.

    A member's parameters depend on its scheme and seed alone, so each pair is drawn
    once and shared by all learning rates. Draws are made leaf by leaf, uncompiled: the
    few shapes of a network are compiled once for all schemes.

    Args:
        plan: of the program.
        schemes: by the names that members have.
        members: all of them.
        first_steps: the first training batch of each seed.
    """
    network, program = plan.network, plan.program
    seeds = _distinct(member.seed for member in members)
    drawn_from = [program.stream_seed("init", seed, seeds[0]) for seed in seeds]
    keys = jax.vmap(lambda seed: stream(seed, "init"))(jnp.array(drawn_from))
    if program.fixed == "init":
        # What looks at data looks at the first seed's: starts shall not differ.
        first_steps = jnp.broadcast_to(first_steps[:1], first_steps.shape)
    batches = first_batches(plan, first_steps)
    draw_all = {
        text: jax.vmap(lambda k, b, scheme=scheme: scheme(k, network, b))
        for text, scheme in schemes.items()
    }
    params = {
        text: jax.tree.map(np.asarray, draw(keys, batches))
        for text, draw in draw_all.items()
    }
    model_state = _model_states(plan, keys)
    slots = [seeds.index(member.seed) for member in members]

    def gather(*leaves: np.ndarray) -> np.ndarray:
        by_scheme = dict(zip(params, leaves, strict=True))
        pairs = zip(members, slots, strict=True)
        return np.stack([by_scheme[member.scheme][slot] for member, slot in pairs])

    start = jax.jit(jax.vmap(partial(init_state, program)))
    state = start(
        jax.tree.map(gather, *params.values()),
        jax.tree.map(lambda leaf: leaf[np.array(slots)], model_state),
    )
    return jax.tree.map(np.asarray, state)


def empty_population(plan: ProgramPlan, members: int) -> TrainState:
    """Make zeros of the shapes and types of a population, host arrays `[members, ...]`.

    A checkpoint is read into them.
    """
    network = plan.network
    key = jax.eval_shape(lambda: jax.random.key(0))
    params = traverse_util.unflatten_dict(network.shapes)
    model_state = jax.eval_shape(network.model_state, key)
    one = jax.eval_shape(partial(init_state, plan.program), params, model_state)
    return jax.tree.map(lambda leaf: np.zeros((members, *leaf.shape), leaf.dtype), one)


def first_batches(
    plan: ProgramPlan, first_steps: Int[Array | np.ndarray, "seeds batch"]
) -> Batch:
    """Gather each seed's first training batch, standardized, `[seeds, batch, ...]`.

    Data-dependent schemes look at it.
    """
    places = np.asarray(first_steps)
    images = jnp.asarray(plan.dataset.train.images[places])
    mean, std = jnp.asarray(plan.dataset.mean), jnp.asarray(plan.dataset.std)
    labels = plan.dataset.train.labels[places]
    return Batch(np.asarray(standardize(images, mean, std)), labels)


def _model_states(plan: ProgramPlan, keys: Key[Array, " keys"]) -> ModelState:
    """Draw the network's state of each key, `[keys, ...]`.

    Most networks have none, and compile nothing.
    """
    of_key = plan.network.model_state
    has_none = not jax.tree.leaves(jax.eval_shape(of_key, keys[0]))
    return {} if has_none else jax.tree.map(np.asarray, lax.map(of_key, keys))


def hyperparameters(members: tuple[Member, ...], program: Program) -> Hyper:
    """List the hyper-parameters of every member, `[members]`."""
    seeds = _distinct(member.seed for member in members)
    augmented = [program.stream_seed("augmentation", m.seed, seeds[0]) for m in members]
    return Hyper(
        learning_rate=jnp.array([m.learning_rate for m in members], jnp.float32),
        seed=jnp.array(augmented, jnp.int32),
        seed_slot=jnp.array([seeds.index(m.seed) for m in members], jnp.int32),
    )


def training_images(plan: ProgramPlan, mesh: Mesh) -> Examples:
    """Put the training part on every device."""
    return _place(plan, plan.dataset.train, mesh)


def held_images(plan: ProgramPlan, mesh: Mesh) -> Held:
    """Put the validation and the test part on every device."""
    validation, test = plan.dataset.validation, plan.dataset.test
    both = Split(
        images=np.concatenate([validation.images, test.images]),
        labels=np.concatenate([validation.labels, test.labels]),
    )
    return Held(_place(plan, both, mesh), len(validation.labels))


def _place(plan: ProgramPlan, split: Split, mesh: Mesh) -> Examples:
    leaves = (split.images, split.labels, plan.dataset.mean, plan.dataset.std)
    return place_shared(Examples(*map(jnp.asarray, leaves)), mesh)


def compile_population(
    plan: ProgramPlan, mesh: Mesh, seeds: tuple[int, ...]
) -> Compiled:
    """Make the functions of one program for all members on the devices of `mesh`."""
    form = plan.execution.convolution
    width = plan.execution.chunk_width
    train_members = update_members(
        partial(train, plan.network, plan.program, form, from_resident), mesh, width
    )

    def train_population(state: TrainState, hyper: Hyper, *shared: Any) -> TrainState:
        return train_members((state, hyper), *shared)

    evaluate_members = over_members(partial(evaluate, plan.network, form), mesh, width)
    return Compiled(
        train=jax.jit(train_population, donate_argnums=0),
        evaluate=jax.jit(evaluate_members),
        measure=jax.jit(
            over_members(partial(measure_layers, plan.network, form), mesh, width)
        ),
        spectra=jax.jit(
            over_members(partial(measure_spectra, plan.network, form), mesh, width)
        ),
        indices=_index_function(plan, mesh, seeds),
    )


def _index_function(
    plan: ProgramPlan, mesh: Mesh, seeds: tuple[int, ...]
) -> Callable[[int, int], Int[Array, "seeds most_steps batch"]]:
    program = plan.program
    train_size = len(plan.dataset.train.labels)
    ordered = [program.stream_seed("order", s, seeds[0]) for s in _distinct(seeds)]
    distinct = jnp.array(ordered, jnp.int32)

    @jax.jit
    def indices(first_step: Array, count: Array) -> Array:
        def of_seed(seed: Int[Array, ""]) -> Int[Array, "most_steps batch"]:
            return batch_indices(
                stream(seed, "order"),
                first_step,
                most_steps(plan),
                train_size,
                program.batch_size,
                count,
            )

        return lax.map(of_seed, distinct)

    def placed(first_step: int, count: int) -> Array:
        return place_shared(indices(jnp.int32(first_step), jnp.int32(count)), mesh)

    return placed


def most_steps(plan: ProgramPlan) -> int:
    """Find the most steps between two evaluations: what one call can take."""
    stops = (0, *plan.program.evaluation_steps())
    return max(b - a for a, b in itertools.pairwise(stops))


def _distinct(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))
