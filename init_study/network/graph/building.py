"""`make_graph`: from a function to its graph, loops of known length unrolled.

A loop over blocks, as `nn.scan` makes it, becomes the blocks one behind the other:

    scan[jaxpr={ lambda ; x w. let c = conv x w; y = max c 0.0 in (y,) } length=2] x w
    unrolled:  c = conv x w[0]; y = max c 0.0; d = conv y w[1]; z = max d 0.0
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn, primitives

from init_study import jaxprs
from init_study.network.graph.dataflow import CONTRACTIONS, Graph, Node, Path
from init_study.network.graph.repeated import has_same_derivative, said_of

# A loop of more equations stays a single node: the graph would be slow to read.
_MOST_EQUATIONS = 10_000


def make_graph(
    function: Callable[..., Any], variables: Mapping[Path, Any], images: Any
) -> tuple[Graph, Any]:
    """Trace `function(variables, images)`.

    Calls of compiled and of rematerialized functions are taken apart, and loops of
    known length with a convolution or a product inside are unrolled; other loops,
    branches and functions with derivatives of their own stay single nodes. What is
    computed twice of the same values is one value, products with kernels aside.

    Args:
        function: of both, to anything.
        variables: a flat dict, by path.
        images: an array, or its shape and dtype.

    Returns: the graph, and the structure of the function's result.

    Example:
        >>> variables = {("params", "w"): jnp.ones((3, 2))}
        >>> graph, _ = make_graph(
        ...     lambda p, x: jnp.tanh(x @ p["params", "w"]), variables, jnp.ones((4, 3))
        ... )
        >>> [node.name for node in graph.nodes]
        ['dot_general', 'tanh']
    """
    traced, shape = jax.make_jaxpr(function, return_shape=True)(dict(variables), images)
    building = _Building()
    values = [building.value(var.aval) for var in traced.jaxpr.invars]
    outputs = jaxprs.interpret(traced, (), values, building.add, building.constant)
    # A dict's leaves come in the order of its sorted keys.
    paths = sorted(variables)
    graph = Graph(
        nodes=tuple(building.nodes),
        constants=building.constants,
        shapes=tuple(building.shapes),
        variables=dict(zip(paths, values[: len(paths)], strict=True)),
        images=values[-1],
        outputs=tuple(outputs),
        sliced=frozenset(building.sliced),
    )
    return graph, jax.tree.structure(shape)


class _Building:
    """A graph that grows: numbers are given out in order."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[int, Any] = {}
        self.shapes: list[jax.ShapeDtypeStruct] = []
        self.sliced: set[int] = set()
        # What is a stack of other values, along the first axis.
        self.stacks: dict[int, list[int]] = {}
        # Places of nodes by what they compute: the same is not computed again.
        self.computed: dict[Hashable, list[int]] = {}

    def value(self, aval: Any) -> int:
        dtype = aval.dtype
        self.shapes.append(jax.ShapeDtypeStruct(getattr(aval, "shape", ()), dtype))
        return len(self.shapes) - 1

    def constant(self, value: Any, aval: Any) -> int:
        number = self.value(aval)
        self.constants[number] = value
        return number

    def add(self, equation: JaxprEqn, inputs: list[int]) -> list[int]:
        if equation.primitive is primitives.scan_p and _is_unrolled(equation):
            return self.unrolled(equation, inputs)
        said = said_of(equation, inputs, self.constants)
        if said is not None:
            places = self.computed.setdefault(said, [])
            for place in places:
                if has_same_derivative(self.nodes[place].equation, equation):
                    return [*self.nodes[place].outputs]
            places.append(len(self.nodes))
        results = [self.value(var.aval) for var in equation.outvars]
        self.nodes.append(Node(equation, tuple(inputs), tuple(results)))
        if str(equation.primitive) == "stack" and equation.params["axis"] == 0:
            self.stacks[results[0]] = inputs
        return results

    def unrolled(self, equation: JaxprEqn, inputs: list[int]) -> list[int]:
        """Add the body of a loop as many times as it runs."""
        params = equation.params
        consts, carried = _count_parts(equation)
        fixed, sequences = inputs[:consts], inputs[consts + carried :]
        carry = inputs[consts : consts + carried]
        self.sliced.update(sequences)
        rows: dict[int, list[int]] = {}
        order = range(params["length"])
        for step in reversed(order) if params["reverse"] else order:
            slices = [self.slice(value, step) for value in sequences]
            given = [*fixed, *carry, *slices]
            made = jaxprs.interpret(params["jaxpr"], (), given, self.add, self.constant)
            carry, rows[step] = made[:carried], made[carried:]
        # What nobody reads is not put together: it would count as a reader.
        ys = [
            self.value(var.aval)
            if _is_dropped(var)
            else self.call(lambda *xs: jnp.stack(xs), *(rows[s][place] for s in order))
            for place, var in enumerate(equation.outvars[carried:])
        ]
        return [*carry, *ys]

    def slice(self, value: int, place: int) -> int:
        """Find one slice of a value along its first axis."""
        if value in self.stacks:
            return self.stacks[value][place]
        return self.call(lambda x: jax.lax.index_in_dim(x, place, 0, False), value)

    def call(self, function: Callable[..., Any], *values: int) -> int:
        """Add the nodes of a function of values."""
        traced = jax.make_jaxpr(function)(*(self.shapes[value] for value in values))
        (made,) = jaxprs.interpret(traced, (), values, self.add, self.constant)
        return made


def _count_parts(equation: JaxprEqn) -> tuple[int, int]:
    """Count a loop's constants and what it carries, by the shapes alone.

    Its body reads constants, what is carried, and slices; it gives what is carried, and
    slices. JAX's own words for the counts differ between versions.
    """
    body = getattr(equation.params["jaxpr"], "jaxpr", equation.params["jaxpr"])
    outer = zip(equation.invars, body.invars, strict=True)
    sliced = sum(_rank(whole) > _rank(one) for whole, one in outer)
    given = zip(equation.outvars, body.outvars, strict=True)
    carried = sum(_rank(whole) == _rank(one) for whole, one in given)
    return len(equation.invars) - sliced - carried, carried


def _rank(var: Any) -> int:
    return len(getattr(var.aval, "shape", ()))


def _is_unrolled(equation: JaxprEqn) -> bool:
    """Tell whether a loop may hold layers, and is short enough."""
    inner = [str(e.primitive) for e in jaxprs.inner_equations(equation)]
    length = equation.params["length"]
    few = 0 < length and length * len(inner) <= _MOST_EQUATIONS
    return few and not set(CONTRACTIONS).isdisjoint(inner)


def _is_dropped(var: Any) -> bool:
    """Tell whether a result of an equation is never read."""
    return type(var).__name__ == "DropVar"
