"""Blocks that a module runs in a loop: each slice of a stack is a parameter of its own.

`nn.scan`, Haiku's `layer_stack` and `lax.scan` over Equinox modules keep one array for
all blocks, `kernel` of `[4, 3, 3, C, C]`. In a network's parameters there is one for
each block, `kernel[0]` to `kernel[3]`, in the place of it: schemes, instruments and
branches see four layers, as if they had been written one behind the other. The module
gets them stacked.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, PRNGKeyArray

from init_study.keys import fixed_key
from init_study.network import graph
from init_study.network.adapters import Adapter, Variables
from init_study.network.adapters.adapter import Keys
from init_study.network.layers import Path, graph_of_call

# How parameters are cut, by path.
_Cuts = Mapping[Path, graph.Cut]
# More rounds than nested loops need.
_ROUNDS = 8


def unstack(adapter: Adapter, images: jax.ShapeDtypeStruct) -> Adapter:
    """Make an adapter whose parameters are slices where loops read stacks.

    Args:
        adapter: of any module; one without loops is given back as it is.
        images: the shape of a batch.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network.adapters import adapt
        >>> class Block(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, _):
        ...         return nn.Dense(3)(x), None
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         blocks = nn.scan(
        ...             Block, {"params": 0}, split_rngs={"params": True}, length=2
        ...         )
        ...         return blocks(name="blocks")(x, None)[0]
        >>> images = jax.ShapeDtypeStruct((2, 3), "float32")
        >>> sliced = unstack(adapt(Net(), images), images)
        >>> made = jax.eval_shape(sliced.init, jax.random.key(0), images)
        >>> list(made["params"]["blocks"]["Dense_0"])
        ['bias[0]', 'bias[1]', 'kernel[0]', 'kernel[1]']
    """
    for _ in range(_ROUNDS):
        cuts = _find_cuts(adapter, images)
        if not cuts:
            break
        adapter = _of_parts(adapter, cuts)
    return adapter


def slice_path(path: Path, place: int) -> Path:
    """Name one slice of a parameter.

    Example:
        >>> slice_path(("blocks", "kernel"), 3)
        ('blocks', 'kernel[3]')
    """
    return (*path[:-1], f"{path[-1]}[{place}]")


def _find_cuts(adapter: Adapter, images: jax.ShapeDtypeStruct) -> dict[Path, graph.Cut]:
    """Find the parameters that the training call reads part by part."""
    key = jax.eval_shape(lambda: fixed_key(0))
    variables = jax.eval_shape(adapter.init, key, images)
    keys = dict.fromkeys(adapter.streams, key)

    def call(variables: Variables, images: Array, keys: Keys) -> Any:
        return adapter.apply(variables, images, True, keys)[0]

    traced = graph_of_call(call, variables, images, keys)
    if not traced.sliced:
        traced = graph.without_dropout(traced, graph.find_origins(traced))
        traced = graph.part(traced)
    cuts = graph.find_cuts(traced, graph.find_origins(traced))
    return {path[1:]: cut for path, cut in cuts.items()}


def _of_parts(adapter: Adapter, cuts: _Cuts) -> Adapter:
    """Put parts in the place of parameters, and join them for the module."""

    def joined(variables: Variables) -> Variables:
        flat: Any = traverse_util.flatten_dict(variables["params"])
        whole = {path: _join(flat, path, cut) for path, cut in cuts.items()}
        return {**variables, "params": traverse_util.unflatten_dict({**flat, **whole})}

    def parted(made: Variables) -> Variables:
        flat: Any = traverse_util.flatten_dict(made["params"])
        for path, cut in cuts.items():
            flat.update(_parts(flat.pop(path), path, cut))
        return {**made, "params": traverse_util.unflatten_dict(flat)}

    def init(key: PRNGKeyArray, images: Array) -> Variables:
        return parted(adapter.init(key, images))

    def apply(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        return adapter.apply(joined(variables), images, train, keys)

    return adapter._replace(
        init=init,
        apply=apply,
        own=lambda variables: adapter.own(joined(variables)),
        read=lambda own: parted(adapter.read(own)),
        transposed=_names_of(adapter.transposed, cuts),
    )


def _parts(whole: Array, path: Path, cut: graph.Cut) -> dict[Path, Array]:
    """Cut a parameter."""
    parts = [jnp.take(whole, np.asarray(one), cut.axis) for one in cut.sets]
    if cut.squeezed:
        parts = [one.squeeze(cut.axis) for one in parts]
    return {slice_path(path, place): one for place, one in enumerate(parts)}


def _join(flat: dict[Path, Array], path: Path, cut: graph.Cut) -> Array:
    """Take the parts of a parameter out of a flat tree, and put them together."""
    parts = [flat.pop(slice_path(path, place)) for place in range(len(cut.sets))]
    if not cut.squeezed:
        return graph.join(parts, cut.sets, cut.axis)
    order = np.argsort([one[0] for one in cut.sets])
    return jnp.stack([parts[place] for place in order], cut.axis)


def _names_of(paths: frozenset[Path], cuts: _Cuts) -> frozenset[Path]:
    """Name parts in the place of what they are cut from."""
    names: set[Path] = set()
    for path in paths:
        count = len(cuts[path].sets) if path in cuts else 0
        names.update([slice_path(path, place) for place in range(count)] or [path])
    return frozenset(names)
