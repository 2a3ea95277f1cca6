"""What the axes of a value stand for: images, places of an image, or channels.

An ensemble has one shape for all values of a network. What a layer, a sum or a reshape
does to it depends on the axes that the network's own value has there. So the roles of
these axes are carried from node to node beside the ensemble.
"""

from typing import Any

from init_study.network import graph

BATCH, SPACE, CHANNEL = "batch", "space", "channel"
# Channels of all places in one axis, as a reshape to `[n, features]` makes them.
FLAT = "flat"
Roles = tuple[str, ...]


def roles_after_layer(
    traced: graph.Graph, node: Any, layer: graph.Operation, given: Roles
) -> Roles:
    """Tell what the axes of a layer's result stand for.

    Args:
        traced: the graph.
        node: of the layer's operation.
        layer: the operation.
        given: the roles of the value that it reads.
    """
    if layer.kind == "conv":
        out = node.equation.params["dimension_numbers"].out_spec
        roles = [SPACE] * len(out)
        roles[out[0]], roles[out[1]] = BATCH, CHANNEL
        return tuple(roles)
    contracted = node.equation.params["dimension_numbers"][0][layer.side]
    kept = [role for axis, role in enumerate(given) if axis not in contracted]
    new = [CHANNEL] * (len(traced.shapes[node.outputs[0]].shape) - len(kept))
    return tuple(kept + new if layer.side == 0 else new + kept)


def roles_after_node(
    node: Any,
    shapes: list[tuple[int, ...]],
    roles: list[Roles | None],
    shape: tuple[int, ...],
) -> Roles:
    """Tell what the axes of the result of any other node stand for.

    Args:
        node: of the graph.
        shapes: of its inputs.
        roles: of its inputs; None for what does not depend on the images.
        shape: of its result.
    """
    name, params = node.name, node.equation.params
    known = [(s, r) for s, r in zip(shapes, roles, strict=True) if r is not None]
    if not known:
        # Of a token that is learned nothing else is known.
        return _guessed(len(shape))
    # A value of fewer axes is broadcast: the one with the most says what they are.
    before, given = max(known, key=lambda pair: len(pair[0]))
    if name == "transpose":
        return tuple(given[axis] for axis in params["permutation"])
    if (name.startswith("reduce_") or name == "psum") and "axes" in params:
        return tuple(r for a, r in enumerate(given) if a not in params["axes"])
    if name == "squeeze":
        return tuple(r for a, r in enumerate(given) if a not in params["dimensions"])
    if name == "broadcast_in_dim":
        made = [SPACE] * len(shape)
        for axis, place in enumerate(params["broadcast_dimensions"]):
            made[place] = given[axis]
        return tuple(made)
    if name == "reshape":
        return _reshaped(before, given, shape)
    return tuple(given) if len(given) == len(shape) else _guessed(len(shape))


def _reshaped(before: tuple[int, ...], given: Roles, shape: tuple[int, ...]) -> Roles:
    """Keep the roles of the axes that keep their sizes, counted from the left.

    The other axes hold channels, if the old ones do.
    """
    kept = 0
    while kept < min(len(before), len(shape)) and before[kept] == shape[kept]:
        kept += 1
    rest = given[kept:]
    wide = {r for r, size in zip(rest, before[kept:], strict=True) if size > 1}
    if FLAT in wide or {SPACE, CHANNEL} <= wide:
        new = [FLAT]
    else:
        new = [CHANNEL if CHANNEL in rest or not rest else rest[0]]
    return tuple(given[:kept]) + tuple(new * (len(shape) - kept))


def _guessed(rank: int) -> Roles:
    """Assume the usual order where an operation says nothing: images first."""
    if rank == 0:
        return ()
    if rank == 1:
        return (CHANNEL,)
    return (BATCH, *[SPACE] * (rank - 2), CHANNEL)
