"""What the tables about formal privacy say (notebook 11)."""

import pandas as pd

from ...privacy import auditing
from .controls import examined
from .wording import NEITHER, Sentence, detectable, extreme, names, percent, sentence

BROKEN = "a tenth of the noise"
AS_MEAN_EMBEDDING = "DP-MERF"


def promises(table: pd.DataFrame) -> Sentence:
    """Of guarantees: what epsilon allows an attacker who accuses 1 % of the others, beside what the releases allow."""
    epsilon = next(column for column in table if column.startswith("epsilon at delta"))
    by_epsilon, by_curve = "TPR at 1 % FPR, by epsilon", "TPR at 1 % FPR, by the whole curve"
    parts = []
    for value, rows in table.groupby(table[epsilon].map(str), sort=False):
        curve = sorted((cell.numbers[0], str(cell)) for cell in rows[by_curve])
        found = curve[0][1] if curve[0][1] == curve[-1][1] else f"{curve[0][1]} to {curve[-1][1]}"
        delta = epsilon.rpartition(" ")[2]
        parts.append(
            f"at most {rows[by_epsilon].iloc[0]} of the members under epsilon {value} (delta {delta}), and {found} by "
            "the curve of the releases themselves"
        )
    return sentence("whoever accuses 1 % of the others finds " + "; ".join(parts))


def audit(table: pd.DataFrame) -> Sentence:
    """Of the audit by somebody who sees every noisy sum, and of the accuracy at the strictest guarantee."""
    tested = table[table["guarantee"] != auditing.NONE]
    same = tested["method"].str.startswith(AS_MEAN_EMBEDDING)
    rows = tested[~same]
    parts = []
    for broken, what in ((True, f"with {BROKEN}"), (False, "with all of their noise")):
        answers = list(rows[rows["method"].str.contains(BROKEN, regex=False) == broken]["guarantee"])
        untestable = answers.count(auditing.UNTESTABLE)
        if answers:
            parts.append(
                f"{answers.count(auditing.REFUTED)} of {len(answers)} guarantees {what}"
                + (f", of which {untestable} cannot be tested" if untestable else "")
            )
    left_out = f" ({AS_MEAN_EMBEDDING}, the same releases as the mean embedding, is not counted)" if same.any() else ""
    said = [f"somebody who sees every noisy sum refutes {' and '.join(parts)}{left_out}"] if parts else []
    return sentence("; ".join([*said, *_accuracies(table)]))


def _accuracies(table: pd.DataFrame) -> list[str]:
    proven = table[[hasattr(cell, "numbers") for cell in table["guaranteed epsilon"]]]
    proven = proven[~proven["method"].str.contains(BROKEN, regex=False) & (proven["guarantee"] != auditing.REFUTED)]
    if proven.empty:
        return []
    strictest = min(cell.numbers[0] for cell in proven["guaranteed epsilon"])
    found = []
    for shared in ("a model", "images"):
        rows = proven[[cell.numbers[0] == strictest for cell in proven["guaranteed epsilon"]]]
        best = extreme(rows[rows["shared"] == shared], "accuracy")
        if best is not None:
            found.append(f"{shared}: {percent(best['accuracy'])} ({best['method']})")
    return [f"the highest accuracy with epsilon {strictest:g} is, of {', of '.join(found)}"] if found else []


def outputs(table: pd.DataFrame) -> Sentence:
    """Of the attacker who only sees outputs."""
    return examined(table, "method", "for somebody who sees the outputs of one model only,")


def verdict(table: pd.DataFrame) -> Sentence:
    """Of the comparisons of guarantees with methods that have none."""
    rows = table[table["question"].str.contains(" against ")]
    if rows.empty:
        return ""
    costs = rows[rows["answer"].map(str) == "the guarantee costs accuracy"]
    better = rows[rows["answer"].map(str) == "better, and with a guarantee"]
    rest = rows[rows["answer"].map(lambda answer: str(answer).startswith(NEITHER))]
    told = [f"'{row['question']}' (detectable: {detectable(row['answer'])})" for _, row in rest.iterrows()]
    text = f"the guarantee costs accuracy in {len(costs)} of {len(rows)} comparisons on the same network"
    text += f"; {len(better)} times the one with a guarantee is better" if len(better) else ""
    text += f"; in {len(rest)} no difference was detected: {', '.join(told)}" if told else ""
    return sentence(text + (f". Better are {names(better['question'])}" if len(better) else ""))
