"""What papers report of initialization, run again: a file per result.

Each has its question, paper, command, cost, what is expected, and the rule that
decides. The last ones are of no paper that this project knows, but of our own.

Command:  python launch.py published
"""

from types import ModuleType

from init_study.study import Study

from . import (
    batch_norm,
    covariance_filters,
    delta_orthogonal,
    depth_scale,
    dirac_speed,
    edge_of_chaos,
    fixup_first_epoch,
    fixup_rates,
    glorot_gradients,
    glorot_jacobian,
    gradinit_first_epoch,
    he_by_depth,
    looks_linear,
    low_precision_draws,
    lsuv_ranking,
    lucky_seeds,
    metainit_rescue,
    mode_connectivity,
    padding_leak,
    skipinit_by_depth,
    symmetric_starts,
    thousand_seeds,
    trainable_boundary,
    variance_by_source,
    whitening_speed,
    zeros_and_ones,
)

__all__ = ["RESULTS", "TITLE", "studies_of"]

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
        skipinit_by_depth,
        looks_linear,
        trainable_boundary,
        variance_by_source,
        thousand_seeds,
        fixup_first_epoch,
        gradinit_first_epoch,
        metainit_rescue,
        whitening_speed,
        dirac_speed,
        lsuv_ranking,
        mode_connectivity,
        covariance_filters,
        padding_leak,
        low_precision_draws,
    )
}


def studies_of(result: ModuleType) -> dict[str, Study]:
    """Collect the studies that a result's file defines, by name."""
    found = [value for value in vars(result).values() if isinstance(value, Study)]
    return {study.name: study for study in found}
