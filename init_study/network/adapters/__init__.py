"""Adapters: one door for modules of Flax Linen and NNX, Haiku and Equinox.

Each framework has a file here, and nothing else knows one. A framework is imported only
when a module of it is given.
"""

from init_study.network.adapters.adapter import Adapter, Variables, adapt

__all__ = ["Adapter", "Variables", "adapt"]
