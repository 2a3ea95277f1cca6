"""Convolutions and dense layers in a graph: wherever a parameter meets the images.

What is looked for, `x` of the images, `w` and `b` of parameters. Reshapes, transposes
and casts may stand between, and for `w` what leaves its numbers in their places:

    c = conv_general_dilated x w
    c = dot_general x w                 or dot_general w x
    d = add c b                         b of one number per output
"""

from math import prod
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from init_study.network.graph.dataflow import Graph, Node, Origins, Path, producers
from init_study.network.graph.layouts import places_in_leaf

# What an output passes on its way to its bias, each number unchanged or only cast.
_CARRIES = ("reshape", "convert_element_type", "squeeze", "transpose")


class Operation(NamedTuple):
    """One parametric operation, at its first use.

    Attributes:
        kernel: its path among the variables.
        bias: the path of what is added right behind it, or None.
        kind: `conv` or `dense`.
        shape: of the kernel as `[*spatial, in / groups, out]`.
        order: place in the stored kernel, flat, of each number of the kernel in that
            layout; None where the stored kernel has it.
        groups, strides, kernel_dilation, input_dilation, padding: of the operation.
        side: which of its operands the images are.
        inputs: that operand.
        result: the value that its operation gives.
        outputs: the value behind it, bias included.
        features: the axis of `outputs` along which the operation's outputs are.
        place: of its node.
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


def find_operations(
    graph: Graph, origins: Origins
) -> tuple[tuple[Operation, ...], frozenset[Path]]:
    """Find the layers of a graph.

    Args:
        graph: of a network's call.
        origins: what its values come from.

    Returns: the layers in the order of execution, and the parameters that are used as
        kernels but in no way that is known: inside loops, in products of images with
        images.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> w, b = jnp.ones((3, 2)), jnp.ones(2)
        >>> variables = {("params", "w"): w, ("params", "b"): b}
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x @ p["params", "w"] + p["params", "b"][None],
        ...     variables,
        ...     jnp.ones((4, 3)),
        ... )
        >>> (found,), unknown = find_operations(traced, graph.find_origins(traced))
        >>> found.kind, found.shape, found.bias
        ('dense', (3, 2), ('params', 'b'))
    """
    found: dict[Path, Operation] = {}
    unknown: set[Path] = set()
    made_by, users = producers(graph), graph.users()
    for place, node in enumerate(graph.nodes):
        if not _contracts(node):
            continue
        fixed = [value for value in node.inputs if not origins.of_images[value]]
        paths = {p for v in fixed for p in origins.variables[v] if p[0] == "params"}
        layer = None
        if len(node.inputs) == 2 and len(fixed) == 1:
            layer = _find_layer(graph, origins, made_by, place)
        if layer is not None:
            layer = _find_bias(graph, origins, users, layer)
            found.setdefault(layer.kernel, layer)
        unknown |= {p for p in paths if graph.size(graph.variables[p]) > 1}
    layers = tuple(found.values())
    known = {path for layer in layers for path in (layer.kernel, layer.bias)}
    # What is made into a kernel together with it, such as a weight norm's scale.
    near = {
        path
        for layer in layers
        for value in graph.nodes[layer.place].inputs
        for path in origins.variables[value]
    }
    return layers, frozenset(unknown - known - near)


def _contracts(node: Node) -> bool:
    """Tell whether numbers of different places may meet in a node under weights."""
    known = ("conv_general_dilated", "dot_general", "gather")
    return node.name in known or node.name in ("scan", "while", "cond")


def _find_layer(
    graph: Graph, origins: Origins, made_by: dict[int, int], place: int
) -> Operation | None:
    """Read a layer from a node in which a parameter meets the images.

    None where the weights are not one parameter's numbers, each in a place of its own.
    """
    node = graph.nodes[place]
    first, second = node.inputs
    weights, images = (first, second) if origins.of_images[second] else (second, first)
    paths = [
        path
        for path in origins.variables[weights]
        if path[0] == "params"
        and graph.size(graph.variables[path]) == graph.size(weights)
    ]
    if len(paths) != 1:
        return None
    moved = places_in_leaf(graph, made_by, weights, graph.variables[paths[0]])
    if moved is None:
        return None
    if node.name == "conv_general_dilated" and weights == second:
        axes, fields = _convolution(node)
    elif node.name == "dot_general":
        axes, fields = _product(graph, node, weights)
    else:
        return None
    if axes is None:
        return None
    inputs, outputs = axes
    spatial = [a for a in range(moved.ndim) if a not in (*inputs, *outputs)]
    moved = moved.transpose(*spatial, *inputs, *outputs)
    sizes = moved.shape[: len(spatial)]
    count = prod(graph.shapes[weights].shape[axis] for axis in inputs)
    shape = (*sizes, count, moved.size // max(1, prod(sizes) * count))
    stored = graph.shapes[graph.variables[paths[0]]].shape
    order = moved.reshape(-1)
    plain = stored == shape and bool((order == np.arange(order.size)).all())
    return Operation(
        kernel=paths[0],
        bias=None,
        shape=shape,
        order=None if plain else order,
        side=0 if images == first else 1,
        inputs=images,
        result=node.outputs[0],
        outputs=node.outputs[0],
        features=_features(graph, node, images == first),
        place=place,
        **fields,
    )


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


def _features(graph: Graph, node: Node, images_first: bool) -> int:
    """Find the axis of a node's result along which its outputs are."""
    if node.name == "conv_general_dilated":
        return node.equation.params["dimension_numbers"].out_spec[1]
    return len(graph.shapes[node.outputs[0]].shape) - 1 if images_first else 0


