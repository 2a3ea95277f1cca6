"""A study as what will run: every name resolved, every shape checked.

Whatever is wrong with a study is found here, before anything is compiled or written.
"""

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from absl import logging
from flax import traverse_util

from init_study.data import Dataset, batch_indices, load_dataset
from init_study.data.feeds import default_feed
from init_study.data.mixing import check_augmentation
from init_study.data.rows import in_memory
from init_study.errors import SmallImages, UserError
from init_study.execution import Execution, default_execution
from init_study.instruments.cadence import Cadence, plan_readings
from init_study.instruments.table import find_instruments
from init_study.keys import fixed_key
from init_study.models import build_model
from init_study.network import Arithmetic, Network, trace
from init_study.schemes import Batch, Scheme, parse_scheme
from init_study.study import Member, Program, Study


class ProgramPlan(NamedTuple):
    """One program, ready to run.

    Attributes:
        program: the values of the program axes.
        label: the axes in which the study varies.
        network: the traced model.
        dataset: on the host.
        execution: how its members run.
        feed: one of `study.FEEDS`: how its examples come to the devices.
        readings: when the study's instruments are read.
        waves: in how many parts, one after the other, its members run; each has some
            of the seeds. It changes no bit.
    """

    program: Program
    label: str
    network: Network
    dataset: Dataset
    execution: Execution
    feed: str = "resident"
    readings: Cadence = Cadence()
    waves: int = 1


class Plan(NamedTuple):
    """A study with every name resolved.

    Attributes:
        study: the study.
        members: of each program.
        schemes: by the names in the study.
        programs: ready to run.
    """

    study: Study
    members: tuple[Member, ...]
    schemes: dict[str, Scheme]
    programs: tuple[ProgramPlan, ...]


class Given(NamedTuple):
    """Things that a study names and the caller holds, by the names in the study.

    Attributes:
        models: modules of any framework, or what makes them.
        datasets: whole ones.
        schemes: made in Python.
        train_argument: what the modules call their training flag; see `network.trace`.
    """

    models: Mapping[str, Any] = {}
    datasets: Mapping[str, Dataset] = {}
    schemes: Mapping[str, Scheme] = {}
    train_argument: str | None = None


def make_plan(
    study: Study,
    data_dir: str | None = None,
    execution: Execution | None = None,
    given: Given = Given(),  # noqa: B008
) -> Plan:
    """Resolve every name of a study.

    Args:
        study: what to compare.
        data_dir: where TFDS keeps its data sets; TFDS's own default if None.
        execution: of all programs; by default what suits the device.
        given: what the names mean that the caller has made; all others are looked up.

    Raises: UserError for the first thing that cannot run.

    Example:
        >>> plan = make_plan(Study(schemes="zeros", learning_rates=0.1, model="linear"))
        >>> plan.programs[0].network.num_parameters
        650
    """
    _check_execution(study, execution)
    for field in ("schemes", "learning_rates"):
        if not getattr(study, field):
            raise UserError(f"the study lists no {field}; give at least one")
    for text in study.augmentation:
        check_augmentation(text)
    find_instruments(study.instruments)
    schemes = {
        text: given.schemes[text] if text in given.schemes else parse_scheme(text)
        for text in study.schemes
    }
    # Nets are cheap to check and data may have to be downloaded: a wrong scheme or
    # model name must not wait for that.
    for program in study.programs():
        build_model(program.model, 10, program.model_arguments(), given.models)
    wanted = {(one.dataset, one.kept_size): None for one in study.programs()}
    datasets = {
        (name, size): _load(study, name, size, data_dir, given) for name, size in wanted
    }
    platform = jax.default_backend()
    programs = tuple(
        _plan_program(
            study,
            program,
            datasets[program.dataset, program.kept_size],
            schemes,
            execution
            or default_execution(program.chunk_width, platform, len(study.members())),
            given,
        )
        for program in study.programs()
    )
    return Plan(study, study.members(), schemes, programs)


def _load(
    study: Study, name: str, size: int | None, data_dir: str | None, given: Given
) -> Dataset:
    is_decoded = study.feed == "decoded"
    if name not in given.datasets:
        return load_dataset(
            name, image_size=size, data_dir=data_dir, store_pixels=not is_decoded
        )
    if size is not None:
        raise UserError(
            f"image_size={size} is for data sets with names; bring the given "
            "arrays to the size, and leave it out"
        )
    if is_decoded and in_memory(given.datasets[name].train.images):
        raise UserError(
            "feed=decoded is for pictures, and the given data are arrays; use "
            "feed=mapped"
        )
    return given.datasets[name]


