"""Functions transformed by Haiku."""

import inspect
from typing import Any

import haiku as hk
import jax
from jaxtyping import Array, PRNGKeyArray

from init_study.keys import fixed_key
from init_study.network.adapters.adapter import Adapter, Keys, Variables
from init_study.network.adapters.both_calls import (
    check_calls,
    without_keys_in_evaluation,
)
from init_study.network.adapters.calls import training_flag, with_axes
from init_study.network.adapters.outputs import named_outputs

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
    flag = training_flag(module.init, train_argument)
    takes_key = "rng" in inspect.signature(module.apply).parameters

    def init(key: PRNGKeyArray, images: Array) -> Variables:
        return read(module.init(key, images, **flag.arguments(True)))

    def apply(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        def call(variables: Variables, images: Array, keys: Keys) -> Any:
            given = [variables["params"]]
            given += [variables.get("state", {})] if has_state else []
            given += [keys.get("rng")] if takes_key else []
            made: Any = module.apply(*given, images, **flag.arguments(train))
            outputs, state = made if has_state else (made, {})
            return named_outputs(outputs), state

        outputs, state = with_axes(call, axes)(variables, images, keys)
        return outputs, {"state": dict(state)} if "state" in variables else {}

    def own(variables: Variables) -> Any:
        params, state = variables["params"], variables.get("state", {})
        return (params, state) if has_state else params

    def read(own: Any) -> Variables:
        params, state = own if has_state else (own, {})
        return {"params": dict(params)} | ({"state": dict(state)} if state else {})

    bound = Adapter(
        "a Haiku function", with_axes(init, axes), apply, own, read, ("rng",)
    )
    if takes_key and not _needs_key(bound, images):
        # A function that only asks whether there is a key draws in training alone.
        bound = bound._replace(apply=without_keys_in_evaluation(apply))
    draws = takes_key and _draws(bound, images, True)
    adapter = bound if draws else bound._replace(streams=())
    check_calls(adapter, images, flag, module.init)
    return adapter


def _draws(adapter: Adapter, images: jax.ShapeDtypeStruct, train: bool) -> bool:
    """Tell whether a call draws from its key: whether anything is made of it."""
    key = jax.eval_shape(lambda: fixed_key(0))
    variables = jax.eval_shape(adapter.init, key, images)
    traced = jax.make_jaxpr(lambda v, x, k: adapter.apply(v, x, train, {"rng": k})[0])(
        variables, images, key
    )
    used = {atom for equation in traced.jaxpr.eqns for atom in map(id, equation.invars)}
    return id(traced.jaxpr.invars[-1]) in used


def _needs_key(adapter: Adapter, images: jax.ShapeDtypeStruct) -> bool:
    """Tell whether evaluation cannot do without a key: Haiku refuses to draw then."""
    variables = jax.eval_shape(adapter.init, fixed_key(0), images)
    try:
        jax.eval_shape(lambda v, x: adapter.apply(v, x, False, {}), variables, images)
    except ValueError as error:
        if "RNG" in str(error):
            return True
        raise
    return False
