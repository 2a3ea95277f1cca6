"""One node as an operation: its kernel, brought to `[*spatial, in / groups, out]`."""

from math import prod
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from init_study.network.graph.dataflow import Graph, Node, Origins, Path
from init_study.network.graph.layouts import places_in_leaf
from init_study.network.graph.side_by_side import stacked_parts


class Use(NamedTuple):
    """One use of a kernel.

    Attributes:
        place: of its node.
        kernel: its path.
        side, result, outputs: as of `Operation`.
    """

    place: int
    kernel: Path
    side: int
    result: int
    outputs: int


class Operation(NamedTuple):
    """One parametric operation, at its first use.

    A use from which nothing reaches the outputs counts only where all are such.

    Attributes:
        kernel: its path among the variables.
        bias: the path of what is added right behind it, or None.
        kind: `conv` or `dense`.
        shape: of the kernel as `[*spatial, in / groups, out]`.
        order: place in the stored kernel, flat, of each number of the kernel in that
            layout; None where the stored kernel has it.
        groups, strides, kernel_dilation, input_dilation, padding: of the operation; a
            batched product has a group for each matrix.
        parts: how many kernels it is, side by side along the outputs.
        side: which of its operands the images are.
        inputs: that operand.
        result: the value that its operation gives.
        outputs: the value behind it, bias included.
        features: the axis of `outputs` along which the operation's outputs are.
        across: the axes of `outputs` along which those of its parts are; none where all
            are along `features`.
        place: of its node.
        again: later uses of the kernel.
        is_live: whether something of it reaches the outputs.
    """

    kernel: Path
    bias: Path | None
    kind: str
    shape: tuple[int, ...]
    order: Int[np.ndarray, " n"] | None
    groups: int
    strides: tuple[int, ...]
    kernel_dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    side: int
    inputs: int
    result: int
    outputs: int
    features: int
    place: int
    parts: int = 1
    across: tuple[int, ...] = ()
    again: tuple[Use, ...] = ()
    is_live: bool = True

    @property
    def uses(self) -> tuple[Use, ...]:
        """All its uses, in the order of execution."""
        first = Use(self.place, self.kernel, self.side, self.result, self.outputs)
        return (first, *self.again)


def read_operation(
    graph: Graph, origins: Origins, made_by: dict[int, int], place: int, side: int
) -> Operation | None:
    """Read a node in which a parameter meets the images as an operation.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        made_by: as of `producers`.
        place: of a node of two inputs.
        side: which of them the images are.

    Returns: it, without a bias; None where the weights are not one parameter's numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x @ p["params", "w"],
        ...     {("params", "w"): jnp.ones((3, 2))},
        ...     jnp.ones((4, 3)),
        ... )
        >>> origins, made_by = graph.find_origins(traced), graph.producers(traced)
        >>> read_operation(traced, origins, made_by, 0, 0).shape
        (3, 2)
    """
    node = graph.nodes[place]
    images, weights = node.inputs[side], node.inputs[1 - side]
    path, read = _kernel_of(graph, origins, weights), _axes(graph, node, side)
    if path is None or read is None:
        return None
    moved = places_in_leaf(graph, made_by, weights, graph.variables[path])
    if moved is None:
        return None
    (inputs, outputs), fields = read
    spatial = [a for a in range(moved.ndim) if a not in (*inputs, *outputs)]
    moved = moved.transpose(*spatial, *inputs, *outputs)
    sizes = moved.shape[: len(spatial)]
    count = prod(graph.shapes[weights].shape[axis] for axis in inputs)
    shape = (*sizes, count, moved.size // max(1, prod(sizes) * count))
    stored, order = graph.shapes[graph.variables[path]].shape, moved.reshape(-1)
    batches = fields["groups"] if fields["kind"] == "dense" else 1
    parts = stacked_parts(moved.reshape(shape), stored, batches)
    across, features = _features(graph, node, side == 0, len(outputs), parts)
    plain = stored == shape and bool((order == np.arange(order.size)).all())
    return Operation(
        kernel=path,
        bias=None,
        shape=shape,
        order=None if plain else order,
        side=side,
        inputs=images,
        result=node.outputs[0],
        outputs=node.outputs[0],
        features=features,
        place=place,
        parts=parts,
        across=across,
        **fields,
    )


def _kernel_of(graph: Graph, origins: Origins, weights: int) -> Path | None:
    """Find the one parameter that has as many numbers as the weights made of it."""
    paths = [
        path
        for path in origins.variables[weights]
        if path[0] == "params"
        and graph.size(graph.variables[path]) == graph.size(weights)
    ]
    return paths[0] if len(paths) == 1 else None


def _axes(graph: Graph, node: Node, side: int) -> tuple[Any, dict[str, Any]] | None:
    """Read the kernel's axes, and the fields of the operation; None for no layer."""
    if node.name == "conv_general_dilated" and side == 0:
        return _convolution(node)
    return _product(graph, node, 1 - side) if node.name == "dot_general" else None


def _convolution(node: Node) -> tuple[Any, dict[str, Any]]:
    """Read the kernel's axes of inputs and of outputs, and what a window is."""
    params = node.equation.params
    out, inputs, *_ = params["dimension_numbers"].rhs_spec
    fields = {
        "kind": "conv",
        "groups": params["feature_group_count"],
        "strides": tuple(params["window_strides"]),
        "kernel_dilation": tuple(params["rhs_dilation"]),
        "input_dilation": tuple(params["lhs_dilation"]),
        "padding": tuple(tuple(pair) for pair in params["padding"]),
    }
    return ([inputs], [out]), fields


def _features(
    graph: Graph, node: Node, images_first: bool, axes: int, parts: int
) -> tuple[tuple[int, ...], int]:
    """Find the axes of a node's result along which its parts, and its outputs, are.

    `axes` of the kernel are of outputs; of a product all but the last are of parts.
    """
    if node.name == "conv_general_dilated":
        return (), node.equation.params["dimension_numbers"].out_spec[1]
    last = len(graph.shapes[node.outputs[0]].shape) - 1
    if parts == 1:
        return (), last if images_first else 0
    _, (batched, _) = node.equation.params["dimension_numbers"]
    count = len(batched)
    first = last + 1 - (axes - count) if images_first else count
    ends = tuple(range(first, first + axes - count))
    return (*range(count), *ends[:-1]), ends[-1]


def _product(graph: Graph, node: Node, side: int) -> tuple[Any, dict[str, Any]]:
    """Read the axes of inputs and of outputs; those of a batch are outputs, too.

    `side` is the kernel's.
    """
    contracted, batched = node.equation.params["dimension_numbers"]
    shape = graph.shapes[node.inputs[side]].shape
    inputs, batch = list(contracted[side]), list(batched[side])
    outputs = [a for a in range(len(shape)) if a not in (*inputs, *batch)]
    fields = {
        "kind": "dense",
        "groups": prod(shape[axis] for axis in batch),
        "strides": (),
        "kernel_dilation": (),
        "input_dilation": (),
        "padding": (),
    }
    return (inputs, [*batch, *outputs]), fields
