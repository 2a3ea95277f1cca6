"""A traced function as a flat list of nodes, and what each value in it comes from."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from init_study import jaxprs

Path = tuple[str, ...]

# The names of what sums products, as layers do.
CONTRACTIONS = ("conv_general_dilated", "dot_general")


class Node(NamedTuple):
    """One equation; values are numbered across the whole graph.

    Attributes:
        equation: of the jaxpr.
        inputs: the values that it reads.
        outputs: the values that it makes.
    """

    equation: JaxprEqn
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name of its primitive, e.g. `add`."""
        return str(self.equation.primitive)


class Graph(NamedTuple):
    """A traced function of variables (by path) and one array.

    Attributes:
        nodes: in the order of execution.
        constants: by value.
        shapes: shape and dtype by value.
        variables: the value of each variable.
        images: the value of the array.
        outputs: flat.
        sliced: values that loops read slice by slice, along the first axis.
    """

    nodes: tuple[Node, ...]
    constants: dict[int, Any]
    shapes: tuple[jax.ShapeDtypeStruct, ...]
    variables: dict[Path, int]
    images: int
    outputs: tuple[int, ...]
    sliced: frozenset[int] = frozenset()

    def size(self, value: int) -> int:
        """Count the numbers of a value."""
        return self.shapes[value].size

    def users(self) -> dict[int, list[int]]:
        """List, for each value, the places of the nodes that read it."""
        found: dict[int, list[int]] = {}
        for place, node in enumerate(self.nodes):
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(place)
        return found


def compute(
    graph: Graph,
    variables: Mapping[Path, Any],
    images: Any,
    wanted: tuple[int, ...],
    replace: Callable[[int, Any], Any] | None = None,
    feed: Callable[[int, list[Any]], list[Any]] | None = None,
) -> list[Any]:
    """Compute the wanted values for these variables and images, and nothing else.

    Args:
        graph: of a function.
        variables: by path.
        images: what the function reads; None where no wanted value depends on them.
        wanted: values of the graph.
        replace: (value, computed) -> what all that follows shall see in its place.
        feed: (place, inputs) -> what the node at this place alone shall see.

    Example:
        >>> from init_study.network.graph import make_graph
        >>> graph, _ = make_graph(lambda p, x: (x + 1.0) * 2.0, {}, 3.0)
        >>> float(compute(graph, {}, 3.0, graph.outputs)[0])
        8.0
        >>> middle = graph.nodes[0].outputs[0]
        >>> halved = lambda value, x: x / 2 if value == middle else x
        >>> float(compute(graph, {}, 3.0, graph.outputs, halved)[0])
        4.0
    """
    values: dict[int, Any] = dict(graph.constants)
    places = needed_places(graph, wanted)
    values[graph.images] = images
    values.update({graph.variables[path]: leaf for path, leaf in variables.items()})
    for place, node in enumerate(graph.nodes):
        if place not in places:
            continue
        inputs = [values[value] for value in node.inputs]
        results = run_node(node, feed(place, inputs) if feed else inputs)
        for value, result in zip(node.outputs, results, strict=True):
            values[value] = replace(value, result) if replace else result
    return [values[value] for value in wanted]


def run_node(node: Node, inputs: list[Any]) -> list[Any]:
    """Compute a node's outputs from its inputs."""
    return jaxprs.bind(node.equation, inputs)


def needed_places(graph: Graph, wanted: tuple[int, ...]) -> set[int]:
    """Find the nodes that the wanted values depend on."""
    open_values, places = set(wanted), set()
    for place in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[place]
        if open_values.intersection(node.outputs):
            places.add(place)
            open_values.update(node.inputs)
    return places


def live_places(graph: Graph, comparisons: bool = False) -> set[int]:
    """Find the nodes whose numbers reach the outputs, and not as a choice alone.

    Of what the place of the least, an order or a comparison is found from, no number
    goes on, and no gradient comes back.

    Args:
        graph: of a network's call.
        comparisons: True to follow what is compared as well: all of `where(|x| > 1, x,
            0)` is one function of x.

    Example:
        >>> from init_study.network.graph import make_graph
        >>> def nearest(p, x):
        ...     return x + jnp.arange(3.0)[jnp.argmin(x * x)]
        >>> graph, _ = make_graph(nearest, {}, jnp.ones(3))
        >>> squares = next(i for i, n in enumerate(graph.nodes) if n.name == "mul")
        >>> squares in needed_places(graph, graph.outputs)
        True
        >>> squares in live_places(graph)
        False
    """
    open_values, places = set(graph.outputs), set()
    for place in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[place]
        wanted = open_values.intersection(node.outputs)
        if not wanted:
            continue
        places.add(place)
        chooses = wanted.isdisjoint(graph.outputs) and _chooses(graph, node, wanted)
        if chooses and comparisons:
            chooses = not all(graph.shapes[v].dtype == bool for v in wanted)
        inputs = [v for v in node.inputs if not (chooses and _is_float(graph, v))]
        open_values.update(inputs)
    return places


def _chooses(graph: Graph, node: Node, wanted: set[int]) -> bool:
    """Tell whether of a node only places or yes and no are wanted.

    Numbers that are rounded to integers are numbers still.
    """
    if any(_is_float(graph, value) for value in wanted):
        return False
    is_bool = all(graph.shapes[value].dtype == bool for value in wanted)
    return is_bool or node.name not in ("convert_element_type", "bitcast_convert_type")


def _is_float(graph: Graph, value: int) -> bool:
    return jnp.issubdtype(graph.shapes[value].dtype, jnp.inexact)


class Origins(NamedTuple):
    """What each value comes from.

    Attributes:
        of_images: whether it depends on the images, or on a parameter that the network
            treats as it treats images: a token that is learned.
        variables: for the others, the variables that they are made of.
        tokens: the values of such parameters.
    """

    of_images: tuple[bool, ...]
    variables: tuple[frozenset[Path], ...]
    tokens: frozenset[int] = frozenset()


def origins_beside(graph: Graph, tokens: frozenset[int]) -> Origins:
    """Find what each value comes from; tokens count as images.

    Args:
        graph: of a network's call.
        tokens: values of parameters.

    Example:
        >>> from init_study.network.graph import make_graph
        >>> graph, _ = make_graph(lambda p, x: p["w",] + 1.0, {("w",): 2.0}, 3.0)
        >>> token = frozenset([graph.variables["w",]])
        >>> origins_beside(graph, token).of_images[graph.outputs[0]]
        True
    """
    of_images = [False] * len(graph.shapes)
    variables: list[frozenset[Path]] = [frozenset()] * len(graph.shapes)
    for value in (graph.images, *tokens):
        of_images[value] = True
    for path, value in graph.variables.items():
        variables[value] = frozenset() if value in tokens else frozenset([path])
    for node in graph.nodes:
        moved = any(of_images[value] for value in node.inputs)
        made_of = frozenset().union(*(variables[value] for value in node.inputs))
        for value in node.outputs:
            of_images[value] = moved
            variables[value] = frozenset() if moved else made_of
    return Origins(tuple(of_images), tuple(variables), tokens)


def producers(graph: Graph) -> dict[int, int]:
    """Find, for each value, the place of the node that makes it."""
    return {
        value: place for place, node in enumerate(graph.nodes) for value in node.outputs
    }