def _product(graph: Graph, node: Node, weights: int) -> tuple[Any, dict[str, Any]]:
    """Read the matrix's axes of inputs and of outputs; None for a batched product."""
    contracted, batched = node.equation.params["dimension_numbers"]
    side = 0 if node.inputs[0] == weights else 1
    if batched[side]:
        return None, {}
    inputs = list(contracted[side])
    outputs = [a for a in range(len(graph.shapes[weights].shape)) if a not in inputs]
    fields = {
        "kind": "dense",
        "groups": 1,
        "strides": (),
        "kernel_dilation": (),
        "input_dilation": (),
        "padding": (),
    }
    return (inputs, outputs), fields


def _find_bias(
    graph: Graph, origins: Origins, users: dict[int, list[int]], layer: Operation
) -> Operation:
    """Add to an operation the parameter of one number per output that is added next."""
    value, axis = layer.outputs, layer.features
    while len(users.get(value, ())) == 1:
        node = graph.nodes[users[value][0]]
        if node.name in _CARRIES:
            axis = _carried(graph, node, axis)
            value = node.outputs[0]
            if axis is None:
                break
            if node.name == "transpose" and layer.features == 0:
                # What W·x gives has its features before its images until here.
                layer = layer._replace(outputs=value, features=axis)
            continue
        if node.name != "add":
            break
        other = node.inputs[1] if node.inputs[0] == value else node.inputs[0]
        paths = [p for p in origins.variables[other] if p[0] == "params"]
        is_bias = (
            not origins.of_images[other]
            and len(paths) == 1
            and graph.size(graph.variables[paths[0]]) == layer.shape[-1]
        )
        if is_bias:
            return layer._replace(bias=paths[0], outputs=node.outputs[0], features=axis)
        break
    return layer


def _carried(graph: Graph, node: Node, axis: int) -> int | None:
    """Follow an axis of a node's input into its output; None where it is lost."""
    before, after = (
        graph.shapes[value].shape for value in (node.inputs[0], node.outputs[0])
    )
    if node.name == "convert_element_type":
        return axis
    if node.name == "transpose":
        return list(node.equation.params["permutation"]).index(axis)
    size, inner = before[axis], prod(before[axis + 1 :])
    places = [
        place
        for place in range(len(after))
        if after[place] == size and prod(after[place + 1 :]) == inner
    ]
    return places[-1] if places else None
