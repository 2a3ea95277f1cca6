"""Which of a module's outputs are its logits: one rule for every framework.

A call may give one array, or several in tuples, lists, dicts and dataclasses. These get
names, in the order in which the module gives them: `logits`, `0`, `aux/1`. The logits
are what the user names, or the first that is `[batch, num_classes]`; the others are
ignored. The training call and the evaluation call choose for themselves.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from jaxtyping import Array

from init_study.errors import UserError, nearest
from init_study.keys import fixed_key
from init_study.network.adapters.adapter import Adapter, Keys, Variables

# How many images stand for a batch of any size.
_IMAGES = 2


def named_outputs(outputs: Any) -> Any:
    """Name the arrays of what a module gives; one array alone stays as it is.

    What is no array is left out.

    Raises: UserError if two of them would have one name.

    Example:
        >>> import jax.numpy as jnp
        >>> list(named_outputs((jnp.ones(2), {"features": jnp.ones(3)})))
        ['0', '1/features']
    """
    if _is_array(outputs):
        return outputs
    by_name = OrderedDict()
    for name, one in _leaves(outputs, ()):
        if name in by_name:
            raise UserError(
                f"two outputs of the module are named {name!r}: {by_name[name].shape} "
                f"and {one.shape}; call one of them otherwise"
            )
        by_name[name] = one
    return by_name


def choose_output(
    adapter: Adapter,
    images: jax.ShapeDtypeStruct,
    num_classes: int | None,
    output: str | None = None,
) -> Adapter:
    """Make an adapter that gives one array: a module's logits.

    Args:
        adapter: gives an array, or arrays by name, as of `named_outputs`.
        images: the shape of a batch.
        num_classes: how many logits there are; None for any number.
        output: the name of the logits, as `logits`, `0`, `aux.1` or `aux/1`; by default
            the first that fits.

    Raises: UserError that lists what the module gives, for a name that is not there, or
        where no output is `[batch, num_classes]`.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network.adapters import adapt
        >>> net = nn.Sequential([nn.Dense(4), lambda x: {"features": x, "logits": x}])
        >>> images = jax.ShapeDtypeStruct((2, 3), "float32")
        >>> both = adapt(net, images)
        >>> chosen = choose_output(both, images, 4, "logits")
        >>> variables = jax.eval_shape(chosen.init, jax.random.key(0), images)
        >>> logits, _ = jax.eval_shape(
        ...     lambda v, x: chosen.apply(v, x, False, {}), variables, images
        ... )
        >>> logits.shape
        (2, 4)
    """
    shapes = {train: _shapes(adapter, images, train) for train in _CALLS}
    if output is not None and not any(isinstance(s, dict) for s in shapes.values()):
        raise UserError(
            f"output={output!r}: {adapter.name} gives one array alone; leave out output"
        )
    names = {
        train: _chosen(adapter.name, _CALLS[train], given, num_classes, output)
        for train, given in shapes.items()
    }
    if all(name is None for name in names.values()):
        return adapter

    def apply(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        outputs, state = adapter.apply(variables, images, train, keys)
        name = names[train]
        return (outputs if name is None else outputs[name]), state

    return adapter._replace(apply=apply)


_CALLS = {True: "in training", False: "in evaluation"}


def _is_array(thing: Any) -> bool:
    return hasattr(thing, "shape") and hasattr(thing, "dtype")


def _leaves(thing: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Iterate over arrays and their names, in the module's own order."""
    if _is_array(thing):
        yield "/".join(path), thing
        return
    for name, inner in _parts(thing):
        yield from _leaves(inner, (*path, str(name)))


