"""Membership inference attacks: from a model's answers to "member" or "not a member".

An attack is a function that prepares itself on what the attacker knows, and returns an `Attack`:
a score for every example, higher for "member", and the threshold from which it says "member". To
add one, write such a function and name it in `PAPER` (fitted to shadow models) or `STRONG`
(fitted to reference models); every table, figure and test that lists attacks then has it.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve

from . import lira, rmia
from .attack import SMALLEST_POSITIVE, Answers, Attack, References, Rehearsal
from .signals import losses

RMIA_A_GRID = (0.0, 0.25, 0.5, 0.75, 1.0)  # The values of `a` that offline RMIA chooses from.
# An attack with one rule for everybody is fitted to the answers of so many reference models. All 32 of them instead
# moved an AUC on the digits by 0.1 points.
MODELS_FOR_ONE_RULE = 8


# ---------------------------------------------------------------- one rule for everybody


def loss_threshold(member_losses: np.ndarray, non_member_losses: np.ndarray) -> float:
    """Return the tau that best separates the shadow models' losses (paper, section 2.1).

    "Member iff loss <= tau" is right most often, members and non-members weighing the
    same. Of equally good thresholds the smallest is returned; it is one of the losses,
    or -inf if no threshold beats guessing (then nobody is called a member).

    Parameters
    ----------
    member_losses, non_member_losses : float [n], [m], of the shadow models.
    """
    scores = -np.concatenate([member_losses, non_member_losses])
    is_member = np.repeat([1, 0], [len(member_losses), len(non_member_losses)])
    false_positive, true_positive, thresholds = roc_curve(is_member, scores, drop_intermediate=False)
    return float(-thresholds[np.argmax(true_positive - false_positive)])


def rows_per_class(labels: np.ndarray, is_member: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield every class and its rows, bool [n]; ValueError if one has no member or no non-member."""
    for label in np.unique(labels):
        rows = labels == label
        if len(np.unique(is_member[rows])) < 2:
            raise ValueError(
                f"class {label} has only {'members' if is_member[rows][0] else 'non-members'} "
                "among the shadow models' rows: choose a larger ds"
            )
        yield int(label), rows


def loss_threshold_per_class(losses: np.ndarray, labels: np.ndarray, is_member: np.ndarray) -> dict[int, float]:
    """Return the `loss_threshold` tau_c of every true class c (after Song & Mittal 2021).

    Parameters
    ----------
    losses : float [n], nats, of the shadow models.
    labels : int [n], the true classes.
    is_member : bool [n].

    Raises
    ------
    ValueError
        If a class has no member or no non-member among the rows.
    """
    return {
        label: loss_threshold(losses[rows & is_member], losses[rows & ~is_member])
        for label, rows in rows_per_class(labels, is_member)
    }


