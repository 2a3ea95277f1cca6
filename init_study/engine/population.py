"""A program's population: how it begins, and the compiled functions that move it."""

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

from init_study.data import standardize
from init_study.data.batches import center_crop
from init_study.engine.devices import arithmetic_here
from init_study.engine.feeding import feed_of
from init_study.engine.members import over_members, update_members
from init_study.engine.orders import distinct, first_rows
from init_study.instruments.layer_statistics import measure_layers
from init_study.instruments.spectra import measure_spectra
from init_study.keys import fixed_key
from init_study.network import ModelState
from init_study.plan import ProgramPlan
from init_study.schemes import Batch, Scheme
from init_study.study import Member, Program
from init_study.study.program import FIXED_SEED
from init_study.train import (
    Hyper,
    TrainState,
    evaluate,
    init_state,
    stream,
    train,
)


class Compiled(NamedTuple):
    """The programs of one population; each is compiled at its first call.

    All take `chunks=`, how many of each device's are computed; by default all.

    Attributes:
        train: (state, hyper, what the feed holds, the place of the first step in it,
            num_steps) -> state.
        evaluate: ((state, sums), held examples, start, stop) -> sums.
        measure: ((state, hyper), first batches, the places of each seed's) -> numbers
            of every layer.
        spectra: the same to `Spectra`.
    """

    train: jax.stages.Wrapped
    evaluate: jax.stages.Wrapped
    measure: jax.stages.Wrapped
    spectra: jax.stages.Wrapped


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

    Raises: UserError for a draw of the first seed that does not keep what its scheme
        promises.
    """
    network, program = plan.network, plan.program
    seeds = distinct(member.seed for member in members)
    drawn_from = [program.stream_seed("init", seed) for seed in seeds]
    keys = jax.vmap(lambda seed: stream(seed, "init"))(jnp.array(drawn_from))
    if program.fixed == "init":
        # What looks at data looks at that seed's: starts shall not differ.
        rows = first_rows(plan, (FIXED_SEED,))
        first_steps = np.broadcast_to(rows, first_steps.shape)
    batches = first_batches(plan, first_steps)
    draw_all = {
        text: jax.vmap(lambda k, b, scheme=scheme: scheme(k, network, b))
        for text, scheme in schemes.items()
    }
    params = {
        text: jax.tree.map(np.asarray, draw(keys, batches))
        for text, draw in draw_all.items()
    }
    for text, scheme in schemes.items():
        # What holds of one draw holds of all, but for accidents.
        one, batch = jax.tree.map(lambda leaf: leaf[0], (params[text], batches))
        scheme.check(network, one, batch)
    model_state = _model_states(plan, keys)
    slot_of = {seed: slot for slot, seed in enumerate(seeds)}
    slots = [slot_of[member.seed] for member in members]

    def gather(*leaves: np.ndarray) -> np.ndarray:
        by_scheme = dict(zip(params, leaves, strict=True))
        pairs = zip(members, slots, strict=True)
        return np.stack([by_scheme[member.scheme][slot] for member, slot in pairs])

    state = _start(
        program,
        jax.tree.map(gather, *params.values()),
        jax.tree.map(lambda leaf: leaf[np.array(slots)], model_state),
    )
    return jax.tree.map(np.asarray, state)


@partial(jax.jit, static_argnums=0)
def _start(program: Program, params: Any, model_state: ModelState) -> TrainState:
    return jax.vmap(partial(init_state, program))(params, model_state)


def member_shapes(plan: ProgramPlan) -> TrainState:
    """Describe the training state of one member: shapes and types, no number.

    Args:
        plan: of the program.
    """
    network = plan.network
    key = jax.eval_shape(lambda: fixed_key(0))
    params = traverse_util.unflatten_dict(network.shapes)
    model_state = jax.eval_shape(network.model_state, key)
    return jax.eval_shape(partial(init_state, plan.program), params, model_state)


def empty_population(plan: ProgramPlan, members: int) -> TrainState:
    """Make zeros of the shapes and types of a population, host arrays `[members, ...]`.

    A checkpoint is read into them.
    """

    def zeros(leaf: Any) -> np.ndarray:
        return np.zeros((members, *leaf.shape), leaf.dtype)

    return jax.tree.map(zeros, member_shapes(plan))


def first_batches(
    plan: ProgramPlan, first_steps: Int[Array | np.ndarray, "seeds batch"]
) -> Batch:
    """Gather each seed's first training batch, standardized, `[seeds, batch, ...]`.

    Data-dependent schemes look at it.
    """
    places = np.asarray(first_steps)
    train = plan.dataset.train
    found = np.asarray(train.images[places.ravel()])
    found = jnp.asarray(found.reshape(*places.shape, *found.shape[1:]))
    images = center_crop(found, plan.network.image_shape[:2])
    mean, std = jnp.asarray(plan.dataset.mean), jnp.asarray(plan.dataset.std)
    labels = train.labels[places]
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
    seeds = distinct(member.seed for member in members)
    slot_of = {seed: slot for slot, seed in enumerate(seeds)}
    augmented = [program.stream_seed("augmentation", m.seed) for m in members]
    return Hyper(
        learning_rate=jnp.array([m.learning_rate for m in members], jnp.float32),
        seed=jnp.array(augmented, jnp.int32),
        seed_slot=jnp.array([slot_of[m.seed] for m in members], jnp.int32),
    )


def compile_population(plan: ProgramPlan, mesh: Mesh) -> Compiled:
    """Make the functions of one program for all members on the devices of `mesh`."""
    form = plan.execution.convolution
    width = plan.execution.chunk_width
    arithmetic = arithmetic_here(plan.program.precision)
    network = plan.network._replace(arithmetic=arithmetic)
    train_members = update_members(
        partial(train, network, plan.program, form, feed_of(plan)), mesh, width
    )

    def train_population(
        state: TrainState, hyper: Hyper, *shared: Any, chunks: Array | None = None
    ) -> TrainState:
        return train_members((state, hyper), *shared, chunks=chunks)

    evaluate_members = over_members(partial(evaluate, network, form), mesh, width)
    return Compiled(
        train=jax.jit(train_population, donate_argnums=0),
        evaluate=jax.jit(evaluate_members),
        measure=jax.jit(
            over_members(_in_full(measure_layers, plan.network, form), mesh, width)
        ),
        spectra=jax.jit(
            over_members(_in_full(measure_spectra, plan.network, form), mesh, width)
        ),
    )


def _in_full(measure: Callable[..., Any], *given: Any) -> Callable[..., Any]:
    """Measure with all digits of float32, whatever the training has."""

    def measured(*args: Any) -> Any:
        with jax.default_matmul_precision("float32"):
            return measure(*given, *args)

    return measured
