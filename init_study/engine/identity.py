"""What a program computes, as checksums on which two processes agree.

A name says little: a module of the user's own may be edited between a stop and the next
start, and a library may have changed under the same version. What is hashed is the
functions themselves, as JAX traces them: not where they stand, what they are called in
a file, or what is remarked beside them.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from init_study.data.batches import epoch_order
from init_study.data.feeds import Examples
from init_study.engine.population import member_shapes
from init_study.keys import fixed_key
from init_study.network import Arithmetic, Network
from init_study.plan import Plan, ProgramPlan
from init_study.schemes import Batch
from init_study.train import (
    EVALUATION_BATCH,
    Hyper,
    Sums,
    evaluate,
    stream,
    train_step,
)

# Where a function that JAX only knows as an object lies in memory.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def computed(plan: Plan, program_plan: ProgramPlan) -> dict[str, str]:
    """Compute a checksum of every function that gives a program its numbers.

    From shapes alone, of one member: nothing is drawn, compiled or put on a device.

    Args:
        plan: whose schemes the program is trained with.
        program_plan: of the program; its convolution form is part of what it computes,
            its chunk width is not.

    Returns: by what it is of: `training`, `evaluation`, `order`, `state` where there is
        one, as of batch norm, and `start of SCHEME` for each scheme.

    Example:
        >>> from init_study.plan import make_plan
        >>> from init_study.study import Study
        >>> study = Study(schemes="zeros", learning_rates=0.1, model="linear")
        >>> plan = make_plan(study)
        >>> list(computed(plan, plan.programs[0]))
        ['training', 'evaluation', 'order', 'start of zeros']
    """
    network, program = program_plan.network, program_plan.program
    trained = _as_trained(network, program.precision)
    form, size = program_plan.execution.convolution, program.batch_size
    # Shapes, which stand for arrays.
    number: Any = jax.ShapeDtypeStruct((), jnp.int32)
    real: Any = jax.ShapeDtypeStruct((), jnp.float32)
    hyper = Hyper(real, seed=number, seed_slot=number)
    key = jax.eval_shape(lambda: fixed_key(0))
    member = member_shapes(program_plan)
    images = jax.ShapeDtypeStruct((size, *network.image_shape), jnp.float32)
    batch = Batch(images, jax.ShapeDtypeStruct((size,), jnp.int32))
    count = len(program_plan.dataset.train.labels)
    functions: dict[str, tuple[Any, ...]] = {
        "training": (
            partial(train_step, trained, program, form),
            member,
            hyper,
            _examples(program_plan, size),
        ),
        "evaluation": (
            partial(evaluate, trained, form),
            (member, Sums(real, number)),
            _examples(program_plan, EVALUATION_BATCH),
            number,
            number,
        ),
        "order": (
            lambda seed, epoch: epoch_order(stream(seed, "order"), epoch, count),
            number,
            number,
        ),
    }
    if jax.tree.leaves(member.model_state):
        functions["state"] = (network.model_state, key)
    for text, scheme in plan.schemes.items():
        draw = partial(_draw, scheme, network)
        functions[draws_of(text)] = (draw, key, batch)
    return {name: _checksum(*function) for name, function in functions.items()}


def _as_trained(network: Network, precision: str | None) -> Network:
    """Give a network the arithmetic of every device: it may go on on another."""
    return network._replace(arithmetic=precision and Arithmetic(precision))


def draws_of(scheme: str) -> str:
    """Name the checksum of a scheme's draws among those of `computed`.

    Args:
        scheme: by its name in the study.

    Example:
        >>> draws_of("zeros")
        'start of zeros'
    """
    return f"start of {scheme}"


def _draw(scheme: Any, network: Any, key: Any, batch: Batch) -> Any:
    return scheme(key, network, batch)


def _examples(plan: ProgramPlan, count: int) -> Examples:
    """Describe some examples as they lie on a device."""
    dataset = plan.dataset

    def of(leaf: Any, *leading: int) -> Any:
        shape = (*leading, *leaf.shape[len(leading) :])
        return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(leaf.dtype))

    images, labels = dataset.train.images, dataset.train.labels
    return Examples(
        of(images, count), of(labels, count), of(dataset.mean), of(dataset.std)
    )


def _checksum(function: Callable[..., Any], *shapes: Any) -> str:
    """Hash the equations of a function, and the arrays that it brings along."""
    traced = jax.make_jaxpr(function)(*shapes)
    # In a terminal JAX would write it in colours.
    text = traced.pretty_print(use_color=False)
    found = hashlib.sha256(_ADDRESS.sub("", text).encode())
    for constant in _constants(traced):
        array = _plain(constant)
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def _constants(jaxpr: ClosedJaxpr | Jaxpr) -> Iterator[Any]:
    """Find the arrays in a function and in those that it calls, in their order."""
    if isinstance(jaxpr, ClosedJaxpr):
        yield from jaxpr.consts
        jaxpr = jaxpr.jaxpr
    for equation in jaxpr.eqns:
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, Jaxpr | ClosedJaxpr):
                    yield from _constants(inner)


def _plain(constant: Any) -> np.ndarray:
    is_key = isinstance(constant, jax.Array) and jnp.issubdtype(
        constant.dtype, jax.dtypes.prng_key
    )
    return np.asarray(jax.random.key_data(constant) if is_key else constant)
