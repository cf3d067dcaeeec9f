"""Words that the sentences about tables share: who is recognised, what differs, and what was detectable."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.special import ndtri

from ...engine import origin
from ...evaluation.examination import POWER
from ...metrics import LEVEL
from ..comparison import supports
from ..tables import Cell
from ..verdicts import PERHAPS, RECOGNISED, TOO_FEW, UNDETECTED

Sentence = str
Interval = tuple[float, float, float]
MOST = 6  # names that a sentence lists
NEITHER = "no difference detected"  # of `supports`
OVERLAP = "the intervals overlap"
QUOTED = re.compile(r"'[^']*'( \(.*\))?")
CEILING = re.compile(r"above [\d.]+ % is not possible, the rest is accident")  # of `verdicts.Verdict`
BEYOND = float(ndtri(POWER) / ndtri((1 + LEVEL) / 2))  # Student's t has less for any degrees of freedom


def interval(cell) -> Interval | None:
    """Return value, low and high of a cell such as "51.2 % [50.1, 52.3]"; None for any other."""
    if not isinstance(cell, Cell) or len(cell.numbers) < 3 or np.isnan(cell.numbers[:3]).any():
        return None
    return cell.numbers[0], cell.numbers[1], cell.numbers[2]


def value(cell) -> float:
    """Return the first number of `interval`, or NaN."""
    found = interval(cell)
    return np.nan if found is None else found[0]


def extreme(rows: pd.DataFrame, column: str, highest: bool = True) -> pd.Series | None:
    """Return the row whose cell in `column` has the highest value, or the lowest; None if no cell has any."""
    values = rows[column].map(value).astype(float).dropna()
    if values.empty:
        return None
    return rows.loc[values.idxmax() if highest else values.idxmin()]


def tied(rows: pd.DataFrame, best: pd.Series, column: str) -> list[int]:
    """Return the indices of the other rows whose interval in `column` overlaps with that of the best, or holds it."""
    others = rows.drop(best.name)
    return [row for row, cell in others[column].items() if beside(best[column], cell) == OVERLAP]


def no_winner(others: Iterable[str]) -> str:
    """Return " (the interval overlaps with that of A and B)" of those who are not apart from the first; "" of none."""
    others = list(others)
    that = "those" if len(others) > 1 else "that"
    return f" (the interval overlaps with {that} of {names(others)})" if others else ""


def percent(cell) -> str:
    """Return "51.2 % [50.1, 52.3]" of a cell that may say more."""
    return re.sub(r"\].*", "]", str(cell))


def names(found: Iterable[str]) -> str:
    """Return "a, b and c", of many names the first and how many more; one with a comma of its own is in quotes."""
    found = [name if QUOTED.fullmatch(name) else quoted(name) for name in dict.fromkeys(found)]
    more = [f"{len(found) - MOST + 1} more"] if len(found) > MOST else []
    return origin.listed(found[: MOST - 1 if more else MOST] + more)


def quoted(name: str) -> str:
    """Return a name, in quotes if it has a comma of its own, outside of what brackets say of it."""
    return f"'{name}'" if ", " in re.sub(r"\[[^\]]*\]| \(.*\)$", "", name) else name


def word(answer) -> str:
    """Return the verdict that a cell of a column "answer" begins with, or "" (verdicts of older code have other
    words)."""
    said = str(answer)
    if said.startswith("recognised;"):
        return ""
    return next((one for one in (RECOGNISED, PERHAPS, UNDETECTED, TOO_FEW) if said.startswith(one)), "")


def measures(answer) -> list[str]:
    """Return by which measures an answer says that members are recognised: "AUC", "TPR at 1 %"; "AUC" of none."""
    named = re.match(rf"{RECOGNISED} \(([^)]*)\)", str(answer))
    return named[1].split(", ") if named else ["AUC"]


def ceiling(answer) -> str:
    """Return "; above 58.35 % is not possible, the rest is accident" of an answer that says so, else ""."""
    found = CEILING.search(str(answer))
    return f"; {found[0]}" if found else ""


def detectable_difference(difference, other=None) -> str:
    """Return "2.1 points": what would have been detected in at least 8 of 10 repetitions.

    Parameters
    ----------
    difference : the cell of a difference, with its interval.
    other : if given, both are cells of one value each, and a difference is detected where their intervals lie apart.
    """
    halves = [(high - low) / 2 for _, low, high in filter(None, map(interval, (difference, other)))]
    return f"{100 * reaches(*halves):.1f} points"


def reaches(*halves: float) -> float:
    """Return the same of half the length of one interval, or of two that have to lie apart, in their unit."""
    return float(sum(halves) + BEYOND * np.hypot.reduce(halves))


def detectable(answer) -> str:
    """Return "AUC 60.1 %, TPR 3.9 % at 1 % FPR" of "no leak detected; detectable: AUC 60.1 %, TPR 3.9 % at 1 % FPR"."""
    return str(answer).partition("detectable: ")[2]


def by_verdict(
    rows: Iterable[tuple[str, object, object]], who: str = "members", where: str = "in", then: str = "in"
) -> Sentence:
    """Return of which rows it is said that members are recognised, perhaps, or not detected.

    Parameters
    ----------
    rows : (name, the cell of an AUC, the answer). Of several rows of one name, as of several attacks, the strongest
        verdict counts, and the least leak that was detectable by any.
    who : who is recognised.
    where, then : what stands before the names, at first and further on: "in models of", "in those of".

    Returns
    -------
    "members are recognised in A and B (highest AUC: 64.8 % [64.0, 65.6], A); no leak was detected in C (detectable: AUC
    56.9 %)", or "" if a row has another kind of answer.
    """
    rows = list(rows)
    if not rows or not all(word(answer) for _, _, answer in rows):
        return ""
    order = [RECOGNISED, PERHAPS, UNDETECTED, TOO_FEW]
    of_name: dict[str, str] = {}
    for name, _, answer in rows:
        of_name[name] = min(of_name.get(name, TOO_FEW), word(answer), key=order.index)
    having = {verdict: [name for name, own in of_name.items() if own == verdict] for verdict in order}
    parts = []
    if having[RECOGNISED]:
        told = pd.DataFrame(rows, columns=["name", "auc", "answer"])
        told = told[told["answer"].map(word) == RECOGNISED]
        by_auc = told[told["answer"].map(lambda answer: "AUC" in measures(answer)).astype(bool)]
        highest = extreme(by_auc, "auc")
        whose = f", {highest['name']}" if highest is not None and len(having[RECOGNISED]) > 1 else ""
        there = (
            f" (highest AUC: {percent(highest['auc'])}{whose}{ceiling(highest['answer'])})"
            if highest is not None
            else ""
        )
        rates = {name: _rates(rows) for name, rows in told.groupby("name") if name not in set(by_auc["name"])}
        listed = [f"{name} ({rates[name]} only)" if name in rates else name for name in having[RECOGNISED]]
        parts.append(f"{who} are recognised {where} {names(listed)}{there}")
    if having[PERHAPS]:
        begins = f"perhaps {then}" if parts else f"{who} are perhaps recognised {where}"
        parts.append(f"{begins} {names(having[PERHAPS])}, not after correction for the number of questions")
    if having[UNDETECTED]:
        begins = f"no leak was detected {then}" if parts else f"no leak of {who} was detected {where}"
        parts.append(f"{begins} {_with_detectable(having[UNDETECTED], rows)}")
    if having[TOO_FEW]:
        parts.append(
            f"too few {who} were asked about to say anything {then if parts else where} {names(having[TOO_FEW])}"
        )
    return "; ".join(parts)


def _rates(rows: pd.DataFrame) -> str:
    rates = (measure.removeprefix("TPR ") for answer in rows["answer"] for measure in measures(answer))
    return f"by the TPR {names(rates)} FPR"


def _with_detectable(undetected: list[str], rows: list) -> str:
    least = {
        name: min((detectable(answer) for one, _, answer in rows if one == name), key=_number) for name in undetected
    }
    if len(undetected) <= 3:
        return names(f"{quoted(name)} (detectable: {told})" for name, told in least.items())
    told = sorted({one.split(", ")[0] for one in least.values()}, key=_number)  # of each the first measure
    return f"{names(undetected)} (detectable: from {told[0]} to {told[-1]})"


def _number(told: str) -> float:
    found = re.search(r"[\d.]+", told)
    return (float(found[0]) if found else 0.0) + 1000 * (not told.startswith("AUC"))


def beside(ours, theirs, more: str = "more", less: str = "less") -> str:
    """Return `more` or `less` where two intervals lie apart, and `OVERLAP` where they do not."""
    a, b = interval(ours), interval(theirs)
    if a is None or b is None:
        return "there is nothing to compare"
    return more if a[1] > b[2] else less if a[2] < b[1] else OVERLAP


def side(difference) -> int | None:
    """Return 1 or -1 where the interval of a difference lies above or below 0, else 0; None where there is none."""
    found = interval(difference)
    if found is None:
        return None
    return {"supported": 1, "contradicted": -1, NEITHER: 0}[supports(*found[1:])]


def sentence(text: str) -> Sentence:
    """Return a text with a capital letter and a full stop; "" stays what it is."""
    return text and text[0].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def sentences(begins: str, parts: Iterable[str]) -> Sentence:
    """Return a beginning and several sentences after it; "" if there are none."""
    first, *others = [part for part in parts if part] or [""]
    return " ".join(map(sentence, [f"{begins} {first}", *others])) if first else ""
