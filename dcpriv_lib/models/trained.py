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
    settings : what the models have in common; only of models that were saved with `Study.save`.
    """

    table: pd.DataFrame
    logits: np.ndarray
    test_logits: np.ndarray
    settings: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, which: slice) -> "Models":
        """Return some of the models."""
        return Models(self.table[which], self.logits[which], self.test_logits[which], self.settings)

    def named(self, name: str) -> np.ndarray:
        """Return the logits [runs, N, classes] of the models whose first column is `name`."""
        return self.logits[(self.table.iloc[:, 0] == name).to_numpy()]

    def items(self):
        """Yield (name, run) and the logits [N, classes] of every model."""
        yield from zip(self.table.iloc[:, :2].itertuples(index=False, name=None), self.logits)
