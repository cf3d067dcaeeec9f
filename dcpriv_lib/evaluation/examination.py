"""Every model a target: how well members are recognised, with intervals over models and the smallest leak that would be
found."""

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from .. import metrics
from ..attacks.attack import References

MEASURES = {
    "auc": "AUC",
    "tpr": "TPR at 1 % FPR",
    "low_tpr": "TPR at 0.1 % FPR",
    "above_all": "TPR at 0 % FPR",
}  # what a verdict reads
POWER = 0.8  # with which a detectable leak would have been found
LEAD = 0.001  # of an AUC or a rate; a smaller one is an accident of a few models, and should not choose the attack


# ---------------------------------------------------------------- every model a target


def leave_pair_out(references: References, suite: dict[str, Callable]) -> dict[str, np.ndarray]:
    """Attack every reference model with the others, its partner left out.

    The membership of a reference model was decided by a coin, so on average over coins an attack that knows
    nothing has an AUC of one half: no luck of one split has to be allowed for.

    Parameters
    ----------
    references : models in complementary pairs.
    suite : name to a function that prepares the attack on some reference models, as in `suites.STRONG`.

    Returns
    -------
    dict of name to scores, float64 [models, n].
    """
    scores = {name: np.empty(references.is_member.shape) for name in suite}
    for model in range(len(references.is_member)):
        others, answers = references.without(model), references.answers(model)
        for name, prepare in suite.items():
            scores[name][model] = prepare(others).score(answers)
    return scores


def examine(
    scores: np.ndarray, inside: np.ndarray, outside: np.ndarray, others_like_them: bool = False
) -> dict[str, float]:
    """Return how well one attack recognises members, mean over the models that were attacked.

    Parameters
    ----------
    scores : float [models, n], from `leave_pair_out`.
    inside, outside : bool [models, n], the members and the non-members to be told apart.
    others_like_them : whether the intervals, p-values and detectable values are to hold for other people of the same
        kind too, and not for these alone. Then the spread over people (delete-one jackknife, Tukey 1958) is added to
        that over pairs. For few people, as canaries are: it takes a computation a person.

    Returns
    -------
    For each of `MEASURES`: the mean, "_low" and "_high" (`over_pairs`, and for rates never narrower
    than if nobody, or everybody, had been found), "_chance" (what a guesser has), "_p" (one-sided, by Student's t, that
    the mean is no more than chance), "_error" (standard error) and "_detectable" (what would have been found in 8 of 10
    repetitions, if it were the only question). A rate is NaN if the smallest number of non-members cannot resolve it.
    "above_all" is the share of members with a score above that of every non-member; it has a "_p" only where 1 % is not
    resolved, as among few canaries. "aa", "aa_low", "aa_high": the A/A control, the AUC of every other member against
    the members between them, expected to be one half. "n_members", "n_non_members", "pairs" and "freedom" (degrees):
    what all this rests on.
    """
    found = per_model(scores, inside, outside)
    n_members, n_others, pairs = float(inside.sum(1).mean()), float(outside.sum(1).mean()), len(scores) // 2
    chances = {
        "auc": 0.5,
        "tpr": _guessed(0.01, n_others),
        "low_tpr": _guessed(0.001, n_others),
        "above_all": 1 / (n_others + 1),
    }
    people = _over_people(scores, inside, outside) if others_like_them else dict.fromkeys(found, 0.0)
    row = {}
    for name, values in found.items():
        row |= _examine_measure(name, values, people[name], chances[name], n_members * pairs)
    if not np.isnan(row["tpr"]):
        row["above_all_p"] = np.nan
    every_other = inside & (np.cumsum(inside, axis=1) % 2 == 0)
    control = dict(zip(("aa", "aa_low", "aa_high"), over_pairs(aucs(scores, every_other, inside & ~every_other))))
    return (
        row
        | control
        | {
            "n_members": n_members,
            "n_non_members": n_others,
            "pairs": pairs,
            "freedom": _mean_and_error(found["auc"])[2],
        }
    )


