"""The training call and the evaluation call of a module, one beside the other."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
from absl import logging
from jaxtyping import Array

from init_study.errors import UserError
from init_study.keys import fixed_key
from init_study.network.adapters.adapter import Adapter, Keys, Variables
from init_study.network.adapters.calls import TrainingFlag


def without_keys_in_evaluation(
    apply: Callable[[Variables, Array, bool, Keys], tuple[Any, Variables]],
) -> Callable[[Variables, Array, bool, Keys], tuple[Any, Variables]]:
    """Withhold the keys from evaluation: where there is none, nothing is drawn."""

    def applied(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        return apply(variables, images, train, keys if train else {})

    return applied


def check_calls(
    adapter: Adapter,
    images: jax.ShapeDtypeStruct,
    flag: TrainingFlag,
    call: Callable[..., Any],
) -> None:
    """Trace both calls: they run, and leave the state as it was made.

    Warns if nothing tells training from evaluation in a module that has state, or an
    argument that may be meant to.

    Args:
        adapter: to be checked.
        images: their shape.
        flag: by which the module is told that it trains.
        call: the module's own, for the names of its arguments.

    Raises: UserError for a state whose structure changes from call to call.
    """
    key = jax.eval_shape(lambda: fixed_key(0))
    variables = jax.eval_shape(adapter.init, key, images)
    keys = dict.fromkeys(adapter.streams, key)
    before = {name: v for name, v in variables.items() if name != "params"}
    traces = []
    for train in (True, False):
        traced, (_, after) = jax.make_jaxpr(
            lambda v, x, k, train=train: adapter.apply(v, x, train, k),
            return_shape=True,
        )(variables, images, keys)
        traces.append(str(traced))
        if train and _shapes(before) != _shapes(after):
            raise UserError(
                f"{adapter.name} keeps state that changes its structure from call to "
                f"call (collections {', '.join(before) or 'none'} become "
                f"{', '.join(after) or 'none'}); keep arrays of fixed shapes"
            )
    unsaid = [] if flag.name else _switches(call)
    if traces[0] == traces[1] and (before or unsaid):
        logging.warning(
            "%s computes the same in training and in evaluation%s; if that is not "
            "meant, say train_argument='NAME', or 'NAME=False' for one that is false "
            "in training",
            adapter.name,
            f": is {' or '.join(unsaid)} its training flag?" if unsaid else "",
        )


def _switches(call: Callable[..., Any]) -> list[str]:
    """List the arguments of a call that are true or false by default."""
    parameters = inspect.signature(call).parameters
    return [n for n, one in parameters.items() if isinstance(one.default, bool)]


def _shapes(tree: Any) -> Any:
    """Describe a tree by its structure, shapes and types."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
