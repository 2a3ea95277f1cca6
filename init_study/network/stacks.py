"""Blocks that a module runs in a loop: each slice of a stack is a parameter of its own.

`nn.scan`, Haiku's `layer_stack` and `lax.scan` over Equinox modules keep one array for
all blocks, `kernel` of `[4, 3, 3, C, C]`. In a network's parameters there is one for
each block, `kernel[0]` to `kernel[3]`, in the place of it: schemes, instruments and
branches see four layers, as if they had been written one behind the other. The module
gets them stacked.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, PRNGKeyArray

from init_study.network.adapters import Adapter, Variables
from init_study.network.adapters.adapter import Keys
from init_study.network.layers import Path, graph_of_call

# The number of slices, by path of the stacked parameter.
_Sizes = dict[Path, int]


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
    while sizes := _find_stacks(adapter, images):
        adapter = _of_slices(adapter, sizes)
    return adapter


def slice_path(path: Path, place: int) -> Path:
    """Name one slice of a parameter.

    Example:
        >>> slice_path(("blocks", "kernel"), 3)
        ('blocks', 'kernel[3]')
    """
    return (*path[:-1], f"{path[-1]}[{place}]")


def _find_stacks(adapter: Adapter, images: jax.ShapeDtypeStruct) -> _Sizes:
    """Find the parameters that loops of the training call read slice by slice."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    variables = jax.eval_shape(adapter.init, key, images)
    keys = dict.fromkeys(adapter.streams, key)

    def call(variables: Variables, images: Array, keys: Keys) -> Any:
        return adapter.apply(variables, images, True, keys)[0]

    traced = graph_of_call(call, variables, images, keys)
    return {
        path[1:]: traced.shapes[value].shape[0]
        for path, value in traced.variables.items()
        if path[0] == "params" and value in traced.sliced
    }


def _of_slices(adapter: Adapter, sizes: _Sizes) -> Adapter:
    """Put slices in the place of stacks, and stack them for the module."""

    def stacked(variables: Variables) -> Variables:
        flat: Any = traverse_util.flatten_dict(variables["params"])
        whole = {
            path: jnp.stack([flat.pop(slice_path(path, i)) for i in range(size)])
            for path, size in sizes.items()
        }
        return {**variables, "params": traverse_util.unflatten_dict({**flat, **whole})}

    def init(key: PRNGKeyArray, images: Array) -> Variables:
        made = adapter.init(key, images)
        flat: Any = traverse_util.flatten_dict(made["params"])
        for path, size in sizes.items():
            whole = flat.pop(path)
            flat.update({slice_path(path, i): whole[i] for i in range(size)})
        return {**made, "params": traverse_util.unflatten_dict(flat)}

    def apply(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        return adapter.apply(stacked(variables), images, train, keys)

    return adapter._replace(
        init=init,
        apply=apply,
        own=lambda variables: adapter.own(stacked(variables)),
        transposed=_slices_of(adapter.transposed, sizes),
    )


def _slices_of(paths: frozenset[Path], sizes: _Sizes) -> frozenset[Path]:
    """Name slices in the place of stacks."""
    return frozenset(
        slice_path(path, place) if path in sizes else path
        for path in paths
        for place in range(sizes.get(path, 1))
    )
