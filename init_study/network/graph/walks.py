"""Ways through a graph between two values, and the layers on them."""

from collections.abc import Callable, Mapping, Set
from typing import NamedTuple

from init_study.network.graph.contractions import Operation, Use
from init_study.network.graph.dataflow import Graph, Origins, live_places, producers


class Ways(NamedTuple):
    """A graph with what walks through it need.

    Attributes:
        graph: of a network's call.
        origins: what its values come from.
        made_by: the place of the node that makes each value.
        users: the places of the nodes that read each value, of those that count.
        uses: of the layers' kernels, in the order of execution, of those that count.
        live: the places that count: whose numbers reach the outputs.
        above: for each value of the images, what it depends on and itself, as bits.
    """

    graph: Graph
    origins: Origins
    made_by: Mapping[int, int]
    users: Mapping[int, list[int]]
    uses: tuple[Use, ...]
    live: Set[int]
    above: Mapping[int, int]

    def depends(self, value: int, on: int) -> bool:
        """Tell whether a value depends on another, or is that one."""
        return bool(self.above[value] >> on & 1)

    def fork(self, values: list[int]) -> int:
        """Find the last value that all values depend on.

        Values are numbered as they are made; the images come before all others.
        """
        common = self.above[values[0]] & ~(1 << self.graph.images)
        for value in values[1:]:
            common &= self.above[value]
        return common.bit_length() - 1 if common else self.graph.images

    def uses_between(self, value: int, fork: int) -> list[Use]:
        """List the uses of kernels that a value depends on, and that do on the fork."""
        between = self.above[value] & ~self.above[fork]
        return [
            use
            for use in self.uses
            if between >> use.result & 1 and self.depends(use.result, fork)
        ]

    def shortest(self, value: int, fork: int) -> int:
        """Count layers on the shortest way from fork to value; many if none."""
        found = self._steps(value, fork, min)
        return len(self.graph.nodes) if found is None else found

    def longest(self, value: int, fork: int) -> int:
        """Count layers on the longest way from fork to value; 1 if none."""
        found = self._steps(value, fork, max)
        return 1 if found is None else found

    def leaves_only_by(self, value: int, gate: int) -> bool:
        """Tell whether a value reaches the outputs through another one alone."""
        seen, open_values = {value, gate}, [value]
        while open_values:
            current = open_values.pop()
            if current in self.graph.outputs:
                return False
            for place in self.users.get(current, ()):
                new = set(self.graph.nodes[place].outputs) - seen
                seen |= new
                open_values += new
        return True

    def comes_by(self, value: int, fork: int) -> bool:
        """Tell whether all ways from the images to a value go through another one."""
        seen, open_values = {fork, value}, [value] if value != fork else []
        while open_values:
            current = open_values.pop()
            if current == self.graph.images:
                return False
            if current in self.made_by:
                node = self.graph.nodes[self.made_by[current]]
                new = {v for v in node.inputs if self.origins.of_images[v]} - seen
                seen |= new
                open_values += new
        return True

    def _steps(
        self, value: int, fork: int, choose: Callable[[list[int]], int]
    ) -> int | None:
        if value == fork:
            return 0
        places = {use.place for use in self.uses}
        counts = {fork: 0}
        for place in range(self.made_by.get(fork, -1) + 1, self.made_by[value] + 1):
            node = self.graph.nodes[place]
            known = [counts[v] for v in node.inputs if v in counts]
            if known:
                count = choose(known) + (place in places)
                counts.update(dict.fromkeys(node.outputs, count))
        return counts.get(value)


def walk_of(graph: Graph, origins: Origins, layers: tuple[Operation, ...]) -> Ways:
    """Collect what walks through a graph need.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: jnp.tanh(x) + x, {}, jnp.ones(3))
        >>> walk = walk_of(traced, graph.find_origins(traced), ())
        >>> walk.fork(list(traced.nodes[1].inputs)) == traced.images
        True
    """
    above = {value: 1 << value for value in (graph.images, *origins.tokens)}
    for node in graph.nodes:
        bits = 0
        for value in node.inputs:
            if origins.of_images[value]:
                bits |= above[value]
        for value in node.outputs:
            above[value] = bits | (1 << value)
    live = live_places(graph)
    users = {
        value: [place for place in places if place in live]
        for value, places in graph.users().items()
    }
    uses = [use for layer in layers if layer.is_live for use in layer.uses]
    uses.sort(key=lambda use: use.place)
    return Ways(graph, origins, producers(graph), users, tuple(uses), live, above)
