"""What the tables about robustness and fairness say (notebook 10)."""

import pandas as pd

from .wording import OVERLAP, Sentence, beside, extreme, interval, names, percent, sentence


def gradients(table: pd.DataFrame) -> Sentence:
    """Of the check for masked gradients."""
    masked = table[table["gradients"] != "sound"]
    text = f"the gradients of {len(table) - len(masked)} of {len(table)} training sets are sound"
    others = names(f"{name} ({said})" for name, said in masked[["trained on", "gradients"]].itertuples(index=False))
    return sentence(text + (f"; of the others: {others}" if others else ", so what PGD says of them can be believed"))


def robustness(table: pd.DataFrame) -> Sentence:
    """Of PGD, the attacker who knows the weights: for which training sets most and fewest pictures withstand it."""
    column = "that is, of those right"
    least, most = (extreme(table, column, highest) for highest in (False, True))
    if least is None or most is None or least.name == most.name:
        return ""
    if beside(most[column], least[column]) == OVERLAP:
        return sentence(
            "of the pictures that a model has right, between "
            f"{percent(least[column])} ({least['trained on']}) and {percent(most[column])} ({most['trained on']}) "
            f"withstand an attacker who knows its weights: {OVERLAP}"
        )
    return sentence(
        "of the pictures that a model has right, those that withstand an attacker who knows its weights are most for "
        f"{most['trained on']}, {percent(most[column])}, and fewest for {least['trained on']}, "
        f"{percent(least[column])} ({beside(most[column], least[column], 'the intervals lie apart')})"
    )


def fairness(table: pd.DataFrame) -> Sentence:
    """Of the spread over the classes, beside the original's."""
    rows = [(name, interval(cell)) for name, cell in table[["trained on", "amplification"]].itertuples(index=False)]
    known = [(name, found) for name, found in rows if found]
    if not known:
        return ""
    uneven, even, neither = (
        [name for name, (_, low, high) in known if test(low, high)]
        for test in (lambda low, high: low > 1, lambda low, high: high < 1, lambda low, high: low <= 1 <= high)
    )
    parts = [
        f"{what} {names(found)}"
        for found, what in (
            (uneven, "less even over the classes than the original are models of"),
            (even, "more even than the original are models of"),
            (neither, "the interval of the ratio to the original's spread holds 1 for"),
        )
        if found
    ]
    luck = [
        f"{row['luck of the run']} ({row['trained on']})"
        for _, row in table[table["trained on"].str.startswith("subset")].iterrows()
        if not isinstance(row["luck of the run"], str)
    ]
    parts += [f"of the squared spread of subsets, luck of the run is {names(luck)}"] if luck else []
    return sentence("; ".join(parts))


def correlations(table: pd.DataFrame) -> Sentence:
    """Of the rank correlations: how many intervals exclude 0."""
    parts = []
    for column in table.columns.drop("trained on"):
        known = [found for found in map(interval, table[column]) if found]
        below, above = (sum(test(low, high) for _, low, high in known)
                        for test in (lambda low, high: high < 0, lambda low, high: low > 0))  # fmt: skip
        if known:
            parts.append(f"{column}: {above} of {len(known)} intervals lie above 0, {below} below")
    return sentence("; ".join(parts))


def four(table: pd.DataFrame) -> Sentence:
    """Of accuracy and leak: the original beside all other training sets."""
    others, original = table[table["trained on"] != "original"], table[table["trained on"] == "original"]
    if original.empty or others.empty:
        return ""
    parts = []
    for column, what in (("accuracy", "is right on {} of the non-members"), ("leak (AUC)", "leaks with an AUC of {}")):
        values = [found[0] for found in map(interval, others[column]) if found]
        parts.append(
            what.format(percent(original[column].iloc[0]))
            + (f" (the {len(others)} others: {100 * min(values):.1f} to {100 * max(values):.1f} %)" if values else "")
        )
    return sentence("the original " + " and ".join(parts))
