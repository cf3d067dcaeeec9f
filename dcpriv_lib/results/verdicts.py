"""By which rules a verdict follows from the numbers of an examination, and in which words."""

import numpy as np
import pandas as pd

from .. import metrics
from ..evaluation.examination import MEASURES, detectable_at, holm, over_pairs
from . import tables


def rate_text(rates: np.ndarray) -> str:
    """Return `over_pairs` of one rate a model as text, the interval kept between 0 and 100 %."""
    return tables.percent(*np.clip(over_pairs(rates), 0, 1))


def verdicts(frame: pd.DataFrame) -> list[str]:
    """Return what follows from rows of `examine`, one text each: by which measures members are recognised.

    Every row is asked once for each of `MEASURES` that its non-members resolve. A leak is believed if its one-sided p-value, corrected
    by `holm` for all these questions, is below 2.5 %. "perhaps" is said where it is so before the correction only. Unless a leak is
    believed, the text says which one would have been found in 8 of 10 repetitions.

    Parameters
    ----------
    frame : rows of `examine`. A column "ceiling", if there is one, holds the highest AUC that is possible (see `ceiling`), or NaN.
    """
    p = frame[[f"{name}_p" for name in MEASURES]].to_numpy(dtype=np.float64)
    level, questions = (1 - metrics.LEVEL) / 2, int(np.isfinite(p).sum())
    believed = holm(p.ravel()).reshape(p.shape) < level
    return [_verdict(row, *([name for name, yes in zip(MEASURES, which) if yes] for which in (of_row, by_itself)), questions)
            for (_, row), of_row, by_itself in zip(frame.iterrows(), believed, p < level)]


def _verdict(row: pd.Series, recognised: list[str], by_itself: list[str], questions: int) -> str:
    by = ", ".join(MEASURES[name].removesuffix(" FPR") for name in recognised or by_itself)
    if recognised:
        most = row.get("ceiling", np.inf)
        accident = f"; an AUC above {100 * most:.2f} % is not possible, the rest is accident"
        return f"recognised ({by})" + (accident if "auc" in recognised and row["auc"] > most else "")
    least = {name: row[f"{name}_chance"] + detectable_at(row[f"{name}_error"], int(row["freedom"]), questions)
             for name in MEASURES if np.isfinite(row[f"{name}_p"])}
    told = [_with_value(MEASURES[name], value) for name, value in least.items() if value < 1]
    answer = f"perhaps ({by}), not after correction" if by_itself else "no leak detected"
    return f"{answer}; detectable: {', '.join(told)}" if told else "too few to say"


def _with_value(measure: str, value: float) -> str:
    """Return "TPR 1.4 % at 1 % FPR" for "TPR at 1 % FPR" and 0.014."""
    name, *at = measure.split(" ", 1)
    return " ".join([name, f"{100 * value:.{1 + (value < 0.01)}f} %", *at])


def luck(frame: pd.DataFrame) -> str:
    """Return the sentence to stand under a table of `verdicts`: how many of its questions luck alone would answer.

    Parameters
    ----------
    frame : rows of `examine`, those of one table.
    """
    p = frame[[f"{name}_p" for name in MEASURES]].to_numpy(dtype=np.float64).ravel()
    p, level = p[np.isfinite(p)], (1 - metrics.LEVEL) / 2
    missed = int(((frame["aa_low"] > 0.5) | (frame["aa_high"] < 0.5)).sum())
    return (f"{len(p)} questions are asked in these {len(frame)} rows. If nothing leaked, about {level * len(p):.1f} of them would look like a "
            f"leak by luck; {(p < level).sum()} do, and {(holm(p) < level).sum()} still do after Holm's correction, which decides. "
            f"The A/A control, members against members, should hold 50 % in 95 of 100 rows; it misses it in {missed} of {len(frame)}.")


def examined_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `examine` rows as text, with the A/A control and a verdict each."""
    ends = ("", "_low", "_high", "_chance", "_p", "_error", "_detectable")
    numbers = {name + end for name in (*MEASURES, "aa") for end in ends}
    others = frame[[name for name in frame if name not in numbers | {"n_members", "n_non_members", "freedom", "ceiling"}]]
    asked = {name: title for name, title in MEASURES.items() if frame[f"{name}_p"].notna().any()} | {"aa": "A/A"}
    return others.assign(**{title: tables.rates(frame, name) for name, title in asked.items()}, answer=verdicts(frame))