def _parts(thing: Any) -> list[tuple[Any, Any]]:
    """List what is in a container, by name or by place."""
    if isinstance(thing, Mapping):
        return list(thing.items())
    if dataclasses.is_dataclass(thing):
        fields = [field.name for field in dataclasses.fields(thing)]
        return [(name, getattr(thing, name)) for name in fields]
    if isinstance(thing, tuple | list):
        names = getattr(thing, "_fields", range(len(thing)))
        return list(zip(names, thing, strict=True))
    # A container of some library that JAX knows how to take apart.
    inner, _ = jax.tree_util.tree_flatten_with_path(thing, lambda x: x is not thing)
    return [(_text(path), leaf) for path, leaf in inner if path]


def _text(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _shapes(adapter: Adapter, images: jax.ShapeDtypeStruct, train: bool) -> Any:
    """Find what a call gives for two images: a shape, or shapes by name."""
    two = jax.ShapeDtypeStruct((_IMAGES, *images.shape[1:]), images.dtype)
    key = jax.eval_shape(lambda: fixed_key(0))
    keys = dict.fromkeys(adapter.streams, key)
    variables = jax.eval_shape(adapter.init, key, two)
    outputs, _ = jax.eval_shape(
        lambda v, x, k: adapter.apply(v, x, train, k), variables, two, keys
    )
    return outputs


def _chosen(
    module: str, when: str, given: Any, num_classes: int | None, output: str | None
) -> str | None:
    """Choose the name of the logits; None for an array alone.

    Raises: UserError as of `choose_output`.
    """
    by_name: dict[str, Any] = given if isinstance(given, dict) else {"": given}
    fits = [name for name, one in by_name.items() if _fits(one, num_classes)]
    if output is None or "" in by_name:
        if not fits and num_classes is not None:
            raise UserError(_unfit(module, when, by_name, num_classes))
        return (fits[0] or None) if fits else None
    wanted = _find_name(by_name, output)
    if wanted is None:
        near = nearest(output, by_name) or next(iter(fits), None)
        raise UserError(
            f"output={output!r}: {module} has no such output {when}; it gives "
            f"{_listed(by_name)}" + (f". Did you mean {near!r}?" if near else "")
        )
    if wanted not in fits:
        way = f"; did you mean {fits[0]!r}?" if fits else ""
        raise UserError(
            f"output={output!r} of {module} is {_listed({wanted: by_name[wanted]})} "
            f"for {_IMAGES} images {when}; one logit per class is needed: "
            f"{_wanted(num_classes)}; it gives {_listed(by_name)}{way}"
        )
    return wanted


def _find_name(by_name: Mapping[str, Any], output: str) -> str | None:
    """Find what is meant: `aux/1`, `aux.1`; by its place, where a field has a name."""
    for name in (output, output.replace(".", "/")):
        if name in by_name:
            return name
    places = list(by_name)
    whole = output.isdecimal() and not any("/" in name for name in places)
    return places[int(output)] if whole and int(output) < len(places) else None


def _fits(one: Any, num_classes: int | None) -> bool:
    if num_classes is None:
        return len(one.shape) == 2 and one.shape[0] == _IMAGES
    return one.shape == (_IMAGES, num_classes)


def _unfit(
    module: str, when: str, by_name: Mapping[str, Any], num_classes: int | None
) -> str:
    """Say that no output is logits, what there is, and which is nearest to it."""
    flat = {name: one for name, one in by_name.items() if _fits(one, None)}
    # Of two outputs of one logit each per class, the width says which is meant.
    near = min(
        flat, key=lambda n: abs(flat[n].shape[1] - (num_classes or 0)), default=None
    )
    last = f"; nearest is {near!r}" if near else ""
    return (
        f"{module} gives {_listed(by_name)} for {_IMAGES} images {when}; one logit per "
        f"class is needed: {_wanted(num_classes)}{last}"
    )


def _wanted(num_classes: int | None) -> str:
    return f"({_IMAGES}, {num_classes or 'classes'})"


def _listed(by_name: Mapping[str, Any]) -> str:
    """List outputs for people: `logits (2, 10), aux/0 (2, 4)`."""
    words = [f"{name} {one.shape}".strip() for name, one in by_name.items()]
    return ", ".join(words) or "no array"
