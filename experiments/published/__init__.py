"""What papers report of initialization, run again: a file per result.

Each has its question, paper, command, cost, what is expected, and the rule that
decides.

Command:  python launch.py published
"""

from . import (
    batch_norm,
    delta_orthogonal,
    depth_scale,
    edge_of_chaos,
    fixup_rates,
    glorot_gradients,
    glorot_jacobian,
    he_by_depth,
    low_precision_draws,
    lucky_seeds,
    padding_leak,
    symmetric_starts,
    zeros_and_ones,
)

__all__ = ["RESULTS", "TITLE"]

TITLE = "Do published results on initialization come out again?"
RESULTS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        he_by_depth,
        glorot_jacobian,
        glorot_gradients,
        symmetric_starts,
        delta_orthogonal,
        depth_scale,
        edge_of_chaos,
        batch_norm,
        fixup_rates,
        zeros_and_ones,
        lucky_seeds,
        padding_leak,
        low_precision_draws,
    )
}
