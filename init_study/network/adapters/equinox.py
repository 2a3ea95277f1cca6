"""Modules of Equinox, which see one image at a time, channels first."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
from absl import logging
from flax import traverse_util
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError
from init_study.keys import fixed_key
from init_study.network.adapters.adapter import Adapter, Keys, Variables
from init_study.network.adapters.both_calls import check_calls
from init_study.network.adapters.calls import (
    TrainingFlag,
    training_flag,
    with_axes,
)
from init_study.network.adapters.outputs import named_outputs

# The axis of the images, where the module names none.
_IMAGES = "images"


class _Call(NamedTuple):
    """What a module's call takes beside the image, and how the image lies."""

    state: bool
    key: bool
    channels_first: bool


def adapt(
    module: Any,
    images: jax.ShapeDtypeStruct,
    axes: tuple[str, ...],
    train_argument: str | None,
) -> Adapter:
    """Make pure functions of an Equinox module, or of what makes one from `key`.

    A module that is made already begins every draw of its own from the numbers that it
    has; a class, a partial or a function gets new ones from the key. The call is mapped
    over images; the first axis name that it needs is theirs. In training each image has
    a key of its own, `split(key, n)`. Images `[n, height, width, channels]` that the
    module does not take are given to it with the channels first.
    Variables: `params` are all arrays of floats, by attribute; `state` the leaves of
    `eqx.nn.State`, by number.
    """
    maker: Any = module
    given: Any = module if isinstance(module, eqx.Module) else None

    def made(key: PRNGKeyArray) -> tuple[Any, Any]:
        """Make the module without its first state, and that state."""
        whole: Any = _module_of(maker(key=key)) if given is None else given
        return eqx.nn.delete_init_state(whole), eqx.nn.State(whole)

    # Really made: whole numbers and masks in it are no parameters, and stay.
    example, state = made(fixed_key(0)) if given is not None else _example(made)
    whole_of, state_tree = _parts(example)[1], jax.tree.structure(state)
    flag = training_flag(type(example).__call__, train_argument)
    call = _find_call(example, state, images, axes, flag)

    def init(key: PRNGKeyArray, images: Array) -> Variables:
        return _read(made(key))

    def state_of(variables: Variables) -> Any:
        leaves = variables.get("state", {})
        numbered = [leaves[str(place)] for place in range(len(leaves))]
        return jax.tree.unflatten(state_tree, numbered)

    def own_module(variables: Variables) -> Any:
        whole = whole_of(variables["params"])
        return (whole, state_of(variables)) if call.state else whole

    def apply(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        whole = eqx.nn.inference_mode(whole_of(variables["params"]), value=not train)
        one = _of_one_image(whole, call, flag.arguments(train))
        outputs, state = _over_images(one, call, axes)(
            images, state_of(variables), keys.get("key")
        )
        return outputs, {"state": _numbered(state)} if "state" in variables else {}

    streams = ("key",) if call.key else ()
    name = type(example).__name__
    adapter = Adapter(name, init, apply, own_module, _read, streams)
    check_calls(adapter, images, flag, type(example).__call__)
    return adapter


def _read(own: Any) -> Variables:
    """Read variables out of a module, or a module and its state."""
    whole, state = own if isinstance(own, tuple) else (own, None)
    leaves = _numbered(state) if state is not None else {}
    return {"params": _parts(whole)[0]} | ({"state": leaves} if leaves else {})


def _example(made: Callable[[Any], tuple[Any, Any]]) -> tuple[Any, Any]:
    """Make a module, parameters as shapes alone, where its `__init__` can be traced.

    Op by op, every draw of every layer is a program of its own to compile.
    """
    shapes: list[Any] = []

    def without_parameters(key: Any) -> tuple[Any, Any]:
        module, state = made(key)
        params, others = eqx.partition(module, _is_parameter)
        shapes.append(jax.eval_shape(lambda: params))
        return others, state

    try:
        others, state = eqx.filter_jit(without_parameters)(fixed_key(0))
        module = eqx.combine(shapes[0], others)
    except Exception:
        # It reads numbers that it drew, or is wrong: then this says how.
        return made(fixed_key(0))
    return made(fixed_key(0)) if _holds_tracers(module) else (module, state)


def _holds_tracers(module: Any) -> bool:
    """Tell whether an array that was traced stayed in a field that is no leaf."""
    nodes, seen = [module], set[int]()
    while nodes:
        node = nodes.pop()
        if isinstance(node, Tracer):
            return True
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            nodes += node.values()
        elif isinstance(node, list | tuple | set):
            nodes += node
        elif isinstance(node, partial):
            nodes += [node.func, node.args, node.keywords]
        elif isinstance(node, eqx.Module):
            nodes += vars(node).values()
        elif inspect.isfunction(node):
            nodes += [cell.cell_contents for cell in node.__closure__ or ()]
    return False


def _of_one_image(
    whole: Any, call: _Call, arguments: dict[str, Any]
) -> Callable[..., Any]:
    """Make a function of image, state and key, whatever the module's call takes."""

    def one(image: Array, state: Any, key: Any) -> Any:
        given = [image, state] if call.state else [image]
        more: dict[str, Any] = {"key": key} if call.key else {}
        made = whole(*given, **more, **arguments)
        outputs, state = made if call.state else (made, state)
        return named_outputs(outputs), state

    return one


def _over_images(
    one: Callable[..., Any], call: _Call, axes: tuple[str, ...]
) -> Callable[..., Any]:
    """Map a function of one image over the images of a batch, with a key for each."""

    def all_of_them(images: Array, state: Any, key: Any) -> Any:
        if call.channels_first:
            images = images.transpose(0, 3, 1, 2)
        keys = None if key is None else jax.random.split(key, len(images))
        batched = jax.vmap(
            one,
            in_axes=(0, None, None if keys is None else 0),
            out_axes=(0, None),
            axis_name=axes[0] if axes else _IMAGES,
        )
        return with_axes(batched, axes[1:])(images, state, keys)

    return all_of_them


def _module_of(made: Any) -> Any:
    """Refuse the pair of `eqx.nn.make_with_state`: the state is made anew here.

    Raises: UserError that says what to give.
    """
    if not isinstance(made, tuple):
        return made
    raise UserError(
        "eqx.nn.make_with_state(Net) gives a pair; give Net itself: its state is found"
    )


def _numbered(state: Any) -> dict[str, Any]:
    """Name the leaves of a state by number, as a tree of dicts needs names."""
    return {str(place): leaf for place, leaf in enumerate(jax.tree.leaves(state))}


def _parts(module: Any) -> tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]:
    """Take a module apart: its parameters by name, and what puts others in."""
    params, static = eqx.partition(module, _is_parameter)
    found, tree = jax.tree_util.tree_flatten_with_path(params)
    paths = [_names(path) for path, _ in found]
    flat: Any = dict(zip(paths, [leaf for _, leaf in found], strict=True))

    def whole(params: dict[str, Any]) -> Any:
        given: Any = traverse_util.flatten_dict(params)
        leaves = [given[path] for path in paths]
        return eqx.combine(jax.tree.unflatten(tree, leaves), static)

    return traverse_util.unflatten_dict(flat), whole


