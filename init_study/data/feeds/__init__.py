"""Feeds: where the examples of a step come from, as pure functions of (seed, step).

A feed is a function `(shared, seed_slot, place) -> Examples`: from what one call of the
devices holds, the batch that a seed sees at its step number `place`. `resident` gathers
from a data set that is on the device as a whole.
"""

from init_study.data.feeds.resident import Examples, Feed, Resident, from_resident

__all__ = ["Examples", "Feed", "Resident", "from_resident"]
