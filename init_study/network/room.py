"""Whether a network's variables fit into memory, from their shapes alone."""

from math import prod
from typing import Any

import jax

from init_study.errors import UserError
from init_study.host import available_bytes

# Numbers of a kernel are told apart by their places, in int32.
_MOST_NUMBERS = 2**31 - 1
# Copies of the largest parameter, in bytes, that following a net takes for a moment:
# places of its numbers in int32, and two of int64.
_COPIES = 4


def check_room(variables: Any, name: str) -> None:
    """Refuse variables for which there is no room, before any is made.

    Args:
        variables: a tree of shapes and types.
        name: of the module, for people.

    Raises: UserError with the bytes that are needed, and those that are free.

    Example:
        >>> shapes = {"kernel": jax.ShapeDtypeStruct((3, 3, 8, 8), "float32")}
        >>> check_room(shapes, "net")
    """
    sizes = [
        (prod(leaf.shape), leaf.dtype.itemsize) for leaf in jax.tree.leaves(variables)
    ]
    most = max((count for count, _ in sizes), default=0)
    if most > _MOST_NUMBERS:
        raise UserError(
            f"{name} has a parameter of {most:,} numbers; the most are "
            f"{_MOST_NUMBERS:,}: make it narrower"
        )
    held = [count * width for count, width in sizes]
    needed = max(sum(held), _COPIES * max(held, default=0))
    free = available_bytes()
    if free is not None and needed > free:
        raise UserError(
            f"{name} has variables of {sum(held):,} bytes, and takes {needed:,} to be "
            f"followed; {free:,} bytes of memory are free: make it narrower or less "
            "deep"
        )
