"""A residual branch of a network, as indices of its layers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from init_study.network import graph
from init_study.network.graph import Path


class Branch(NamedTuple):
    """One residual branch: y = shortcut(x) + branch(x).

    Attributes:
        layers: indices of its layers, in the order of execution.
        shortcut: indices of those on the way around; none for an identity.
        channels: of the sum.
        axis: of the sum, along which the channels are.
        ends: indices of the layers in whose kernels the branch's summand is linear,
            seen through gates, norms, moves and dropout: where the branch ends. Several
            where paths meet; none where no kernel is found.
        scales: paths of the parameters that multiply all of it behind those, of norms
            or a layer's scale; none if a part of it has no such parameter.
        before: indices of the layers on it that lead to an end, without the ends.
        depth: layers on the longest way to an end, itself included.
    """

    layers: tuple[int, ...]
    shortcut: tuple[int, ...]
    channels: int
    axis: int = -1
    ends: tuple[int, ...] = ()
    scales: tuple[Path, ...] = ()
    before: tuple[int, ...] = ()
    depth: int = 0


def describe_branch(
    traced: graph.Graph,
    residual: graph.ResidualSum,
    place: Mapping[Path, int],
    found: Sequence[graph.Operation],
) -> Branch:
    """Describe a residual sum by indices of layers, and find its axis of channels.

    That is the axis of the branch's end, if the sum has as many axes or channels there.

    Args:
        traced: a network's call.
        residual: the sum.
        place: index of each layer, by the path of its kernel.
        found: the layers.

    Example:
        >>> import jax.numpy as jnp
        >>> variables = {("params", "w"): jnp.ones((3, 3))}
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x + x @ p["params", "w"], variables, jnp.ones((2, 3))
        ... )
        >>> origins = graph.find_origins(traced)
        >>> found, _ = graph.find_operations(traced, origins)
        >>> (residual,) = graph.find_sums(traced, origins, found)
        >>> describe_branch(traced, residual, {("params", "w"): 0}, found).ends
        (0,)
    """
    shape = traced.shapes[residual.output].shape

    def indices(kernels: Sequence[Path]) -> tuple[int, ...]:
        return tuple(place[kernel] for kernel in kernels)

    layers, ends = indices(residual.layers), indices(residual.ends)
    axis = -1
    for last in (ends or layers)[-1:]:
        rank = len(traced.shapes[found[last].outputs].shape)
        features, width = found[last].features, found[last].shape[-1]
        same_rank = rank == len(shape)
        if features < len(shape) and (same_rank or shape[features] == width):
            axis = features - len(shape)
    return Branch(
        layers=layers,
        shortcut=indices(residual.shortcut),
        channels=shape[axis],
        axis=axis,
        ends=ends,
        scales=tuple(path[1:] for path in residual.scales),
        before=indices(residual.before),
        depth=residual.depth,
    )
