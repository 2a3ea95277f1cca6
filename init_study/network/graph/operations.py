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

from init_study import jaxprs
from init_study.network.graph.biases import Output, find_bias
from init_study.network.graph.dataflow import (
    CONTRACTIONS,
    Graph,
    Node,
    Origins,
    Path,
    producers,
)
from init_study.network.graph.layouts import places_in_leaf
from init_study.network.graph.references import results_of_reference
from init_study.network.graph.side_by_side import stacked_parts


class Operation(NamedTuple):
    """One parametric operation, at its first use.

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
        again: the outputs of later uses of the kernel, bias included.
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
    again: tuple[int, ...] = ()


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
    weighed: dict[int, set[Path]] = {}
    made_by, users = producers(graph), graph.users()
    for place, node in enumerate(graph.nodes):
        if not _contracts(node) or _is_lookup(graph, node, origins):
            continue
        fixed = [value for value in node.inputs if not origins.of_images[value]]
        paths = {p for v in fixed for p in origins.variables[v] if p[0] == "params"}
        layer = None
        if len(node.inputs) == 2 and len(fixed) == 1:
            layer = _find_layer(graph, origins, made_by, place)
        if layer is not None:
            output = Output(layer.outputs, layer.features, layer.across)
            bias, output = find_bias(
                graph, origins, users, output, layer.shape[-1], layer.parts
            )
            layer = layer._replace(bias=bias, **output._asdict())
            first = found.setdefault(layer.kernel, layer)
            if first is not layer:
                again = (*first.again, layer.outputs)
                found[layer.kernel] = first._replace(again=again)
        weighed[place] = {p for p in paths if graph.size(graph.variables[p]) > 1}
    layers = tuple(found.values())
    return layers, _unknown(graph, origins, layers, weighed)


def _unknown(
    graph: Graph,
    origins: Origins,
    layers: tuple[Operation, ...],
    weighed: dict[int, set[Path]],
) -> frozenset[Path]:
    """Collect what is used as a kernel and belongs to no layer, nor is made into one.

    What goes through a layer beside the images, of reference, is no kernel of theirs.
    """
    beside = {
        value
        for layer in layers
        for value in results_of_reference(graph, origins, layer.place, layer.side)
    }
    unknown = {
        path
        for place, paths in weighed.items()
        if beside.isdisjoint(graph.nodes[place].outputs)
        for path in paths
    }
    known = {path for layer in layers for path in (layer.kernel, layer.bias)}
    # What is made into a kernel together with it, such as a weight norm's scale.
    near = {
        path
        for layer in layers
        for value in graph.nodes[layer.place].inputs
        for path in origins.variables[value]
    }
    return frozenset(unknown - known - near)


def _contracts(node: Node) -> bool:
    """Tell whether numbers of different places may meet in a node under weights."""
    if node.name.startswith("custom_"):
        # A derivative of the user's own; activations have such as well.
        inner = {str(e.primitive) for e in jaxprs.inner_equations(node.equation)}
        return not inner.isdisjoint(CONTRACTIONS)
    return node.name in (*CONTRACTIONS, "gather", "scan", "while", "cond")


def _is_lookup(graph: Graph, node: Node, origins: Origins) -> bool:
    """Tell whether a node takes rows of a table: vectors that images may choose.

    A matrix that images choose weighs other images: that is a kernel.
    """
    if node.name != "gather":
        return False
    table, places = node.inputs
    numbers = node.equation.params["dimension_numbers"]
    vectors = len(numbers.offset_dims) <= 1
    return not origins.of_images[places] or (vectors and not origins.of_images[table])


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
    inputs, outputs = axes
    spatial = [a for a in range(moved.ndim) if a not in (*inputs, *outputs)]
    moved = moved.transpose(*spatial, *inputs, *outputs)
    sizes = moved.shape[: len(spatial)]
    count = prod(graph.shapes[weights].shape[axis] for axis in inputs)
    shape = (*sizes, count, moved.size // max(1, prod(sizes) * count))
    stored = graph.shapes[graph.variables[paths[0]]].shape
    order = moved.reshape(-1)
    batches = fields["groups"] if fields["kind"] == "dense" else 1
    parts = stacked_parts(moved.reshape(shape), stored, batches)
    across, features = _features(graph, node, images == first, len(outputs), parts)
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
        features=features,
        place=place,
        parts=parts,
        across=across,
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


def _product(graph: Graph, node: Node, weights: int) -> tuple[Any, dict[str, Any]]:
    """Read the axes of inputs and of outputs; those of a batch are outputs, too."""
    contracted, batched = node.equation.params["dimension_numbers"]
    side = 0 if node.inputs[0] == weights else 1
    shape = graph.shapes[weights].shape
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
