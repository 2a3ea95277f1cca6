"""Functions transformed by Haiku."""

import inspect
from typing import Any

import haiku as hk
import jax
from jaxtyping import Array, PRNGKeyArray

from init_study.network.adapters.adapter import Adapter, Keys, Variables, check_calls
from init_study.network.adapters.calls import (
    TRAINING_ARGUMENTS,
    TrainingFlag,
    training_flag,
    with_axes,
)

Transformed = hk.Transformed | hk.TransformedWithState


def adapt(
    module: Transformed,
    images: jax.ShapeDtypeStruct,
    axes: tuple[str, ...],
    train_argument: str | None,
) -> Adapter:
    """Make pure functions of `hk.transform(f)` or `hk.transform_with_state(f)`.

    Variables: `params`, and `state` where there is any, as Haiku nests them: by the
    name of the module, then of the parameter. Haiku has one random stream, `rng`.
    """
    has_state = isinstance(module, hk.TransformedWithState)
    flag = _flag(module, images, axes, train_argument)

    def init(key: PRNGKeyArray, images: Array) -> Variables:
        made: Any = module.init(key, images, **flag.arguments(True))
        params, state = made if has_state else (made, {})
        return {"params": dict(params)} | ({"state": dict(state)} if state else {})

    def apply(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        def call(variables: Variables, images: Array, keys: Keys) -> Any:
            given = [variables["params"]]
            given += [variables.get("state", {})] if has_state else []
            made: Any = module.apply(
                *given, keys.get("rng"), images, **flag.arguments(train)
            )
            return made if has_state else (made, {})

        outputs, state = with_axes(call, axes)(variables, images, keys)
        return outputs, {"state": dict(state)} if "state" in variables else {}

    def own(variables: Variables) -> Any:
        params, state = variables["params"], variables.get("state", {})
        return (params, state) if has_state else params

    adapter = Adapter("a Haiku function", with_axes(init, axes), apply, own, ("rng",))
    check_calls(adapter, images)
    return adapter if _draws(adapter, images) else adapter._replace(streams=())


def _flag(
    module: Transformed,
    images: jax.ShapeDtypeStruct,
    axes: tuple[str, ...],
    given: str | None,
) -> TrainingFlag:
    """Find the training flag; a transformed function does not tell its arguments.

    So the usual names are tried.
    """
    parameters = inspect.signature(module.init).parameters
    if given is not None or any(name in parameters for name in TRAINING_ARGUMENTS):
        return training_flag(module.init, given)
    key = jax.random.key(0)
    for name, value in TRAINING_ARGUMENTS.items():
        flag = TrainingFlag(name, value)
        try:
            jax.eval_shape(
                with_axes(
                    lambda k, x, f=flag: module.init(k, x, **f.arguments(True)), axes
                ),
                key,
                images,
            )
        except TypeError as error:
            if f"unexpected keyword argument '{name}'" in str(error):
                continue
            raise
        return flag
    return TrainingFlag(None)


def _draws(adapter: Adapter, images: jax.ShapeDtypeStruct) -> bool:
    """Tell whether a call draws: Haiku refuses to without a key."""
    variables = jax.eval_shape(adapter.init, jax.random.key(0), images)
    try:
        for train in (True, False):
            jax.eval_shape(
                lambda v, x, t=train: adapter.apply(v, x, t, {}), variables, images
            )
    except ValueError as error:
        if "RNG" in str(error):
            return True
        raise
    return False
