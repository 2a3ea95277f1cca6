"""A metric by training step, for every scheme of a comparison at its best rate."""

import pandas as pd

from init_study.answers.comparison import Comparison
from init_study.answers.statistics import half_width


def learning_curves(
    records: pd.DataFrame, comparison: Comparison, split: str, metric: str
) -> pd.DataFrame:
    """Average a metric over seeds by step, for every scheme at its best rate.

    Members that diverged are left out, from the first step on.

    Args:
        records: of `store.load`.
        comparison: of the program; a finished one.
        split: `train`, `validation` or `test`.
        metric: `loss` or `accuracy`.

    Returns: columns `scheme`, `step`, `mean`, `low`, `high` (the t interval, NaN for
        fewer than 3 seeds), `n`.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> records, manifest = made_up_run()
        >>> (comparison,) = compare_runs(records, manifest)
        >>> curves = learning_curves(records, comparison, "test", "accuracy")
        >>> curves[["scheme", "step", "mean"]].round(9).values.tolist()[:3]
        [['he_normal', 0, 0.1], ['he_normal', 1, 0.41], ['he_normal', 2, 0.72]]
    """
    ours = at_best_rates(comparison, records)
    diverged = ours.loc[(ours["metric"] == "diverged_step") & ours["value"].notna()]
    wanted = (ours["split"] == split) & (ours["metric"] == metric)
    finite = ~ours["member"].isin(diverged["member"])
    by_step = ours.loc[wanted & finite].groupby(["scheme", "step"])["value"]
    curves = by_step.agg(["mean", "std", "count"]).reset_index()
    width = half_width(curves["std"], curves["count"])
    return pd.DataFrame(
        {
            "scheme": curves["scheme"],
            "step": curves["step"],
            "mean": curves["mean"],
            "low": curves["mean"] - width,
            "high": curves["mean"] + width,
            "n": curves["count"],
        }
    )


def seed_curves(
    records: pd.DataFrame, comparison: Comparison, split: str, metric: str
) -> pd.DataFrame:
    """List a metric of each seed by step, for every scheme at its best rate.

    Members that diverged are there, too.

    Args:
        records: of `store.load`.
        comparison: of the program; a finished one.
        split: `train`, `validation` or `test`.
        metric: `loss` or `accuracy`.

    Returns: columns `scheme`, `seed`, `step`, `value`.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> records, manifest = made_up_run()
        >>> (comparison,) = compare_runs(records, manifest)
        >>> curves = seed_curves(records, comparison, "test", "accuracy")
        >>> curves.round(9).values.tolist()[:2]
        [['he_normal', 0, 0, 0.1], ['he_normal', 0, 1, 0.4]]
    """
    ours = at_best_rates(comparison, records)
    wanted = (ours["split"] == split) & (ours["metric"] == metric)
    columns = ["scheme", "seed", "step", "value"]
    return ours.loc[wanted, columns].reset_index(drop=True)


def at_best_rates(comparison: Comparison, table: pd.DataFrame) -> pd.DataFrame:
    """Select a program's rows of every scheme at its best rate.

    Args:
        comparison: of the program.
        table: of `store.load`, `load_layers` or `load_readings`.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> records, manifest = made_up_run()
        >>> (comparison,) = compare_runs(records, manifest)
        >>> layers = records.assign(layer=0)
        >>> len(layers), len(at_best_rates(comparison, layers))
        (140, 70)
    """
    best = {row.scheme: row.best.learning_rate for row in comparison.rows}
    chosen = table["scheme"].map(best.get) == table["learning_rate"]
    return table.loc[chosen & (table["program"] == comparison.program)]
