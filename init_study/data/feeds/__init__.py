"""Feeds: where the examples of a step come from, as pure functions of (seed, step).

A feed is a function `(shared, seed_slot, place) -> Examples`: from what one call of the
devices holds, the batch that a seed sees at its step number `place`. `resident` gathers
from a data set that is on the device as a whole, `streamed` takes batches that the host
has gathered. Which one it is changes no bit.
"""

from init_study.data.feeds.resident import Examples, Feed, Resident, from_resident
from init_study.data.feeds.streamed import Streamed, from_streamed

__all__ = [
    "Examples",
    "Feed",
    "Resident",
    "Streamed",
    "default_feed",
    "from_resident",
    "from_streamed",
]

# Of images, on every device: a set of photographs of 32x32 pixels is far below it.
_MOST_RESIDENT_BYTES = 2**30


def default_feed(image_bytes: int) -> str:
    """Choose the feed of a data set where the study does not say.

    By its size alone, so that a study runs alike on every machine.

    Args:
        image_bytes: of all its images.

    Example:
        >>> default_feed(60_000 * 32 * 32 * 3), default_feed(1_281_167 * 224 * 224 * 3)
        ('resident', 'mapped')
    """
    return "resident" if image_bytes <= _MOST_RESIDENT_BYTES else "mapped"
