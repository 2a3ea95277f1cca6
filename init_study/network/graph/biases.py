"""Biases: what is added behind an operation, one number for each of its outputs.

`c` is what the operation gives; reshapes, transposes and casts may come before the sum.

    d = add c b        b of one parameter, with as many numbers as there are outputs
"""

from math import prod
from typing import NamedTuple

from init_study.network.graph.dataflow import Graph, Node, Origins, Path

# What an output passes on its way to its bias, each number unchanged or only cast.
_CARRIES = ("reshape", "convert_element_type", "squeeze", "transpose")


class Output(NamedTuple):
    """What an operation gives, and where its features are.

    Attributes:
        outputs: the value.
        features: the axis of the outputs, of one part if there are several.
        across: the axes of the parts; none where all outputs are along one axis.
    """

    outputs: int
    features: int
    across: tuple[int, ...] = ()


def find_bias(
    graph: Graph,
    origins: Origins,
    users: dict[int, list[int]],
    output: Output,
    width: int,
    parts: int = 1,
) -> tuple[Path | None, Output]:
    """Find the parameter of one number per output that is added next.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        users: as of `Graph.users`.
        output: of the operation.
        width: the number of its outputs, of all parts.
        parts: how many kernels it is.

    Returns: the path of the bias, or None, and the output with it.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x + p["params", "b"][None],
        ...     {("params", "b"): jnp.ones(3)},
        ...     jnp.ones((2, 3)),
        ... )
        >>> origins, output = graph.find_origins(traced), Output(traced.images, 1)
        >>> find_bias(traced, origins, traced.users(), output, 3)[0]
        ('params', 'b')
    """
    value, axis, across = output
    while len(users.get(value, ())) == 1:
        node = graph.nodes[users[value][0]]
        if node.name in _CARRIES:
            value = node.outputs[0]
            moved = [_carried(graph, node, one) for one in (*across, axis)]
            if moved[-1] is None and not across and parts > 1:
                moved = _parted(graph, node, axis, parts)
            known = [place for place in moved if place is not None]
            if len(known) < len(moved):
                break
            *others, axis = known
            across = tuple(others)
            if node.name == "transpose" and output.features == 0:
                # What W·x gives has its features before its images until here.
                output = Output(value, axis, across)
            continue
        if node.name != "add":
            break
        other = node.inputs[1] if node.inputs[0] == value else node.inputs[0]
        bias = _parameter_of(graph, origins, other, width)
        return bias, Output(node.outputs[0], axis, across) if bias else output
    return None, output


def _parameter_of(graph: Graph, origins: Origins, value: int, size: int) -> Path | None:
    """Find the one parameter of this size that a value is made of."""
    paths = [path for path in origins.variables[value] if path[0] == "params"]
    if origins.of_images[value] or len(paths) != 1:
        return None
    return paths[0] if graph.size(graph.variables[paths[0]]) == size else None


def _carried(graph: Graph, node: Node, axis: int) -> int | None:
    """Follow an axis of a node's input into its output; None where it is lost."""
    before, after = _sizes(graph, node)
    if node.equation.params.get("dimensions") and node.name == "reshape":
        return None
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


def _parted(graph: Graph, node: Node, axis: int, parts: int) -> list[int | None]:
    """Follow the outputs of all parts into a reshape that parts them: `[N, o]`."""
    before, after = _sizes(graph, node)
    inner = prod(before[axis + 1 :])
    for place in range(len(after) - 1):
        both = after[place] == parts and parts * after[place + 1] == before[axis]
        if both and prod(after[place + 2 :]) == inner:
            return [place, place + 1]
    return [None]


def _sizes(graph: Graph, node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Read the shapes of a node's input and of its output."""
    return graph.shapes[node.inputs[0]].shape, graph.shapes[node.outputs[0]].shape
