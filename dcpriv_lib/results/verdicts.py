"""By which rules a verdict follows from the numbers of an examination, and in which words."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from .. import metrics
from ..evaluation.examination import MEASURES, detectable_at, holm, over_pairs
from ..privacy import auditing
from . import tables

RECOGNISED, PERHAPS, UNDETECTED, TOO_FEW = "recognised", "perhaps", "no leak detected", "too few to say"


@dataclass(frozen=True)
class Verdict:
    """What follows from one row of an examination.

    Attributes
    ----------
    word : one of the four above.
    by : by which of `MEASURES` members are recognised, or perhaps are.
    detectable : measure to the value that would have been found in 8 of 10 repetitions; empty where members are
        recognised.
    most : the highest AUC that is possible, where the AUC found is above it by accident; else None.
    """

    word: str
    by: tuple[str, ...] = ()
    detectable: dict[str, float] = field(default_factory=dict)
    most: float | None = None

    def shown(self) -> tables.Cell | str:
        """Return the verdict as it stands in a table."""
        by = ", ".join(MEASURES[name].removesuffix(" FPR") for name in self.by)
        if self.word == TOO_FEW:
            return TOO_FEW
        if self.word == RECOGNISED and self.most is None:
            return f"{RECOGNISED} ({by})"
        if self.word == RECOGNISED:
            most = tables.plain(self.most, "{:.2 %}")
            return tables.sentence("recognised ({}); an AUC above {} is not possible, the rest is accident", by, most)
        answer = f"perhaps ({by}), not after correction" if self.by else UNDETECTED
        told = tables.joined(_with_value(MEASURES[name], value) for name, value in self.detectable.items())
        return tables.sentence("{}; detectable: {}", answer, told)


def rate_cell(rates: np.ndarray) -> tables.Cell:
    """Return `over_pairs` of one rate a model, the interval kept between 0 and 100 %."""
    return tables.percent(*np.clip(over_pairs(rates), 0, 1))


def verdicts(frame: pd.DataFrame) -> list[tables.Cell | str]:
    """Return `judged` as it stands in a table, one cell a row."""
    return [verdict.shown() for verdict in judged(frame)]


def judged(frame: pd.DataFrame) -> list[Verdict]:
    """Return what follows from rows of `examine`: by which measures members are recognised.

    Every row is asked once for each of `MEASURES` that its non-members resolve. A leak is believed if its one-sided
    p-value, corrected by `holm` for all these questions, is below 2.5 %. "perhaps" is said where it is so before the
    correction only. Unless a leak is believed, the verdict says which one would have been found in 8 of 10 repetitions.

    Parameters
    ----------
    frame : rows of `examine`. A column "ceiling", if there is one, holds the highest AUC that is possible (see
        `controls.ceiling`), or NaN.
    """
    p = frame[[f"{name}_p" for name in MEASURES]].to_numpy(dtype=np.float64)
    level, questions = (1 - metrics.LEVEL) / 2, int(np.isfinite(p).sum())
    believed = holm(p.ravel()).reshape(p.shape) < level
    return [
        _verdict(
            row, *([name for name, yes in zip(MEASURES, which) if yes] for which in (of_row, by_itself)), questions
        )
        for (_, row), of_row, by_itself in zip(frame.iterrows(), believed, p < level)
    ]


def _verdict(row: pd.Series, recognised: list[str], by_itself: list[str], questions: int) -> Verdict:
    if recognised:
        most = row.get("ceiling", np.inf)
        accident = "auc" in recognised and row["auc"] > most
        return Verdict(RECOGNISED, tuple(recognised), most=float(most) if accident else None)
    least = {
        name: row[f"{name}_chance"] + detectable_at(row[f"{name}_error"], int(row["freedom"]), questions)
        for name in MEASURES
        if np.isfinite(row[f"{name}_p"])
    }
    told = {name: float(value) for name, value in least.items() if value < 1}
    if not told:
        return Verdict(TOO_FEW)
    return Verdict(PERHAPS if by_itself else UNDETECTED, tuple(by_itself), told)


def _with_value(measure: str, value: float) -> tables.Cell:
    """Return "TPR 1.4 % at 1 % FPR" for "TPR at 1 % FPR" and 0.014."""
    name, *at = measure.split(" ", 1)
    return tables.joined([name, tables.plain(value, "{:.2 %}" if value < 0.01 else "{:.1 %}"), *at], " ")


def tally(answers) -> tables.Cell:
    """Return "1 of 4 refuted; 2 cannot be tested" for some answers of `auditing.answer`, none of them `NONE`."""
    answers = list(answers)
    untestable = answers.count(auditing.UNTESTABLE)
    counts = [answers.count(auditing.REFUTED), len(answers) - untestable, untestable]
    form = "{} of {} refuted; {} cannot be tested" if untestable else "{} of {} refuted"
    return tables.sentence(form, *map(tables.count, counts[: form.count("{}")]))


def luck(frame: pd.DataFrame) -> str:
    """Return the sentence to stand under a table of `verdicts`: how many of its questions luck alone would answer.

    Parameters
    ----------
    frame : rows of `examine`, those of one table.
    """
    p = frame[[f"{name}_p" for name in MEASURES]].to_numpy(dtype=np.float64).ravel()
    p, level = p[np.isfinite(p)], (1 - metrics.LEVEL) / 2
    missed = int(((frame["aa_low"] > 0.5) | (frame["aa_high"] < 0.5)).sum())
    return (
        f"{len(p)} questions are asked in these {len(frame)} rows. If nothing leaked, about {level * len(p):.1f} of "
        f"them would look like a leak by luck; {(p < level).sum()} do, and {(holm(p) < level).sum()} still do after "
        "Holm's correction, which decides. The A/A control, members against members, should hold 50 % in 95 of 100 "
        f"rows; it misses it in {missed} of {len(frame)}."
    )


def examined_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `examine` rows in cells, with the A/A control and a verdict each."""
    ends = ("", "_low", "_high", "_chance", "_p", "_error", "_detectable")
    numbers = {name + end for name in (*MEASURES, "aa") for end in ends}
    others = frame[
        [name for name in frame if name not in numbers | {"n_members", "n_non_members", "freedom", "ceiling"}]
    ]
    asked = {name: title for name, title in MEASURES.items() if frame[f"{name}_p"].notna().any()} | {"aa": "A/A"}
    return others.assign(**{title: tables.rates(frame, name) for name, title in asked.items()}, answer=verdicts(frame))
