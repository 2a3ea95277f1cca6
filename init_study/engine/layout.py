"""Where members lie on the devices: in places, of which a run may leave some empty.

A compiled program serves every number of members that its places hold. So a population
of small nets has places to spare, and a run, its fresh seeds and the next study of the
same program share one compilation.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int

from init_study.engine.devices import (
    bytes_per_device,
    padded_size,
    put_on_members,
)

# Places of a population, as long as all of them take no more than these bytes, and no
# more than this share of what the devices have left.
_SPARE_PLACES = 256
_SPARE_BYTES = 64 * 2**20
_SPARE_SHARE = 1 / 32
# Seeds come in so many, as long as what is held of them takes no more than these bytes.
_SPARE_SEEDS = 16
_SPARE_SEED_BYTES = 16 * 2**20


class Layout(NamedTuple):
    """The places of a population.

    Each device has the same number; its members come first, in full chunks.

    Attributes:
        mesh: of all devices.
        chunk_width: of the program.
        members: how many there are.
        places: of each device.
    """

    mesh: Mesh
    chunk_width: int
    members: int
    places: int

    @property
    def filled(self) -> int:
        """Count the places of each device that are computed."""
        return padded_size(self.members, self.mesh, self.chunk_width) // self.mesh.size

    @property
    def chunks(self) -> Int[Array, ""]:
        """Count the chunks of each device that are computed."""
        return jnp.int32(self.filled // self.chunk_width)

    def place(self, tree: Any) -> Any:
        """Put host leaves `[members, ...]` onto the devices.

        The last member is repeated to fill the last chunks; other places hold zeros.
        """

        def place(leaf: Any) -> jax.Array:
            leaf = np.asarray(leaf)
            missing = self.mesh.size * self.filled - len(leaf)
            full = np.concatenate([leaf, np.repeat(leaf[-1:], missing, axis=0)])
            if self.places == self.filled:
                return put_on_members(full, self.mesh)
            by_device = full.reshape(self.mesh.size, self.filled, *leaf.shape[1:])
            spare = (self.mesh.size, self.places - self.filled, *leaf.shape[1:])
            both = np.concatenate([by_device, np.zeros(spare, leaf.dtype)], axis=1)
            return put_on_members(both.reshape(-1, *leaf.shape[1:]), self.mesh)

        return jax.tree.map(place, tree)

    def fetch(self, tree: Any) -> Any:
        """Fetch leaves back to the host, `[members, ...]`.

        Copies: on CPU a plain view would change when the device's buffer is donated.
        Leaf by leaf, so that the host never holds all of them twice.
        """

        def members(there: jax.Array) -> np.ndarray:
            leaf = jax.device_get(there)
            by_device = leaf.reshape(self.mesh.size, self.places, *leaf.shape[1:])
            filled = self.mesh.size * self.filled
            full = by_device[:, : self.filled].reshape(filled, *leaf.shape[1:])
            return np.array(full[: self.members])

        return jax.tree.map(members, tree)


def lay_out(
    members: int, member_bytes: int, mesh: Mesh, chunk_width: int, most: int = 0
) -> Layout:
    """Choose the places of a population: as many as members, for small nets more.

    Args:
        members: how many there are.
        member_bytes: of one member's training state.
        mesh: of `member_mesh`.
        chunk_width: of the program.
        most: members of another population that there is room for: this one has no
            fewer places, and its compiled programs are those of the other.

    Example:
        >>> from init_study.engine.devices import member_mesh
        >>> mesh = member_mesh(jax.local_devices()[:1])
        >>> lay_out(3, 1000, mesh, 1).places, lay_out(3, 10**9, mesh, 1).places
        (256, 3)
    """
    room = bytes_per_device(jax.default_backend())
    spare = _SPARE_BYTES if room is None else room * mesh.size * _SPARE_SHARE
    fitting = int(min(_SPARE_BYTES, spare) // max(1, member_bytes))
    wanted = max(members, most, min(_SPARE_PLACES, fitting))
    places = padded_size(wanted, mesh, chunk_width) // mesh.size
    return Layout(mesh, chunk_width, members, places)


def seed_places(seeds: int, seed_bytes: int) -> int:
    """Choose for how many seeds there is place.

    Args:
        seeds: how many there are.
        seed_bytes: of what is held of one.

    Example:
        >>> seed_places(3, 1000), seed_places(17, 1000), seed_places(3, 10**9)
        (16, 32, 3)
    """
    padded = -(-seeds // _SPARE_SEEDS) * _SPARE_SEEDS
    return padded if padded * seed_bytes <= _SPARE_SEED_BYTES else seeds
