"""How a model, or a set of images, was made, and what is claimed of it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """A method with a claim, or without one.

    Attributes
    ----------
    method : "DP-SGD", for instance.
    epsilon : which is claimed, infinite for a method that is run without its noise; None for a method that has none.
    shares : "images" or "a model", what is handed on.
    noise : the share of the noise that the claim needs, 1, or less for a broken variant.
    network : on which the models are trained.
    """

    method: str
    epsilon: float | None = None
    shares: str = "images"
    noise: float = 1.0
    network: str = "PaperCNN"

    @property
    def claimed(self) -> float:
        """The epsilon that an audit may refute; infinite if there is none."""
        return np.inf if self.epsilon is None else self.epsilon

    @property
    def family(self) -> str:
        """The method and, if it is not the paper's, the network."""
        return self.method + ("" if self.network == "PaperCNN" else f" on {self.network}")

    @property
    def name(self) -> str:
        """Under which all that is made by it is kept."""
        if self.noise < 1:
            return f"{self.family}, a tenth of the noise"
        return self.family if self.epsilon is None else f"{self.family}, epsilon {self.epsilon:g}"

    @property
    def label(self) -> str:
        """As it stands in tables."""
        return f"{self.family}, no noise" if self.epsilon == np.inf else self.name