def _check_execution(study: Study, execution: Execution | None) -> None:
    given, wanted = execution and execution.chunk_width, study.chunk_width
    if given and wanted and given != wanted:
        raise UserError(
            f"execution {execution} and study.chunk_width={wanted} contradict each "
            "other; give one of them"
        )
    width, members = given or wanted or 1, len(study.members())
    if width > members:
        logging.warning(
            "chunk width %d is more than the %d members: the rest of the chunk is "
            "filled with copies that are computed and thrown away",
            width,
            members,
        )


def _plan_program(
    study: Study,
    program: Program,
    dataset: Dataset,
    schemes: dict[str, Scheme],
    execution: Execution,
    given: Given,
) -> ProgramPlan:
    module = build_model(
        program.model, dataset.num_classes, program.model_arguments(), given.models
    )
    rows, columns, channels = dataset.image_shape
    margins = 2 * program.image_margin
    try:
        network = trace(
            module,
            (rows - margins, columns - margins, channels),
            dataset.num_classes,
            program.branches,
            given.train_argument,
            program.output,
        )
    except SmallImages as error:
        if program.dataset in given.datasets or not _can_be_resized(dataset):
            raise
        raise UserError(f"{error}, or --study.image_size={error.least}") from None
    if not network.shapes:
        raise UserError(
            f"model {program.model!r} has no parameters: there is nothing to initialize"
        )
    for text, scheme in schemes.items():
        _check_scheme(text, scheme, network, program.batch_size)
    _check_precision(program.precision, network)
    key = jax.eval_shape(lambda: fixed_key(0))
    train_size = len(dataset.train.labels)
    jax.eval_shape(
        lambda key: batch_indices(key, 0, 1, train_size, program.batch_size), key
    )
    return ProgramPlan(
        program=program,
        label=study.label(program),
        network=network,
        dataset=dataset,
        execution=execution,
        feed=study.feed or default_feed(image_bytes(dataset)),
        readings=plan_readings(
            find_instruments(study.instruments),
            network,
            program,
            dataset.num_classes,
            study.readings,
        )._replace(seed=study.seeds[0]),
    )


def _check_precision(precision: str | None, network: Network) -> None:
    """Refuse a precision that the network does not take, without computing a number.

    The same on every device, whether its own products have that precision or not.
    """
    if precision is None:
        return
    network = network._replace(arithmetic=Arithmetic(precision))
    key = jax.eval_shape(lambda: fixed_key(0))
    params = traverse_util.unflatten_dict(network.shapes)
    state = jax.eval_shape(network.model_state, key)
    images = jax.ShapeDtypeStruct((1, *network.image_shape), jnp.float32)
    for train in (True, False):
        jax.eval_shape(partial(network.apply, train=train), params, state, images)


def _can_be_resized(dataset: Dataset) -> bool:
    """Whether they are pictures: 8-bit, of grey or RGB."""
    return dataset.train.images.dtype == jnp.uint8 and dataset.image_shape[2] in (1, 3)


def image_bytes(dataset: Dataset) -> int:
    """Count the bytes of all images of a data set.

    Example:
        >>> image_bytes(load_dataset("digits", cache_dir=".")) == 1797 * 8 * 8
        True
    """
    parts = (dataset.train, dataset.validation, dataset.test)
    return sum(prod(p.images.shape) * p.images.dtype.itemsize for p in parts)


def _check_scheme(text: str, scheme: Scheme, network: Network, batch_size: int) -> None:
    """Refuse a scheme that does not fit the network, without drawing a number."""
    batch = Batch(
        jax.ShapeDtypeStruct((batch_size, *network.image_shape), jnp.float32),
        jax.ShapeDtypeStruct((batch_size,), jnp.int32),
    )
    key = jax.eval_shape(lambda: fixed_key(0))
    try:
        jax.eval_shape(lambda k, b: scheme(k, network, b), key, batch)
    except ValueError as error:
        raise UserError(f"scheme {text!r} on this network: {error}") from error
