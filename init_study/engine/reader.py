"""The instruments of a study, read of every member of a program on one batch."""

from collections.abc import Mapping
from functools import partial
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
)
from init_study.instruments.table import find_instruments
from init_study.keys import fixed_key
from init_study.network import Network
from init_study.plan import Plan, ProgramPlan
from init_study.train import TrainState

# Of what instruments draw, and of dropout: the same at every reading.
_SEED = 3


class Reader(NamedTuple):
    """What reads the instruments of a study.

    Attributes:
        instruments: by name.
        read: by the same names: ((parameters, state), images, labels) -> what it
            gives, or ((parameters, state, parameters at the start), ...); compiled at
            the first call.
        batch: of all members.
        start: parameters of all members at the start, on the devices; None if no
            instrument compares with it.
    """

    instruments: Mapping[str, Instrument]
    read: Mapping[str, jax.stages.Wrapped]
    batch: ProbeBatch
    start: Any = None

    @property
    def from_start(self) -> bool:
        """Whether an instrument compares members with their start."""
        return any(one.from_start for one in self.instruments.values())


def make_reader(plan: Plan, program_plan: ProgramPlan, mesh: Mesh) -> Reader | None:
    """Make the reader of a program; None where nothing is to be read.

    The batch are the first images of the first seed's order: all members of all seeds
    are read on the same, also where seeds run in waves.

    Args:
        plan: of the study, which names the instruments.
        program_plan: of the program.
        mesh: of all devices.
    """
    if not program_plan.readings.steps:
        return None
    instruments = find_instruments(plan.study.instruments)
    network, dataset = program_plan.network, program_plan.dataset
    cadence = program_plan.readings
    (rows,) = np.asarray(first_rows(program_plan, (cadence.seed,)))
    rows = rows[: cadence.images]
    pixels = jnp.asarray(np.asarray(dataset.train.images[rows]))
    seen = center_crop(pixels, network.image_shape[:2])
    images = standardize(seen, jnp.asarray(dataset.mean), jnp.asarray(dataset.std))
    labels = jnp.asarray(np.asarray(dataset.train.labels[rows], np.int32))
    batch = ProbeBatch(images, labels, fixed_key(_SEED))
    # A program each: what one gives does not hang on which others are read. Members
    # follow one another, for the matrices of some are large.
    read = {
        name: jax.jit(over_members(partial(_read, network, one), mesh, 1))
        for name, one in instruments.items()
    }
    return Reader(instruments, read, batch)


def _read(
    network: Network, one: Instrument, member: Any, images: Array, labels: Array
) -> Reading:
    given = ProbeBatch(images, labels, fixed_key(_SEED))
    return one.measure(network, Subject(*member), given)


def read_instruments(
    reader: Reader, layout: Layout, state: TrainState
) -> dict[str, np.ndarray]:
    """Read all instruments of all members: `instrument/number`, `[members, ...]`.

    Args:
        reader: of the program.
        layout: of its members.
        state: of them.
    """
    member = (state.params, state.model_state)
    found = {}
    # As `take_measures` does, whose numbers these are.
    with jax.default_matmul_precision("float32"):
        for name, read in reader.read.items():
            start = (reader.start,) if reader.instruments[name].from_start else ()
            measured = read(
                (*member, *start),
                reader.batch.images,
                reader.batch.labels,
                chunks=jnp.int32(layout.filled),
            )
            found[name] = layout.fetch(measured)
    numbers = finish_all(reader.instruments, found, reader.batch)
    leaves = jax.tree_util.tree_leaves_with_path(numbers)
    # What float32 does not hold is infinite, as in a member that diverges.
    with np.errstate(over="ignore"):
        return {
            "/".join(map(_name, path)): np.asarray(leaf, np.float32)
            for path, leaf in leaves
        }


def _name(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "idx", key)))
