"""What a traced network computes: its layers, what follows them, its branches.

README.md beside this file leads from a module's call to its layers, with the lines of
jaxpr that each file looks for.
"""

from init_study.network.graph.apart import images_apart
from init_study.network.graph.borders import padded_before
from init_study.network.graph.branches import (
    ResidualSum,
    find_sums,
)
from init_study.network.graph.building import make_graph
from init_study.network.graph.contractions import Operation
from init_study.network.graph.cuts import find_cuts
from init_study.network.graph.dataflow import (
    Graph,
    Node,
    Origins,
    Path,
    compute,
    needed_places,
    origins_beside,
    producers,
    run_node,
)
from init_study.network.graph.described import (
    Described,
    Start,
    describe_operations,
)
from init_study.network.graph.elementwise import ELEMENTWISE
from init_study.network.graph.following import (
    Following,
    common_following,
    find_following,
)
from init_study.network.graph.hidden_sums import has_hidden_sums
from init_study.network.graph.operations import find_operations, read_no_images
from init_study.network.graph.packed import join
from init_study.network.graph.parting import part
from init_study.network.graph.regions import find_region, live_users
from init_study.network.graph.slices import Cut
from init_study.network.graph.stochastic import KEYS, without_dropout
from init_study.network.graph.tokens import find_origins
from init_study.network.graph.walking import Known
from init_study.network.graph.weights import Weights, find_weights

__all__ = [
    "ELEMENTWISE",
    "KEYS",
    "Cut",
    "Described",
    "Following",
    "Graph",
    "Known",
    "Node",
    "Operation",
    "Origins",
    "Path",
    "ResidualSum",
    "Start",
    "Weights",
    "common_following",
    "compute",
    "describe_operations",
    "find_cuts",
    "find_following",
    "find_operations",
    "find_origins",
    "find_region",
    "find_sums",
    "find_weights",
    "has_hidden_sums",
    "images_apart",
    "join",
    "live_users",
    "make_graph",
    "needed_places",
    "origins_beside",
    "padded_before",
    "part",
    "producers",
    "read_no_images",
    "run_node",
    "without_dropout",
]
