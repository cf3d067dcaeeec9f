"""Trained models and what they answer."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass
class Models:
    """Trained models and what they answer.

    Attributes
    ----------
    table : DataFrame, one row a model; the first columns say which it is, "file" where it lies.
    logits : float32 [models, N, classes], for every image of the data set in file order.
    test_logits : float32 [models, n_test, classes], for the data set's own test file, if it has one.
    settings : what the models have in common; only of models that were kept under a name, see `results.kept`.
    scores : float64 [models, canaries], the auditor's, of models that were trained by DP-SGD; None of others.
    """

    table: pd.DataFrame
    logits: np.ndarray
    test_logits: np.ndarray
    settings: dict = field(default_factory=dict)
    scores: np.ndarray | None = None

    @classmethod
    def of(cls, table: pd.DataFrame, answers: list[dict], settings: dict | None = None) -> "Models":
        """Return models, one or more, of what was kept of each: "logits", "test_logits" and perhaps "scores"."""
        logits, test_logits = (np.stack([one[name] for one in answers]) for name in ("logits", "test_logits"))
        scores = np.stack([one["scores"] for one in answers]) if "scores" in answers[0] else None
        return cls(table, logits, test_logits, settings or {}, scores)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, which: slice) -> "Models":
        """Return some of the models."""
        scores = None if self.scores is None else self.scores[which]
        return Models(self.table[which], self.logits[which], self.test_logits[which], self.settings, scores)

    def named(self, name: str) -> np.ndarray:
        """Return the logits [runs, N, classes] of the models whose first column is `name`."""
        return self.logits[(self.table.iloc[:, 0] == name).to_numpy()]

    def items(self):
        """Yield (name, run) and the logits [N, classes] of every model."""
        yield from zip(self.table.iloc[:, :2].itertuples(index=False, name=None), self.logits)
