"""What a traced network computes: its layers, what follows them, its branches.

README.md beside this file leads from a module's call to its layers, with the lines of
jaxpr that each file looks for.
"""

from init_study.network.graph.branches import ResidualSum, find_sums
from init_study.network.graph.building import make_graph
from init_study.network.graph.cuts import find_cuts
from init_study.network.graph.dataflow import (
    Graph,
    Origins,
    Path,
    compute,
    run_node,
)
from init_study.network.graph.elementwise import ELEMENTWISE
from init_study.network.graph.following import Following, find_following
from init_study.network.graph.operations import Operation, find_operations
from init_study.network.graph.packed import join
from init_study.network.graph.parting import part
from init_study.network.graph.slices import Cut
from init_study.network.graph.stochastic import KEYS, without_dropout
from init_study.network.graph.tokens import find_origins

__all__ = [
    "ELEMENTWISE",
    "KEYS",
    "Cut",
    "Following",
    "Graph",
    "Operation",
    "Origins",
    "Path",
    "ResidualSum",
    "compute",
    "find_cuts",
    "find_following",
    "find_operations",
    "find_origins",
    "find_sums",
    "join",
    "make_graph",
    "part",
    "run_node",
    "without_dropout",
]
