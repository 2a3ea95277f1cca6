"""What images are padded by before a convolution, which then knows nothing of it."""

from init_study.network.graph.contractions import Operation
from init_study.network.graph.dataflow import Graph, producers


def padded_before(graph: Graph, found: Operation) -> tuple[tuple[int, int], ...]:
    """Find by how much the images are padded right before a convolution.

    Flax's causal padding is such a `pad`:

        c = pad x 0.0
        d = conv_general_dilated c w

    Returns: low and high of each spatial axis; empty where nothing is padded.
    """
    place = producers(graph).get(found.inputs)
    if found.kind != "conv" or place is None or graph.nodes[place].name != "pad":
        return ()
    widths = graph.nodes[place].equation.params["padding_config"]
    numbers = graph.nodes[found.place].equation.params["dimension_numbers"]
    chosen = (widths[axis] for axis in numbers.lhs_spec[2:])
    return tuple((int(low), int(high)) for low, high, _ in chosen)
