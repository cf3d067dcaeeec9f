"""The claims of "A Comprehensive Study on Dataset Distillation" (Chen et al. 2023), beside what was measured here."""

import pandas as pd

from . import literature, tables
from .comparison import luck, supports

# ---------------------------------------------------------------- the second source
EQUAL = "(control) {} at equal accuracy"


# A sentence, what was measured about it, the value that means no effect, how it is written, and the verdicts for an
# interval above it, below it, or around it.
CHEN_RULES = (
    (
        literature.CHEN["leak"],
        "leak",
        0.5,
        lambda *one: tables.sentence("AUC {}", tables.percent(*one)),
        ("supported", "no leak detected", "no leak detected"),
    ),
    (
        literature.CHEN["robustness"],
        "kept",
        0,
        lambda *one: tables.sentence("right images that withstand: {} against the original", tables.points(*one)),
        ("more robust", "less robust", "no difference detected"),
    ),
    (
        EQUAL.format("robustness"),
        "robustness, equal",
        0,
        lambda *one: tables.sentence(
            "images that withstand: {} against real images at equal accuracy", tables.points(*one)
        ),
        ("more robust", "less robust", "no difference detected"),
    ),
    (
        literature.CHEN["fairness"],
        "amplification",
        1,
        lambda *one: tables.sentence("spread {} times the original's", tables.number(*one)),
        ("supported", "contradicted", "no difference detected"),
    ),
    (
        EQUAL.format("fairness"),
        "spread, equal",
        0,
        lambda *one: tables.sentence("spread: {} against real images at equal accuracy", tables.points(*one)),
        ("less fair", "fairer", "no difference detected"),
    ),
)


def chen_claims(measured: dict[str, dict[str, tuple[float, float, float] | None]]) -> pd.DataFrame:
    """Return Chen et al.'s sentences, what this run has to say about them, and a verdict by a fixed rule, one row a
    sentence and set.

    Each rule asks on which side of "no effect" a 95 % interval lies (`supports`). The rows marked as controls compare
    with models of real images at equal accuracy, because a less accurate model has less to lose; without such models,
    they are left out.

    Parameters
    ----------
    measured : training set to (value, low, high) of "leak", an AUC; "kept", how much larger than the original's is the
        share of right images that withstand an attack; "amplification", the spread over the classes, divided by the
        original's; and "robustness, equal" and "spread, equal", how far the model is above those of real images at
        equal accuracy (None if there are none).
    """
    rows = []
    for sentence, key, limit, write, (above, below, around) in CHEN_RULES:
        words = {"supported": above, "contradicted": below, "no difference detected": around}
        rows += [
            (sentence, name, write(*of[key]), words[supports(*of[key][1:], limit=limit)])
            for name, of in measured.items()
            if of[key] is not None
        ]
    return pd.DataFrame(rows, columns=["Chen et al. say", "trained on", "this run", "verdict"])


def chen_luck(measured: dict[str, dict[str, tuple[float, float, float] | None]]) -> str:
    """Return `luck` about all intervals that `chen_claims` judges; the argument is the same."""
    return luck(
        [
            tuple(end - limit for end in of[key])
            for _, key, limit, *_ in CHEN_RULES
            for of in measured.values()
            if of[key]
        ]
    )


def chen_in_short(claims: pd.DataFrame) -> pd.DataFrame:
    """Return for how many training sets `chen_claims` gave which verdict, one row a sentence; every verdict of its rule
    is named."""
    rows = []
    for sentence, *_, words in CHEN_RULES:
        found = list(claims.loc[claims["Chen et al. say"] == sentence, "verdict"])
        counts = [tables.sentence("{} for {}", word, tables.count(found.count(word))) for word in dict.fromkeys(words)]
        rows.append((sentence, tables.sentence("{} training sets", tables.count(len(found))), tables.joined(counts)))
    return pd.DataFrame(rows, columns=["Chen et al. say", "this run", "verdict"])