def _examine_measure(
    name: str, values: np.ndarray, over_people: float, chance: float, answers: float
) -> dict[str, float]:
    """Return what `examine` says of one measure.

    Parameters
    ----------
    values : of every model, float [models].
    over_people : the standard error of their mean that comes from who was asked.
    chance : what a guesser has.
    answers : how many members were asked about, counted as `over_pairs` does: half of a pair's answers.
    """
    mean, error, freedom = _mean_and_error(values)
    error = np.hypot(error, over_people)
    reach = error * stdtrit(freedom, (1 + metrics.LEVEL) / 2)
    ends = [float(np.clip(end, 0, 1)) for end in (mean - reach, mean + reach)]
    if name != "auc":
        ends = metrics.beyond_none_and_all(*ends, int(answers))
        error = max(error, np.sqrt(chance * (1 - chance) / max(answers, 1)))  # of a guesser, where nobody was found
    return {
        name: mean,
        f"{name}_low": ends[0],
        f"{name}_high": ends[1],
        f"{name}_chance": chance,
        f"{name}_p": _p_value(mean - chance, error, freedom),
        f"{name}_error": float(error),
        f"{name}_detectable": chance + detectable_at(error, freedom),
    }


def per_model(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> dict[str, np.ndarray]:
    """Return the `MEASURES` of every model, float64 [models] each. The arguments are those of `examine`."""
    kinds = [(model[a], model[b]) for model, a, b in zip(scores, inside, outside)]
    return {name: np.array([measure(*kind) for kind in kinds]) for name, measure in _OF_MODEL.items()}


def per_model_by(
    best: dict[str, str], scores: dict[str, np.ndarray], inside: np.ndarray, outside: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what `per_model` does, each measure by its own attack. The arguments are those of `examine_by`."""
    found = {name: per_model(scores[name], inside, outside) for name in dict.fromkeys(best.values())}
    return {measure: found[name][measure] for measure, name in best.items()}


def _over_people(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
    """Return the standard errors of the means over the models that come from who was asked, by leaving out one after
    the other."""
    asked = (inside | outside).any(0)
    scores, inside, outside = scores[:, asked], inside[:, asked], outside[:, asked]
    left_out = []
    for person in range(scores.shape[1]):
        others = np.arange(scores.shape[1]) != person
        left_out.append(
            {
                name: np.nanmean(values) if np.isfinite(values).any() else np.nan
                for name, values in per_model(scores[:, others], inside[:, others], outside[:, others]).items()
            }
        )
    return dict(np.sqrt((len(left_out) - 1) * pd.DataFrame(left_out, columns=list(_OF_MODEL)).var(ddof=0)))


def _auc(members: np.ndarray, others: np.ndarray) -> float:
    """Return the share of pairs in which the member has the higher score, ties counting half; NaN without pairs."""
    if not len(members) or not len(others):
        return np.nan
    ordered = np.sort(others)
    return float(sum(np.searchsorted(ordered, members, side).mean() for side in ("left", "right")) / 2 / len(others))


def _tpr(members: np.ndarray, non_members: np.ndarray, fpr: float) -> float:
    return (
        metrics.share_above(members, non_members, int(fpr * len(non_members)))
        if fpr * len(non_members) >= 1
        else np.nan
    )


def _guessed(fpr: float, non_members: float) -> float:
    """Return the true positive rate that a guesser has at the threshold that so many non-members give, on average."""
    return (int(fpr * non_members) + 1) / (non_members + 1)


_OF_MODEL = {
    "auc": _auc,
    "tpr": partial(_tpr, fpr=0.01),
    "low_tpr": partial(_tpr, fpr=0.001),
    "above_all": partial(metrics.share_above, allowed=0),
}


def aucs(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return the AUC of every model, float64 [models]; NaN where one side is empty. The arguments are those of
    `examine`."""
    return np.array([_auc(score[a], score[b]) for score, a, b in zip(scores, inside, outside)])


def over_pairs(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of one value a model, and its 95 % interval by Student's t over the pairs of models.

    The two models of a pair are complements, so a pair's mean counts as one observation. Pairs have coins of
    their own and yet are not independent, being each other's references: what model j tells of an example
    in the examination of model k, k tells in that of j. If each value is a sum of such terms, one for each
    other pair, two values have a correlation of 1/(P - 1), P being the number of pairs. Their mean then has a variance
    of

        (s^2 / P) * 2 (P - 1) / (P - 2)

    with the sample variance s^2: more than twice that of independent values. This is the worst case, and online
    LiRA reaches it where nothing leaks; the plain formula would give 95 % intervals that hold in 80 to 89 % of the
    cases (tested).

    Parameters
    ----------
    values : float [models], models 2i and 2i + 1 being a pair; three pairs or more. NaN where a model has nobody to
        ask about: its partner then stands for the pair, and pairs without a value do not count. If fewer than three
        count, all three numbers are NaN.
    """
    mean, error, freedom = _mean_and_error(values)
    reach = error * stdtrit(freedom, (1 + metrics.LEVEL) / 2)
    return mean, mean - reach, mean + reach


def best_attack(examined: pd.DataFrame, among, measure: str = "auc") -> str:
    """Return which of some attacks found most by one of `MEASURES`; of those within `LEAD` of it the first.

    Parameters
    ----------
    examined : rows of `examine` with a column "attack".
    among : their names, in the order of preference.
    """
    found = examined.set_index("attack")[measure].loc[list(among)]
    return found.index[found >= found.max() - LEAD][0]


def best_attacks(examined: pd.DataFrame, among) -> dict[str, str]:
    """Return by which attack each measure of `examine` is to be read: the one with the highest AUC, and for rates the
    best at 1 % FPR.

    Who finds most on average need not find the few who are known by heart. The arguments are those of `best_attack`;
    where so few non-members were asked that no rate was resolved, all is read by the first of the two.
    """
    average = best_attack(examined, among)
    few = average if examined["tpr"].isna().any() else best_attack(examined, among, "tpr")
    return {name: average if name == "auc" else few for name in _OF_MODEL}


def examine_by(
    best: dict[str, str],
    scores: dict[str, np.ndarray],
    inside: np.ndarray,
    outside: np.ndarray,
    others_like_them: bool = False,
) -> dict[str, float]:
    """Return what `examine` does, each measure by its own attack.

    Parameters
    ----------
    best : from `best_attacks`.
    scores : attack to float [models, n]; the other arguments are those of `examine`.
    """
    rows = {name: examine(scores[name], inside, outside, others_like_them) for name in dict.fromkeys(best.values())}
    return {
        key: rows[best.get(re.sub("_(low|high|chance|p|error|detectable)$", "", key), best["auc"])][key]
        for key in rows[best["auc"]]
    }


def detectable(values: np.ndarray) -> float:
    """Return how far the mean of `over_pairs` must be from a value for its interval to exclude that one with a chance
    of `POWER`."""
    return detectable_at(*_mean_and_error(values)[1:])


def detectable_at(error: float, freedom: int, questions: int = 1) -> float:
    """Return the same for a standard error, when the least p-value of so many questions decides (Bonferroni).

    The usual approximation by two quantiles of Student's t, which is a little above the exact one of the
    noncentral t.
    """
    return float(error * (stdtrit(freedom, 1 - (1 - metrics.LEVEL) / 2 / questions) + stdtrit(freedom, POWER)))


def _p_value(above: float, error: float, freedom: int) -> float:
    """Return the chance of a mean so far above, or farther, if there is nothing; NaN for NaN."""
    if np.isnan(above) or np.isnan(error):
        return np.nan
    return float(stdtr(freedom, -above / error)) if error else float(above <= 0)


def aucs_by_class(
    scores: np.ndarray, inside: np.ndarray, outside: np.ndarray, labels: np.ndarray, classes: int
) -> np.ndarray:
    """Return `aucs` among the examples of every class, float64 [models, classes]; NaN where a class lacks one side."""
    return np.stack([aucs(scores, inside & (labels == c), outside & (labels == c)) for c in range(classes)], axis=1)


def _mean_and_error(values: np.ndarray) -> tuple[float, float, int]:
    if len(values) < 6:
        raise ValueError(
            f"{len(values)} models are {len(values) // 2} pairs: a spread over pairs needs three of them or more"
        )
    pairs = pd.DataFrame(np.asarray(values, dtype=np.float64).reshape(-1, 2)).mean(axis=1).dropna()
    if len(pairs) < 3:
        return np.nan, np.nan, 1
    variance = pairs.var(ddof=1) / len(pairs) * 2 * (len(pairs) - 1) / (len(pairs) - 2)
    return float(pairs.mean()), float(np.sqrt(variance)), len(pairs) - 1


# ---------------------------------------------------------------- the verdict


def holm(p: np.ndarray) -> np.ndarray:
    """Return the p-values of several questions, corrected for their number by Holm's step-down method (1979).

    The k-th smallest of m is multiplied by m - k + 1, and none is then smaller than one before it. Whoever believes
    what is below a level believes anything false with that chance at most, whatever the questions have to do with each
    other.

    Parameters
    ----------
    p : float [m], from 0 to 1; NaN is no question, and stays.
    """
    p, order = np.asarray(p, dtype=np.float64), np.argsort(p)  # NaN last
    asked = int(np.isfinite(p).sum())
    corrected = np.full(len(p), np.nan)
    corrected[order[:asked]] = np.maximum.accumulate(p[order[:asked]] * np.arange(asked, 0, -1)).clip(max=1)
    return corrected
