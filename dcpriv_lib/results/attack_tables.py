"""How well attacks do, as tables show it: means over the runs, and rates at low false positive rates."""

import pandas as pd

from .. import metrics
from . import tables


def mean_over_runs(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the runs of every target and attack, and the rates as cells.

    A cell, for instance "51.2 % [50.1, 52.3]", holds the mean of the runs' intervals. It
    does not shrink with the number of runs, since all runs are judged on the same examples.

    Parameters
    ----------
    judged : one row a target, run and attack, with the columns of `metrics.evaluate`.

    Returns
    -------
    DataFrame indexed by (target, attack) in the order of `judged`, with the means of its
    numeric columns, and a column "accuracy, text" (and so on) a rate.
    """
    mean = judged.groupby(["target", "attack"], sort=False).mean(numeric_only=True)
    return mean.assign(**{f"{name}, text": tables.rates(mean, name) for name in metrics.RATES})


def at_low_fpr(judged: pd.DataFrame) -> pd.DataFrame:
    """Return AUCs and true positive rates at low false positive rates, one row a target and attack.

    The spread is the standard deviation of the AUC over the runs, in points.

    Parameters
    ----------
    judged : one row a target, run and attack, measured by `strong`.
    """
    mean = mean_over_runs(judged)
    spread = judged.groupby(["target", "attack"], sort=False)["auc"].std()
    shown = pd.DataFrame(
        {"AUC": mean["auc, text"], "spread": tables.plain_column(spread, "± {:.1 of 100}")}, index=mean.index
    )
    for fpr in metrics.LOW_FPRS:
        names = [f"tpr_at_{fpr}{end}" for end in ("", "_low", "_high")]
        shown[f"TPR at {100 * fpr:g} % FPR"] = [
            tables.percent_at_fpr(*row[names], int(row["non_members"])) for _, row in mean.iterrows()
        ]
    return shown.reset_index()
