"""Convolutions and dense layers in a graph: wherever a parameter meets the images.

What is looked for, `x` of the images, `w` and `b` of parameters. Reshapes, transposes
and casts may stand between, and for `w` what leaves its numbers in their places:

    c = conv_general_dilated x w
    c = dot_general x w                 or dot_general w x
    d = add c b                         b of one number per output
"""

from collections.abc import Iterable

from init_study import jaxprs
from init_study.network.graph.biases import Output, find_bias
from init_study.network.graph.contractions import Operation, read_operation
from init_study.network.graph.dataflow import (
    CONTRACTIONS,
    Graph,
    Node,
    Origins,
    Path,
    live_places,
    producers,
)

_PASSES = ("reshape", "squeeze", "transpose", "copy", "expand_dims")


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
    found: dict[Path, list[Operation]] = {}
    unknown: set[Path] = set()
    dead: set[Path] = set()
    made_by, users, live = producers(graph), graph.users(), live_places(graph)
    for place, node in enumerate(graph.nodes):
        if not _contracts(node) or _is_lookup(graph, origins, made_by, node):
            continue
        fixed = [value for value in node.inputs if not origins.of_images[value]]
        paths = {p for v in fixed for p in origins.variables[v] if p[0] == "params"}
        layer = None
        if len(node.inputs) == 2 and len(fixed) == 1:
            side = 1 - node.inputs.index(fixed[0])
            layer = read_operation(graph, origins, made_by, place, side)
        if layer is not None:
            layer = _with_bias(graph, origins, users, layer)
            found.setdefault(layer.kernel, []).append(layer)
            continue
        if len(fixed) < len(node.inputs):
            paths = {p for p in paths if graph.size(graph.variables[p]) > 1}
            # Where nothing goes out, another use may decide.
            (unknown if place in live else dead).update(paths)
    read = _read(graph, origins, live)
    layers = [_with_uses(same, live) for same in found.values()]
    # A code book: distances to it only choose, what is read of it are its rows.
    tables = {one.kernel for one in layers if not one.is_live and one.kernel in read}
    layers = [
        one._replace(bias=None) if one.bias in unknown else one
        for one in layers
        if one.kernel not in unknown | tables
    ]
    layers.sort(key=lambda layer: layer.place)
    known = _made_into_kernels(graph, origins, layers)
    return tuple(layers), frozenset(unknown | (dead - known - tables))


def read_no_images(
    graph: Graph,
    origins: Origins,
    layers: tuple[Operation, ...],
    unknown: frozenset[Path],
) -> frozenset[Path]:
    """Find the kernels that read no images: those of a time, or of a null condition.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        layers: its operations.
        unknown: parameters that weigh the images in a way that is not known.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x + jnp.ones((4, 3)) @ p["params", "w"],
        ...     {("params", "w"): jnp.ones((3, 3))},
        ...     jnp.ones((4, 3)),
        ... )
        >>> read_no_images(traced, graph.find_origins(traced), (), frozenset())
        frozenset({('params', 'w')})
    """
    found = {
        path
        for node in graph.nodes
        if node.name != "gather"
        and _contracts(node)
        and not any(origins.of_images[value] for value in node.inputs)
        for path in _weights_among(graph, origins, node)
    }
    return frozenset(found - unknown - _made_into_kernels(graph, origins, layers))


def _weights_among(graph: Graph, origins: Origins, node: Node) -> set[Path]:
    """Tell kernels from what they are multiplied with, where that can be told.

    A kernel comes as it is; what a token or another kernel gives is computed.
    """
    made_of = {
        value: {path for path in origins.variables[value] if path[0] == "params"}
        for value in node.inputs
    }
    bare = {
        path
        for value, paths in made_of.items()
        for path in paths
        if len(paths) == 1 and graph.size(graph.variables[path]) == graph.size(value)
    }
    found = bare or set().union(*made_of.values())
    return {p for p in found if len(graph.shapes[graph.variables[p]].shape) > 1}


def _made_into_kernels(
    graph: Graph, origins: Origins, layers: Iterable[Operation]
) -> set[Path]:
    """Collect kernels, biases, and what goes into weights, as a weight norm's scale."""
    biases = {layer.bias for layer in layers if layer.bias is not None}
    return biases | {
        path
        for layer in layers
        for value in graph.nodes[layer.place].inputs
        for path in origins.variables[value]
    }


def _read(graph: Graph, origins: Origins, live: set[int]) -> set[Path]:
    """Collect the variables of which numbers reach the outputs."""
    values = {value for place in live for value in graph.nodes[place].inputs}
    return {path for value in values for path in origins.variables[value]}


def _with_bias(
    graph: Graph, origins: Origins, users: dict[int, list[int]], layer: Operation
) -> Operation:
    """Find what is added right behind an operation."""
    output = Output(layer.outputs, layer.features, layer.across)
    width, parts = layer.shape[-1], layer.parts
    bias, output = find_bias(graph, origins, users, output, width, parts)
    return layer._replace(bias=bias, **output._asdict())


def _with_uses(same: list[Operation], live: set[int]) -> Operation:
    """Make one operation of all uses of a kernel, of those that count."""
    counted = [layer for layer in same if layer.place in live]
    first, *others = counted or same
    again = tuple(use for layer in others for use in layer.uses)
    return first._replace(again=again, is_live=bool(counted))


def _contracts(node: Node) -> bool:
    """Tell whether numbers of different places may meet in a node under weights."""
    if node.name.startswith("custom_"):
        # A derivative of the user's own; activations have such as well.
        inner = {str(e.primitive) for e in jaxprs.inner_equations(node.equation)}
        return not inner.isdisjoint(CONTRACTIONS)
    return node.name in (*CONTRACTIONS, "gather", "scan", "while", "cond")


def _is_lookup(
    graph: Graph, origins: Origins, made_by: dict[int, int], node: Node
) -> bool:
    """Tell whether a node takes rows of a table: vectors that images may choose.

    A matrix that images choose weighs other images: that is a kernel.
    """
    if node.name == "dot_general":
        return _takes_rows(graph, origins, made_by, node)
    if node.name != "gather":
        return False
    table, places = node.inputs
    numbers = node.equation.params["dimension_numbers"]
    vectors = len(numbers.offset_dims) <= 1
    return not origins.of_images[places] or (vectors and not origins.of_images[table])


def _takes_rows(
    graph: Graph, origins: Origins, made_by: dict[int, int], node: Node
) -> bool:
    """Tell whether a product takes rows of a table: by `one_hot` of places."""
    moved = [value for value in node.inputs if origins.of_images[value]]
    tables = [value for value in node.inputs if not origins.of_images[value]]
    if len(moved) != 1 or len(graph.shapes[tables[0]].shape) != 2:
        return False
    (value,) = moved
    while value in made_by:
        maker = graph.nodes[made_by[value]]
        if maker.name == "eq":
            kinds = [graph.shapes[v].dtype.kind for v in maker.inputs]
            return all(kind in "iu" for kind in kinds)
        if maker.name not in ("convert_element_type", *_PASSES):
            return False
        value = maker.inputs[0]
    return False
