"""What a traced network computes: its layers, what follows them, its branches."""

from init_study.graph.activations import ELEMENTWISE, Following, find_following
from init_study.graph.branches import Branch, find_branches
from init_study.graph.dataflow import (
    Graph,
    Origins,
    Path,
    evaluate,
    find_origins,
    make_graph,
    run_node,
)
from init_study.graph.layers import FoundLayer, find_layers

__all__ = [
    "ELEMENTWISE",
    "Branch",
    "Following",
    "FoundLayer",
    "Graph",
    "Origins",
    "Path",
    "evaluate",
    "find_branches",
    "find_following",
    "find_layers",
    "find_origins",
    "make_graph",
    "run_node",
]
