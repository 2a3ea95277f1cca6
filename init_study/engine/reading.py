"""The instruments of a study, read of every member of a program on one batch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from init_study.data import standardize
from init_study.data.batches import center_crop
from init_study.engine.layout import Layout
from init_study.engine.members import over_members
from init_study.engine.orders import first_rows
from init_study.instruments.instrument import (
    Instrument,
    ProbeBatch,
    Reading,
    Subject,
    finish_all,
    measure_all,
)
from init_study.instruments.table import find_instruments
from init_study.plan import Plan, ProgramPlan
from init_study.train import TrainState

# Of what instruments draw, and of dropout: the same at every reading.
_SEED = 3


class Reader(NamedTuple):
    """What reads the instruments of a study.

    Attributes:
        instruments: by name.
        read: ((parameters, state), images, labels) -> what they give; compiled at
            the first call.
        batch: of all members, on the host.
    """

    instruments: Mapping[str, Instrument]
    read: jax.stages.Wrapped
    batch: ProbeBatch


def make_reader(plan: Plan, program_plan: ProgramPlan, mesh: Mesh) -> Reader | None:
    """Make the reader of a program; None where nothing is to be read.

    Args:
        plan: of the study, which names the instruments.
        program_plan: of the program.
        mesh: of all devices.

    The batch are the first images of the first seed's order: all members of all seeds
    are read on the same.
    """
    if not program_plan.readings.steps:
        return None
    instruments = find_instruments(plan.study.instruments)
    network, dataset = program_plan.network, program_plan.dataset
    (rows,) = np.asarray(first_rows(program_plan, plan.study.seeds[:1]))
    rows = rows[: program_plan.readings.images]
    pixels = jnp.asarray(np.asarray(dataset.train.images[rows]))
    seen = center_crop(pixels, network.image_shape[:2])
    images = standardize(seen, jnp.asarray(dataset.mean), jnp.asarray(dataset.std))
    labels = np.asarray(dataset.train.labels[rows], np.int32)
    batch = ProbeBatch(np.asarray(images), labels, jax.random.key(_SEED))

    def read(member: Any, images: Array, labels: Array) -> dict[str, Reading]:
        given = ProbeBatch(images, labels, jax.random.key(_SEED))
        return measure_all(instruments, network, Subject(*member), given)

    # One after the other: the matrices of some are large.
    return Reader(instruments, jax.jit(over_members(read, mesh, 1)), batch)


def read_instruments(
    reader: Reader, layout: Layout, state: TrainState
) -> dict[str, np.ndarray]:
    """Read all instruments of all members: `instrument/number`, `[members, ...]`.

    Args:
        reader: of the program.
        layout: of its members.
        state: of them.
    """
    found = reader.read(
        (state.params, state.model_state),
        reader.batch.images,
        reader.batch.labels,
        chunks=jnp.int32(layout.filled),
    )
    numbers = finish_all(reader.instruments, layout.fetch(found), reader.batch)
    leaves = jax.tree_util.tree_leaves_with_path(numbers)
    return {
        "/".join(map(_name, path)): np.asarray(leaf, np.float32)
        for path, leaf in leaves
    }


def _name(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "idx", key)))
