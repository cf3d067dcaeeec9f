"""What an attacker is given (the answers of models), and what a prepared attack is (a score with its threshold)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import softmax

from .signals import logit_confidence, true_class

# scikit-learn says "member" where a decision function exceeds 0, an `Attack` where a score reaches its threshold.
SMALLEST_POSITIVE = float(np.nextafter(0, 1))


@dataclass(frozen=True)
class Answers:
    """What one model answers, in the form in which the attacks ask.

    Attributes
    ----------
    logits : float [n, queries, classes], of the examples in question; the first query is the example itself.
    labels : int [n], their true classes.
    other_logits, other_labels : float [m, queries, classes] and int [m], of the attacker's own
        examples, which no model in question was trained on; only RMIA asks about them.
    """

    logits: np.ndarray
    labels: np.ndarray
    other_logits: np.ndarray | None = None
    other_labels: np.ndarray | None = None

    @property
    def others(self) -> tuple[np.ndarray, np.ndarray]:
        """The logits and labels of the attacker's own examples; ValueError if the model was not asked about them."""
        if self.other_logits is None or self.other_labels is None:
            raise ValueError(
                "other_logits = None: expected the model's answers for the attacker's own examples, with which this "
                "attack compares; pass other_logits and other_labels, or leave out the attacks with needs_others"
            )
        return self.other_logits, self.other_labels

    @cached_property
    def phi(self) -> np.ndarray:
        """The logit-scaled confidences, float64 [n, queries]."""
        return logit_confidence(self.logits, self.labels)

    @cached_property
    def p(self) -> np.ndarray:
        """The probabilities of the true class, float64 [n, queries]."""
        return true_class(self.logits, self.labels)

    @cached_property
    def other_p(self) -> np.ndarray:
        """The same of the other examples, float64 [m, queries]; ValueError as of `others`."""
        return true_class(*self.others)


@dataclass(frozen=True)
class Attack:
    """A prepared attack: ``score(answers)`` is float [n]; "member" is said where it is at least `threshold`.

    The threshold is only found when it is asked for: it may cost as much as the attack itself. With `needs_others`
    the score takes the answers for the attacker's own examples.
    """

    score: Callable[[Answers], np.ndarray]
    find_threshold: Callable[[], float]
    needs_others: bool = False

    @cached_property
    def threshold(self) -> float:
        """The score from which the attack says "member"."""
        return self.find_threshold()


@dataclass(frozen=True)
class Rehearsal:
    """Labelled rows of the attacker's own models: logits [rows, classes], true classes, and who was a member."""

    logits: np.ndarray
    labels: np.ndarray
    is_member: np.ndarray

    @classmethod
    def of(cls, logits: np.ndarray, labels: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]]) -> "Rehearsal":
        """Return every shadow model's answers for its members and its non-members.

        Parameters
        ----------
        logits : float [models, N, classes], for all images of the data set.
        labels : int [N].
        splits : the rows of the members and of the non-members of each model (`shadow_models.shadow_split`).
        """
        rows = [(model, inside, True) for model, (inside, _) in zip(logits, splits)] + [
            (model, outside, False) for model, (_, outside) in zip(logits, splits)
        ]
        return cls(
            np.concatenate([model[chosen] for model, chosen, _ in rows]),
            np.concatenate([np.asarray(labels)[chosen] for _, chosen, _ in rows]),
            np.concatenate([np.full(len(chosen), member) for _, chosen, member in rows]),
        )

    @cached_property
    def softmax(self) -> np.ndarray:
        """The softmax outputs, float64 [rows, classes]."""
        return softmax(self.logits, axis=1)


@dataclass(frozen=True)
class References:
    """Reference models, and which example was in which.

    Attributes
    ----------
    is_member : bool [models, n], who was a member of which model, from `shadow_models.membership_matrix`: models 2i
        and 2i + 1 are a pair.
    logits : float [models, n, queries, classes].
    labels : int [n].
    other_logits, other_labels : float [models, m, queries, classes], int [m], of examples that were in no model.
    """

    is_member: np.ndarray
    logits: np.ndarray
    labels: np.ndarray
    other_logits: np.ndarray
    other_labels: np.ndarray

    @cached_property
    def phi(self) -> np.ndarray:
        """The logit-scaled confidences, float64 [models, n, queries]."""
        return np.stack([logit_confidence(logits, self.labels) for logits in self.logits])

    @cached_property
    def p(self) -> np.ndarray:
        """The probabilities of the true class, float64 [models, n, queries]."""
        return np.stack([true_class(logits, self.labels) for logits in self.logits])

    @cached_property
    def other_p(self) -> np.ndarray:
        """The same of the other examples, float64 [models, m, queries]."""
        return np.stack([true_class(logits, self.other_labels) for logits in self.other_logits])

    @property
    def rehearsal(self) -> Rehearsal:
        """Every model's answer for every example as rows."""
        rows = self.logits[:, :, 0]
        return Rehearsal(rows.reshape(-1, rows.shape[-1]), np.tile(self.labels, len(rows)), self.is_member.ravel())

    def answers(self, model: int) -> Answers:
        """Return what one reference model answers, to attack it as if it were a target."""
        answers = Answers(self.logits[model], self.labels, self.other_logits[model], self.other_labels)
        vars(answers).update({name: getattr(self, name)[model] for name in ("phi", "p", "other_p")})
        return answers

    def without(self, model: int) -> "References":
        """Return all models but this one and its partner, whose members are exactly the others.

        With the partner among the references, an example that is in fewer than half of them would
        thereby be known to be a member.
        """
        return self[np.arange(len(self.is_member)) // 2 != model // 2]

    def __getitem__(self, which: slice | np.ndarray) -> "References":
        """Return some of the models."""
        subset = References(
            self.is_member[which], self.logits[which], self.labels, self.other_logits[which], self.other_labels
        )
        computed = {name: getattr(self, name)[which] for name in ("phi", "p", "other_p")}
        vars(subset).update(computed)  # The properties would compute these again for every model that is left out.
        return subset
