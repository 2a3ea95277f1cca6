"""Parameters that some methods add to residual branches of a finished network.

Methods as SkipInit, LayerScale and Fixup change the forward pass. So what they add is
part of the network, for all schemes alike, at values that change nothing (1 for
factors, 0 for shifts). A scheme may then begin elsewhere.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array

from init_study.errors import UserError, unknown
from init_study.network import graph
from init_study.network.layers import Branch, Layer, Path

# The name under which they are in the tree of parameters.
ADDED = "added"

BRANCHES = {
    "plain": "as the model has them",
    "scalar": "times a trained number each (SkipInit, ReZero)",
    "channel": "times a trained number per channel (LayerScale)",
    "fixup": "times a trained number, and one added around every layer (Fixup)",
}


def added_parameters(
    kind: str, layers: tuple[Layer, ...], branches: tuple[Branch, ...]
) -> dict[Path, Array]:
    """Make the parameters of a kind at their neutral values, by path.

    Args:
        kind: in `BRANCHES`.
        layers: of the network.
        branches: of the network.

    Raises: UserError for an unknown kind or a network without residual branches.

    Example:
        >>> added_parameters("scalar", (), (Branch((0, 1), (), channels=4),))
        {('added', 'branch_0', 'factor'): Array(1., dtype=float32)}
    """
    if kind not in BRANCHES:
        raise unknown("branches", kind, BRANCHES, ", ".join(BRANCHES))
    if kind == "plain":
        return {}
    if not branches:
        raise UserError(
            f"branches={kind!r} adds to residual branches, and this network has none; "
            "use a residual model, e.g. resnet, or branches='plain'"
        )
    added: dict[Path, Array] = {}
    for index, branch in enumerate(branches):
        shape = (branch.channels,) if kind == "channel" else ()
        added[factor_path(index)] = jnp.ones(shape)
        if kind == "fixup":
            added[ADDED, f"branch_{index}", "shift"] = jnp.zeros(())
    if kind == "fixup":
        # Behind the last layer of a branch the branch's own shift is added.
        last = {end for b in branches for end in b.ends or b.layers[-1:]}
        for index in range(len(layers)):
            added[ADDED, f"layer_{index}", "before"] = jnp.zeros(())
            if index not in last:
                added[ADDED, f"layer_{index}", "after"] = jnp.zeros(())
    return added


def factor_path(branch: int) -> Path:
    """Name the path of a branch's factor.

    Example:
        >>> factor_path(2)
        ('added', 'branch_2', 'factor')
    """
    return (ADDED, f"branch_{branch}", "factor")


def with_additions(
    function: Callable[..., Any],
    layers: tuple[Layer, ...],
    branches: tuple[Branch, ...],
) -> Callable[..., Any]:
    """Add the numbers to a function of (variables, images).

    The function that is made takes the added ones in `variables["params"]` as well, and
    computes y = shortcut(x) + factor · branch(x) + shift.

    Args:
        function: (variables, images) -> anything.
        layers: of the training call; a call that lacks some lacks their numbers.
        branches: of the training call, as the layers.
    """
    place_of = {layer.kernel: index for index, layer in enumerate(layers)}
    branches_of: dict[tuple[Path, ...], list[int]] = {}
    for index, branch in enumerate(branches):
        kernels = tuple(layers[i].kernel for i in branch.layers)
        branches_of.setdefault(kernels, []).append(index)

    def changed(variables: Any, images: Array) -> Any:
        flat = traverse_util.flatten_dict(variables)
        added: Any = {path[1:]: v for path, v in flat.items() if path[:2] == _PREFIX}
        plain = {path: v for path, v in flat.items() if path[:2] != _PREFIX}
        traced, structure = graph.make_graph(
            lambda flat, images: function(traverse_util.unflatten_dict(flat), images),
            plain,
            images,
        )
        traced = graph.images_apart(graph.part(traced))
        origins = graph.find_origins(traced)
        found, _ = graph.find_operations(traced, origins)
        sums = _by_branch(graph.find_sums(traced, origins, found), branches_of)
        operations = {
            place_of[operation.kernel[1:]]: operation
            for operation in found
            if operation.kernel[1:] in place_of
        }
        feeds = {**_before(operations, added), **_summands(sums, branches, added)}
        after = {
            use.outputs: added[path]
            for index, operation in operations.items()
            for use in operation.uses
            if (path := (ADDED, f"layer_{index}", "after")) in added
        }
        out = graph.compute(
            traced,
            plain,
            images,
            traced.outputs,
            lambda value, x: x + after[value] if value in after else x,
            lambda place, inputs: feeds[place](inputs) if place in feeds else inputs,
        )
        return jax.tree.unflatten(structure, out)

    return changed


_PREFIX = ("params", ADDED)
_Feed = Callable[[list[Any]], list[Any]]


def _by_branch(
    sums: tuple[graph.ResidualSum, ...],
    branches_of: Mapping[tuple[Path, ...], list[int]],
) -> dict[int, graph.ResidualSum]:
    """Find the sum of each branch; blocks of one kernel are told apart by order."""
    left = {kernels: iter(same) for kernels, same in branches_of.items()}
    found: dict[int, graph.ResidualSum] = {}
    for residual in sums:
        kernels = tuple(path[1:] for path in residual.layers)
        index = next(left.get(kernels, iter(())), None)
        if index is not None:
            found[index] = residual
    return found


def _before(
    operations: Mapping[int, graph.Operation], added: Mapping[Path, Array]
) -> dict[int, _Feed]:
    """Make, by place, the functions that shift what layers read."""

    def feed(shifted: int, shift: Array) -> _Feed:
        return lambda inputs: [
            x + shift if side == shifted else x for side, x in enumerate(inputs)
        ]

    return {
        use.place: feed(use.side, added[path])
        for index, operation in operations.items()
        for use in operation.uses
        if (path := (ADDED, f"layer_{index}", "before")) in added
    }


def _summands(
    sums: Mapping[int, graph.ResidualSum],
    branches: tuple[Branch, ...],
    added: Mapping[Path, Array],
) -> dict[int, _Feed]:
    """Make, by place, the functions that change the branch's side of sums."""
    feeds: dict[int, _Feed] = {}
    for index, residual in sums.items():
        changes: dict[int, dict[int, Callable[[Array], Array]]] = {}
        for number, term in enumerate(residual.summands):
            # Of several paths the first takes the branch's shift along.
            shift = added.get((ADDED, f"branch_{index}", "shift"))
            changes.setdefault(term.place, {})[term.side] = _change(
                added[factor_path(index)],
                branches[index].axis,
                None if number else shift,
            )
        for place, by_side in changes.items():
            feeds[place] = _feed(by_side)
    return feeds


def _change(factor: Array, axis: int, shift: Array | None) -> Callable[[Array], Array]:
    def change(x: Array) -> Array:
        scaled = x * _along(factor, axis, x.ndim)
        return scaled if shift is None else scaled + shift

    return change


def _feed(changes: Mapping[int, Callable[[Array], Array]]) -> _Feed:
    return lambda inputs: [
        changes[side](x) if side in changes else x for side, x in enumerate(inputs)
    ]


def _along(factor: Array, axis: int, rank: int) -> Array:
    """Shape a factor per channel for sums of so many axes; one of all stays as it is.

    Args:
        factor: `[channels]` or `[]`.
        axis: of the channels, counted from the end.
        rank: of the sum.
    """
    others = [place for place in range(-rank, 0) if place != axis]
    return jnp.expand_dims(factor, others) if factor.ndim else factor
