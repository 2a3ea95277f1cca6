"""Modules of Flax NNX, split into a definition and arrays."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx, traverse_util
from jaxtyping import Array, PRNGKeyArray

from init_study.keys import fixed_key
from init_study.network.adapters.adapter import Adapter, Keys, Variables
from init_study.network.adapters.both_calls import check_calls
from init_study.network.adapters.calls import training_flag, with_axes
from init_study.network.adapters.outputs import named_outputs

_Parts = tuple[Any, Any, Any]


def adapt(
    module: nnx.Module | Callable[..., nnx.Module],
    images: jax.ShapeDtypeStruct,
    axes: tuple[str, ...],
    train_argument: str | None,
) -> Adapter:
    """Make pure functions of an NNX module, or of what makes one from `rngs`.

    A module that is made already begins every draw of its own from the numbers that it
    has; a class, a partial or a function gets new ones from the key.
    Variables: `params` are all `nnx.Param`; `state` is the rest, but for random states:
    each stream gets a key of its own at every call, `fold_in(key, crc32(path))`.
    """
    given = module if isinstance(module, nnx.Module) else None

    def parts(key: PRNGKeyArray) -> _Parts:
        made: Any = given if given is not None else module(rngs=nnx.Rngs(key))
        return _split(made)[1]

    example: Any = given
    if example is None:
        example = nnx.eval_shape(lambda: module(rngs=nnx.Rngs(0)))
    definition, shapes = _split(example)
    flag = training_flag(type(example).__call__, train_argument)

    def init(key: PRNGKeyArray, images: Array) -> Variables:
        return _variables(parts(key))

    def merged(variables: Variables, keys: Keys) -> Any:
        return nnx.merge(
            definition,
            _from_dict(shapes[0], variables["params"]),
            _seeded(shapes[1], keys),
            _from_dict(shapes[2], variables.get("state", {})),
        )

    def own_module(variables: Variables) -> nnx.Module:
        return merged(variables, {name: fixed_key(0) for name in streams})

    def apply(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        def call(variables: Variables, images: Array, keys: Keys) -> Any:
            module = merged(variables, keys)
            module.train() if train else module.eval()
            outputs = named_outputs(module(images, **flag.arguments(train)))
            rest = _split(module)[1][2]
            return outputs, {"state": _to_dict(rest)} if "state" in variables else {}

        return with_axes(call, axes)(variables, images, keys)

    streams = tuple(dict.fromkeys(_tag(v) for _, v in nnx.to_flat_state(shapes[1])))

    def read(own: Any) -> Variables:
        return _variables(_split(own)[1])

    name = type(example).__name__
    adapter = Adapter(name, init, apply, own_module, read, streams)
    check_calls(adapter, images, flag, type(example).__call__)
    return adapter


def _split(module: nnx.Module) -> tuple[Any, _Parts]:
    """Split a module: its definition; its parameters, random states and the rest."""
    definition, *parts = nnx.split(module, nnx.Param, nnx.RngState, ...)
    return definition, (parts[0], parts[1], parts[2])


def _variables(parts: _Parts) -> Variables:
    params, _, rest = parts
    made = {"params": _to_dict(params)}
    return made | ({"state": _to_dict(rest)} if jax.tree.leaves(rest) else {})


def _to_dict(state: Any) -> dict[str, Any]:
    """Nest a state by names; places in lists become text, as in any tree."""
    flat: Any = {
        tuple(map(str, path)): variable[...]
        for path, variable in nnx.to_flat_state(state)
    }
    return traverse_util.unflatten_dict(flat)


def _from_dict(shapes: Any, leaves: Mapping[str, Any]) -> Any:
    """Bring nested leaves back into NNX's state; the inverse of `_to_dict`."""
    flat: Any = traverse_util.flatten_dict(dict(leaves))
    return nnx.from_flat_state(
        [
            (path, variable.replace(flat[tuple(map(str, path))]))
            for path, variable in nnx.to_flat_state(shapes)
        ]
    )


def _seeded(shapes: Any, keys: Keys) -> Any:
    """Seed random states at their start, by path.

    So two parts of a module with streams of one name draw differently.
    """

    def seed(path: Any, variable: Any) -> Any:
        if isinstance(variable, nnx.RngCount):
            return variable.replace(jnp.zeros(variable.shape, variable.dtype))
        own = zlib.crc32("/".join(map(str, path)).encode())
        key = jax.random.fold_in(keys[_tag(variable)], own)
        # Blocks that are stacked, for a loop, have a key each.
        key = jax.random.split(key, variable.shape) if variable.shape else key
        return variable.replace(key)

    return nnx.from_flat_state(
        [(path, seed(path, v)) for path, v in nnx.to_flat_state(shapes)]
    )


def _tag(variable: Any) -> str:
    return variable.get_metadata()["tag"]
