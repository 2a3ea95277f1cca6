"""Processes on several hosts that share a run: how they meet, and what they say.

    place     which process this is, of how many, and where the first of them listens
    board     the table that process 0 holds and all read and write
    problems  who has failed, never came, or is lost, by that table
    hosts     what a run asks of it: gather a text of each, stop together, notice a loss

Members do not speak to one another, so no array crosses hosts, and JAX on one host need
not know of the others. That is why none of this is `jax.distributed`: its runtime ends
every process with a stack trace where the first one dies or does not answer, keeps
SIGTERM for itself, and has all hosts wait for the slowest.
"""

from init_study.cluster.hosts import Hosts, Stopping, join_hosts
from init_study.cluster.place import Place, find_place

__all__ = ["Hosts", "Place", "Stopping", "find_place", "join_hosts"]