def score_loss_per_class(thresholds: dict[int, float], losses: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return tau_y - loss, float64 [n]: "member" where it is >= 0; -inf where no loss separates class y.

    Parameters
    ----------
    thresholds : tau in nats a class, from `loss_threshold_per_class`.
    losses : float [n], nats, of the target.
    labels : int [n], the true classes y.

    Raises
    ------
    ValueError
        If a class has no threshold.
    """
    classes, position = np.unique(labels, return_inverse=True)
    if missing := sorted(set(classes.tolist()) - set(thresholds)):
        raise ValueError(
            f"no threshold for the classes {missing}: the shadow models' rows must hold every class "
            "of the target's; choose a larger ds"
        )
    return np.array([thresholds[label] for label in classes.tolist()])[position] - losses


def fit_per_class(
    estimators: dict[int, BaseEstimator] | BaseEstimator,
    features: np.ndarray,
    labels: np.ndarray,
    is_member: np.ndarray,
) -> dict[int, BaseEstimator]:
    """Fit one attack model per true class (Shokri et al. 2017).

    Parameters
    ----------
    estimators : an unfitted scikit-learn classifier, or one a class.
    features : float [n, classes], the shadow models' softmax outputs.
    labels : int [n], the true classes.
    is_member : bool [n].

    Returns
    -------
    dict of class to fitted classifier.

    Raises
    ------
    ValueError
        If a class has no member or no non-member among the rows.
    """
    fitted = {}
    for label, rows in rows_per_class(labels, is_member):
        estimator = estimators[label] if isinstance(estimators, dict) else estimators
        fitted[label] = clone(estimator).fit(features[rows], is_member[rows])
    return fitted


def score_per_class(models: dict[int, BaseEstimator], features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each example's attack score, float64 [n], from the attack model of its class.

    The score is the classifier's decision function; "member" is decided where it is
    positive (for a logistic regression: probability above 0.5). The arguments are those
    of `fit_per_class`.
    """
    scores = np.empty(len(labels))
    for label in np.unique(labels):
        rows = labels == label
        scores[rows] = models[int(label)].decision_function(features[rows])
    return scores


def fit_loss_threshold(known: Rehearsal) -> Attack:
    """Return the attack "member iff loss <= tau" (paper, section 2.1); its score is minus the loss."""
    loss = losses(known.logits, known.labels)
    tau = loss_threshold(loss[known.is_member], loss[~known.is_member])
    return Attack(lambda answers: -losses(answers.logits[:, 0], answers.labels), lambda: -tau)


def fit_loss_threshold_per_class(known: Rehearsal) -> Attack:
    """Return the loss threshold with a tau of every true class."""
    thresholds = loss_threshold_per_class(losses(known.logits, known.labels), known.labels, known.is_member)
    return Attack(
        lambda answers: score_loss_per_class(thresholds, losses(answers.logits[:, 0], answers.labels), answers.labels),
        lambda: 0.0,
    )


def fit_classifiers(estimators: dict[int, BaseEstimator] | BaseEstimator, known: Rehearsal) -> Attack:
    """Return the attack of one classifier a true class, from the softmax to membership (Shokri et al. 2017).

    `estimators` are those of `fit_per_class`.
    """
    models = fit_per_class(estimators, known.softmax, known.labels, known.is_member)
    return Attack(
        lambda answers: score_per_class(models, softmax(answers.logits[:, 0], axis=1), answers.labels),
        lambda: SMALLEST_POSITIVE,
    )


def fit_logistic_regression(known: Rehearsal) -> Attack:
    """Return the attack of the paper's published code: a logistic regression a class."""
    return fit_classifiers(LogisticRegression(max_iter=1000), known)


# ---------------------------------------------------------------- each example compared with itself


def fit_lira(ratio: Callable[..., np.ndarray], fixed_variance: bool, known: References) -> Attack:
    """Return LiRA with `ratio`, `lira.online` or `lira.offline`."""
    return rehearsed(
        lambda references: (
            lambda answers: ratio(references.phi, references.is_member, answers.phi, fixed_variance=fixed_variance)
        ),
        known,
    )


def fit_bayesian_lira(known: References) -> Attack:
    """Return LiRA with priors, `lira.bayesian`: made for few reference models."""
    return rehearsed(
        lambda references: lambda answers: lira.bayesian(references.phi, references.is_member, answers.phi), known
    )


def fit_rmia_online(known: References) -> Attack:
    """Return online RMIA, whose p(x) comes from the models with x and those without."""
    return rehearsed(lambda references: rmia_score(references, None), known, needs_others=True)


def fit_rmia(known: References) -> Attack:
    """Return offline RMIA, with the `a` that attacks one reference model best with the others."""

    def prepare(references: References) -> Callable[[Answers], np.ndarray]:
        auc_of = rmia_by_a(references)
        return rmia_score(references, max(auc_of, key=lambda a: auc_of[a]))

    return rehearsed(prepare, known, needs_others=True)


def rmia_score(references: References, a: float | None) -> Callable[[Answers], np.ndarray]:
    """Return RMIA's score for one `a` (`rmia.offline_prior`), or the online score if `a` is None.

    The attacker's own examples z are in no model, so online their p(z) is the mean over all models. That is
    another scale than that of p(x), which moves all shares but leaves the ranking of the x as it is.
    """
    nowhere = np.zeros(references.other_p.shape[:2], dtype=bool)
    prior = (
        rmia.online_prior(references.p, references.is_member)
        if a is None
        else rmia.offline_prior(references.p, references.is_member, a)
    )
    other_prior = rmia.offline_prior(references.other_p, nowhere, 1.0 if a is None else a)
    return lambda answers: rmia.scores(answers.p, prior, answers.other_p, other_prior)


def rmia_by_a(references: References) -> dict[float, float]:
    """Return the AUC of RMIA against reference model 0, attacked with the others, for every `a` of `RMIA_A_GRID`."""
    remaining, answers = references.without(0), references.answers(0)
    return {a: float(roc_auc_score(references.is_member[0], rmia_score(remaining, a)(answers))) for a in RMIA_A_GRID}


def rehearsed(
    prepare: Callable[[References], Callable[[Answers], np.ndarray]], known: References, needs_others: bool = False
) -> Attack:
    """Return the attack that ``prepare(known)`` scores, with its threshold.

    The attacker attacks reference model 0, whose members they know, with the others, and takes the
    threshold that would have been right most often.
    """

    def find_threshold() -> float:
        score = prepare(known.without(0))(known.answers(0))
        return -loss_threshold(-score[known.is_member[0]], -score[~known.is_member[0]])

    return Attack(prepare(known), find_threshold, needs_others)


def from_rows(fit: Callable[[Rehearsal], Attack], known: References) -> Attack:
    """Return an attack with one rule for everybody, fitted to the rows of the first few reference models."""
    return fit(known[:MODELS_FOR_ONE_RULE].rehearsal)


# The paper's attacks. The SVM of its text is `fit_classifiers` with the parameters that `svm.grid_search` chooses.
PAPER = {"loss threshold": fit_loss_threshold, "logistic regression": fit_logistic_regression}
STRONG = {
    "loss threshold": partial(from_rows, fit_loss_threshold),
    "loss threshold per class": partial(from_rows, fit_loss_threshold_per_class),
    "shadow classifier": partial(from_rows, fit_logistic_regression),
    "LiRA online, fixed variance": partial(fit_lira, lira.online, True),
    "LiRA online, own variance": partial(fit_lira, lira.online, False),
    "LiRA offline, fixed variance": partial(fit_lira, lira.offline, True),
    "LiRA offline, own variance": partial(fit_lira, lira.offline, False),
    "Bayesian LiRA": fit_bayesian_lira,
    "RMIA online": fit_rmia_online,
    "RMIA offline": fit_rmia,
}


# The strong attacks that notebooks 7 and 9 choose from (`examination.best_attack`). There is one for each idea that is
# worth its time on many small populations, and those that need few models come first.
CANDIDATES = ("Bayesian LiRA", "RMIA online", "LiRA online, fixed variance", "LiRA offline, fixed variance")
