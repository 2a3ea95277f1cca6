"""Whether explanations and representations agree: over seeds, schemes, training."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from init_study.answers.comparison import Comparison
from init_study.answers.similarity import debiased_alignment
from init_study.answers.step_curves import at_best_rates

_Alike = Callable[[np.ndarray, np.ndarray], float]


class ExplanationAgreement(NamedTuple):
    """How well one kind of explanation agrees for members of a scheme, on the average.

    NaN where there are no two, or nothing that varies.

    Attributes:
        scheme: at its best rate.
        kind: of explanation, as `map/gradient`, or the layer, as `gram/Conv_0`.
        seeds_before, seeds_after: between seeds of the scheme, before the first step
            and after the last.
        schemes_before, schemes_after: with the members of other schemes of the same
            seed.
        training: between the start and the end of a member.
    """

    scheme: str
    kind: str
    seeds_before: float
    seeds_after: float
    schemes_before: float
    schemes_after: float
    training: float


def explanation_agreement(
    comparison: Comparison, raw: pd.DataFrame
) -> list[ExplanationAgreement]:
    """Compare explanations and representations of the members of one program.

    Maps are compared by Spearman's rank correlation over all pixels and images, layers
    by CKA without bias.

    Args:
        comparison: of the program.
        raw: readings of `explanations` and `representations`, as of
            `store.load_readings`.

    Returns: a row for each scheme and kind; nothing without such readings at both ends.
    """
    ours = at_best_rates(comparison, raw)
    ends = ours.loc[ours["step"].isin((0, comparison.steps))]
    schemes = [row.scheme for row in comparison.rows]
    rows = []
    for kind, table in ends.groupby("number", sort=False):
        if set(table["step"]) != {0, comparison.steps}:
            continue
        ordered = table.sort_values("place")
        grouped = ordered.groupby(["scheme", "seed", "step"])["value"]
        found = {key: own.to_numpy(np.float64) for key, own in grouped}
        alike = _rank_correlation if str(kind).startswith("map/") else _aligned
        for scheme in schemes:
            rows.append(
                _of_scheme(scheme, str(kind), schemes, comparison, found, alike)
            )
    return rows


def _of_scheme(
    scheme: str,
    kind: str,
    schemes: Sequence[str],
    comparison: Comparison,
    found: Mapping[Any, Float[np.ndarray, " numbers"]],
    alike: _Alike,
) -> ExplanationAgreement:
    seeds, ends = comparison.seeds, (0, comparison.steps)

    def pairs_of_seeds(step: int) -> Iterator[float]:
        for a, b in itertools.combinations(seeds, 2):
            yield alike(found[scheme, a, step], found[scheme, b, step])

    def pairs_of_schemes(step: int) -> Iterator[float]:
        for seed, other in itertools.product(seeds, schemes):
            if other != scheme:
                yield alike(found[scheme, seed, step], found[other, seed, step])

    return ExplanationAgreement(
        scheme,
        kind,
        seeds_before=_average(pairs_of_seeds(ends[0])),
        seeds_after=_average(pairs_of_seeds(ends[1])),
        schemes_before=_average(pairs_of_schemes(ends[0])),
        schemes_after=_average(pairs_of_schemes(ends[1])),
        training=_average(
            alike(found[scheme, seed, ends[0]], found[scheme, seed, ends[1]])
            for seed in seeds
        ),
    )


def _average(values: Iterator[float]) -> float:
    there = [value for value in values if np.isfinite(value)]
    return float(np.mean(there)) if there else float("nan")


def _rank_correlation(
    first: Float[np.ndarray, " numbers"], second: Float[np.ndarray, " numbers"]
) -> float:
    ranks = [stats.rankdata(one) for one in (first, second)]
    if not np.isfinite([first, second]).all() or min(map(np.ptp, ranks)) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _aligned(
    first: Float[np.ndarray, " pairs"], second: Float[np.ndarray, " pairs"]
) -> float:
    if not np.isfinite([first, second]).all():
        return float("nan")
    return float(debiased_alignment(first, second))