def _is_parameter(leaf: Any) -> bool:
    """Tell whether a leaf is an array of floats, or the shape of one."""
    is_shape = isinstance(leaf, jax.ShapeDtypeStruct)
    floats = is_shape and jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact)
    return bool(floats or eqx.is_inexact_array(leaf))


def _names(path: Any) -> tuple[str, ...]:
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def _find_call(
    module: Any,
    state: Any,
    images: jax.ShapeDtypeStruct,
    axes: tuple[str, ...],
    flag: TrainingFlag,
) -> _Call:
    """Find what a module's call takes: state, key, channels first or last."""
    parameters = inspect.signature(type(module).__call__).parameters
    call = _Call("state" in parameters, "key" in parameters, False)
    if len(images.shape) != 4 or _takes(module, state, call, images, axes, flag):
        return call
    first, *size, channels = images.shape
    moved = jax.ShapeDtypeStruct((first, channels, *size), images.dtype)
    if not _takes(module, state, call, moved, axes, flag):
        # Neither way: the caller says why, for the images as they are.
        return call
    logging.info("%s takes its images channels first", type(module).__name__)
    return call._replace(channels_first=True)


def _takes(
    module: Any,
    state: Any,
    call: _Call,
    images: jax.ShapeDtypeStruct,
    axes: tuple[str, ...],
    flag: TrainingFlag,
) -> bool:
    """Tell whether the module can be called on such images."""

    def batched(module: Any, state: Any, images: Array, key: Any) -> Any:
        one = _of_one_image(module, call, flag.arguments(True))
        return _over_images(one, call, axes)(images, state, key)

    key = jax.eval_shape(lambda: fixed_key(0))
    try:
        eqx.filter_eval_shape(batched, module, state, images, key)
    except NameError:
        raise
    except Exception:
        return False
    return True
