"""Which layer reads which: what rules need to compare a layer with the one before.

A net is no chain: paths are parallel (Inception), numbers are kept for later (DenseNet,
U-Net), shortcuts go around branches. Two layers are compared as neighbours only where
the second reads the first and nothing else, and nobody else reads the first. Over the
whole depth only layers of the trunk are compared: those through which every way from
the images to the result goes. No layer of a residual branch is one, nor of a shortcut,
a gate, or one of several parallel paths: what is small there is so by design, or has
others beside it that are not.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from init_study.diagnosis.seen import Seen
from init_study.keys import fixed_key
from init_study.network import Forward, Network, trace_forward

# Stand among indices of layers.
IMAGES, RESULT = -1, -2
# A norm leaves a mean square of 1, of which an activation and sums take or add some.
_RENEWED = 100.0
# Of what is kept with a network.
_FLOW = "audit flow"


class Flow(NamedTuple):
    """Ways through a network, by indices of its layers.

    Attributes:
        reads: of each layer, the layers whose outputs reach it with no other layer in
            between; `IMAGES` stands for the images.
        read_by: of each layer, those that read it so; `RESULT` for the result.
        trunk: the layers through which all ways from the images to the result go.
        renewed: of each layer, whether a norm stands on a way to it, behind the layers
            that it reads: what is before it has no part in the scale of what it reads.
        dtypes: of each layer's output.
    """

    reads: tuple[frozenset[int], ...]
    read_by: tuple[frozenset[int], ...]
    trunk: tuple[int, ...]
    renewed: tuple[bool, ...]
    dtypes: tuple[np.dtype, ...]

    @property
    def hidden(self) -> tuple[int, ...]:
        """The trunk without the layer that gives the result."""
        return tuple(i for i in self.trunk if RESULT not in self.read_by[i])

    @property
    def stretches(self) -> tuple[tuple[int, ...], ...]:
        """The hidden trunk, cut where norms stand between one layer and the next."""
        found: list[tuple[int, ...]] = []
        for index in self.hidden:
            before = found[-1][-1] if found else -1
            if not found or any(self.renewed[before + 1 : index + 1]):
                found.append(())
            found[-1] += (index,)
        return tuple(found)

    def is_followed_by_norm(self, index: int) -> bool:
        """Tell whether the scale of a layer's output has no effect on its readers."""
        readers = [at for at in self.read_by[index] if at >= 0]
        return bool(readers) and all(self.renewed[at] for at in readers)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Neighbours: the second reads the first alone, and is its only reader."""
        return tuple(
            (before, index)
            for index, reads in enumerate(self.reads)
            if len(reads) == 1
            for before in reads
            if before >= 0 and self.read_by[before] == {index}
        )


def flow_of(seen: Seen) -> Flow:
    """Find which layer reads which in what was seen.

    A norm counts where it works: behind a signal that is smaller than its epsilon, and
    for a response norm that adds 1 to such squares, the scale stays as it is.

    Args:
        seen: of a set-up.
    """
    flow = trace_flow(seen.set_up.network)
    renewed = tuple(
        norm and 1 / _RENEWED < square < _RENEWED
        for norm, square in zip(flow.renewed, seen.first.layers.inputs, strict=True)
    )
    return flow._replace(renewed=renewed)


def trace_flow(network: Network) -> Flow:
    """Find which layer reads which, by the graph alone.

    Args:
        network: a traced network; what is found is kept with it.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> net = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(4), nn.Dense(2)])
        >>> flow = trace_flow(trace(net, (3,)))
        >>> flow.trunk, flow.hidden, flow.pairs
        ((0, 1, 2), (0, 1), ((0, 1), (1, 2)))
    """
    if _FLOW not in network.passes:
        params: Any = traverse_util.unflatten_dict(dict(network.shapes))
        state = jax.eval_shape(network.model_state, fixed_key(0))
        # Some nets refuse a batch of one, as theirs is an even number.
        images = jax.ShapeDtypeStruct((2, *network.image_shape), jnp.float32)
        forward = trace_forward(network, params, state, images, dropout=False)
        network.passes[_FLOW] = _flow(forward)
    return network.passes[_FLOW]


def _flow(forward: Forward) -> Flow:
    """Walk a graph once, from the images to the result."""
    traced, layers = forward.traced, forward.layers
    layer_at = {use.place: i for i, one in enumerate(layers) for use in one.uses}
    # Of each value that depends on the images: the layers read last on the ways to it,
    # and those that lie on all of these ways.
    last = {traced.images: frozenset([IMAGES])}
    always: dict[int, frozenset[int]] = {traced.images: frozenset()}
    reads: list[frozenset[int]] = [frozenset()] * len(layers)
    # A norm behind an activation is known by the root that it takes of the signal.
    rooted: set[int] = set()
    renewed = [False] * len(layers)
    for place, node in enumerate(traced.nodes):
        known = [value for value in node.inputs if value in last]
        if not known:
            continue
        read, needed = _joined(last, known), _met(always, known)
        root = node.name in ("rsqrt", "sqrt") or not rooted.isdisjoint(known)
        if place in layer_at:
            index = layer_at[place]
            reads[index] |= read
            renewed[index] |= root
            read, needed, root = frozenset([index]), needed | {index}, False
        if root:
            rooted.update(node.outputs)
        last.update(dict.fromkeys(node.outputs, read))
        always.update(dict.fromkeys(node.outputs, needed))
    results = [value for value in traced.outputs if value in last]
    final = _joined(last, results)
    return Flow(
        reads=tuple(reads),
        read_by=tuple(
            frozenset(at for at, read in enumerate(reads) if index in read)
            | (frozenset([RESULT]) if index in final else frozenset())
            for index in range(len(layers))
        ),
        trunk=tuple(sorted(_met(always, results))) if results else (),
        renewed=tuple(renewed),
        dtypes=tuple(np.dtype(traced.shapes[one.outputs].dtype) for one in layers),
    )


def _joined(sets: dict[int, frozenset[int]], keys: Sequence[int]) -> frozenset[int]:
    return frozenset().union(*(sets[key] for key in keys))


def _met(sets: dict[int, frozenset[int]], keys: Sequence[int]) -> frozenset[int]:
    return reduce(frozenset.intersection, (sets[key] for key in keys))
