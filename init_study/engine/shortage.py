"""What a population lacks here, from bytes that are counted, before any is taken."""

import jax

from init_study.host import available_bytes

# Of all members, when they are saved: what is fetched, its copy, and what Orbax writes.
# Of 400 members of 2 MB the peak was 4.4 times what the devices held.
_HOST_COPIES = 3


def shortage(device_bytes: int, state_bytes: int, room: int | None) -> str:
    """Say what there is not enough of; nothing if a population fits.

    Besides what the devices hold, the host holds all members when they are drawn, saved
    and restored. On CPU both are of the same memory.

    Args:
        device_bytes: of one device.
        state_bytes: of all members.
        room: of one device, by `bytes_per_device`; None where nobody says.

    Example:
        >>> shortage(2000, 100, room=1500)
        'needs 2,000 of 1,500 bytes on a device'
    """
    if room is not None and device_bytes > room:
        return f"needs {device_bytes:,} of {room:,} bytes on a device"
    free, needed = available_bytes(), _HOST_COPIES * state_bytes
    if jax.default_backend() == "cpu":
        free = None if room is None else room * jax.local_device_count()
        needed += device_bytes * jax.local_device_count()
    if free is not None and needed > free:
        return (
            f"needs {needed:,} of {free:,} bytes of memory, with the host's own "
            "copies of all members"
        )
    return ""
