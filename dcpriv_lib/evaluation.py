"""How attacks are judged, and by which rules a verdict follows from the numbers."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from sklearn.metrics import roc_auc_score

from . import audit, metrics, tables
from .attacks import Answers, Attack, References

LEAD = 0.001  # of an AUC; a smaller one is an accident of a few models, and should not choose the attack


def judge(targets: dict[tuple, Answers], suite: dict[str, Attack], is_member: np.ndarray,
          measure: Callable[..., dict]) -> tuple[dict, pd.DataFrame]:
    """Run every attack against every target; those that need others' answers, which a target may lack, are left out there.

    Parameters
    ----------
    targets : (name, run) of a model to what it answers for the examples in question.
    suite : name to prepared attack.
    is_member : bool [n], the truth about the examples.
    measure : ``measure(scores, says_member, key)`` returns a dict of numbers; `usual` or `strong`.

    Returns
    -------
    scores : dict of (name, run, attack) to float64 [n].
    judged : DataFrame, one row a target, run and attack.
    """
    scores = {(*key, name): attack.score(answers) for key, answers in targets.items() for name, attack in suite.items()
              if answers.other_logits is not None or not attack.needs_others}
    rows = [dict(zip(("target", "run", "attack"), key)) | {"n": len(is_member)}
            | measure(score, score >= suite[key[-1]].threshold, key) for key, score in scores.items()]
    return scores, pd.DataFrame(rows)


def usual(study, labels: np.ndarray) -> Callable[..., dict]:
    """Return the measure of the paper: precision, recall, accuracy, and the AUC, with intervals.

    "constant_classes" counts the classes of which everybody, or nobody, is called a member.
    """
    def measure(score, says_member, key):
        same = [len(np.unique(says_member[labels == label])) == 1 for label in np.unique(labels)]
        return metrics.evaluate(score, says_member, study.is_member, study.rng("auc", *key)) | {
            "constant_classes": sum(same)}
    return measure


def strong(study) -> Callable[..., dict]:
    """Return the measure of the strong attacks: true positives at low false positive rates, and epsilon."""
    def measure(score, says_member, key):
        rng, is_member = study.rng("strong", *key), study.is_member
        low_fpr = rates_at_low_fpr(score, is_member, rng)
        return {"non_members": int((~is_member).sum())} | metrics.evaluate(score, says_member, is_member, rng) | low_fpr | {
            "best_balanced_accuracy": metrics.best_balanced_accuracy(score, is_member),
            "epsilon": audit.epsilon(score, is_member, rng)}
    return measure


def rates_at_low_fpr(score: np.ndarray, is_member: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Return `metrics.tpr_at_fpr` at every rate of `metrics.LOW_FPRS`: "tpr_at_0.01", "tpr_at_0.01_low" and so on."""
    found = {f"tpr_at_{fpr}": metrics.tpr_at_fpr(score, is_member, fpr, rng) for fpr in metrics.LOW_FPRS}
    return {name + end: value for name, triple in found.items() for end, value in zip(("", "_low", "_high"), triple)}


def ranking(score: np.ndarray, is_member: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Return what a score says without a threshold: AUC and true positive rates with intervals, and epsilon.

    Parameters
    ----------
    score : float [n], higher for "member".
    is_member : bool [n].
    rng : source of the resampling and of the halves for epsilon.
    """
    auc = dict(zip(("auc", "auc_low", "auc_high"), metrics.auc(score, is_member, rng)))
    return auc | rates_at_low_fpr(score, is_member, rng) | {"epsilon": audit.epsilon(score, is_member, rng)}


def mean_over_runs(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the runs of every target and attack, and the rates as text.

    The text, for instance "51.2 % [50.1, 52.3]", holds the mean of the runs' intervals. It
    does not shrink with the number of runs, since all runs are judged on the same examples.

    Parameters
    ----------
    judged : one row a target, run and attack, with the columns of `metrics.evaluate`.

    Returns
    -------
    DataFrame indexed by (target, attack) in the order of `judged`, with the means of its
    numeric columns, and a column "accuracy, text" (and so on) a rate.
    """
    mean = judged.groupby(["target", "attack"], sort=False).mean(numeric_only=True)
    return mean.assign(**{f"{name}, text": tables.rates(mean, name) for name in metrics.RATES})


def at_low_fpr(judged: pd.DataFrame) -> pd.DataFrame:
    """Return AUCs and true positive rates at low false positive rates as text, one row a target and attack.

    The spread is the standard deviation of the AUC over the runs, in points.

    Parameters
    ----------
    judged : one row a target, run and attack, measured by `strong`.
    """
    mean = mean_over_runs(judged)
    spread = judged.groupby(["target", "attack"], sort=False)["auc"].std()
    shown = pd.DataFrame({"AUC": mean["auc, text"],
                          "spread": (100 * spread).map("± {:.1f}".format).replace("± nan", "-")})
    for fpr in metrics.LOW_FPRS:
        names = [f"tpr_at_{fpr}{end}" for end in ("", "_low", "_high")]
        shown[f"TPR at {100 * fpr:g} % FPR"] = [tables.percent_at_fpr(*row[names], int(row["non_members"]))
                                                for _, row in mean.iterrows()]
    return shown.reset_index()


# ---------------------------------------------------------------- every model a target

def leave_pair_out(references: References, suite: dict[str, Callable]) -> dict[str, np.ndarray]:
    """Attack every reference model with the others, its partner left out.

    The membership of a reference model was decided by a coin, so on average over coins an attack that knows
    nothing has an AUC of one half: no luck of one split has to be allowed for.

    Parameters
    ----------
    references : models in complementary pairs.
    suite : name to a function that prepares the attack on some reference models, as in `attacks.STRONG`.

    Returns
    -------
    dict of name to scores, float64 [models, n].
    """
    scores = {name: np.empty(references.keep.shape) for name in suite}
    for model in range(len(references.keep)):
        others, answers = references.without(model), references.answers(model)
        for name, prepare in suite.items():
            scores[name][model] = prepare(others).score(answers)
    return scores


def examine(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
    """Return how well one attack recognises members, mean over the models that were attacked.

    Parameters
    ----------
    scores : float [models, n], from `leave_pair_out`.
    inside, outside : bool [models, n], the members and the non-members to be told apart.

    Returns
    -------
    "auc", "tpr" and "low_tpr" (at false positive rates of 1 and 0.1 %, NaN if the smallest number of
    non-members cannot resolve it) and "above_all" (the share of members with a score above
    that of every non-member; a guesser has 1 in the number of non-members and one), each also with "_low" and
    "_high" by `over_pairs`, and for the rates never narrower than if nobody, or everybody, had been found;
    "auc_detectable", the AUC that would have been told from one half in 8 of 10 repetitions; and "n_members",
    "n_non_members" and "pairs", what all this rests on.
    """
    kinds = [(model[a], model[b]) for model, a, b in zip(scores, inside, outside)]
    found = {"auc": aucs(scores, inside, outside),
             "tpr": [_tpr(*kind, 0.01) for kind in kinds],
             "low_tpr": [_tpr(*kind, 0.001) for kind in kinds],
             "above_all": [metrics.share_above(*kind, 0) for kind in kinds]}
    n_members, pairs = float(inside.sum(1).mean()), len(scores) // 2
    with_ends = {name: np.clip(over_pairs(np.array(values)), 0, 1).tolist() for name, values in found.items()}
    for name in ("tpr", "low_tpr", "above_all"):  # a pair has twice n_members answers, and `over_pairs` counts half of them
        rate, low, high = with_ends[name]
        with_ends[name] = rate, *metrics.beyond_none_and_all(low, high, int(n_members * pairs))
    return {name + end: value for name, triple in with_ends.items() for end, value in zip(("", "_low", "_high"), triple)} | {
        "auc_detectable": 0.5 + detectable(found["auc"]), "n_members": n_members,
        "n_non_members": float(outside.sum(1).mean()), "pairs": pairs}


def _tpr(members: np.ndarray, non_members: np.ndarray, fpr: float) -> float:
    return metrics.share_above(members, non_members, int(fpr * len(non_members))) if fpr * len(non_members) >= 1 else np.nan


def aucs(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return the AUC of every model, float64 [models]; NaN where one side is empty. The arguments are those of `examine`."""
    return np.array([roc_auc_score(a[a | b], score[a | b]) if a.any() and b.any() else np.nan
                     for score, a, b in zip(scores, inside, outside)])


def over_pairs(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of one value a model, and its 95 % interval by Student's t over the pairs of models.

    The two models of a pair are complements, so a pair's mean counts as one observation. Pairs have coins of
    their own and yet are not independent, being each other's references: what model j tells of an example
    in the examination of model k, k tells in that of j. If each value is a sum of such terms, one for each
    other pair, two values have a correlation of 1/(P - 1), P being the number of pairs. Their mean then has a variance of

        (s^2 / P) * 2 (P - 1) / (P - 2)

    with the sample variance s^2: more than twice that of independent values. This is the worst case, and online
    LiRA reaches it where nothing leaks; the plain formula would give 95 % intervals that hold in 80 to 89 % of the cases (tested).

    Parameters
    ----------
    values : float [models], models 2i and 2i + 1 being a pair; three pairs or more. NaN where a model has nobody to
        ask about: its partner then stands for the pair, and pairs without a value do not count. If fewer than three
        count, all three numbers are NaN.
    """
    mean, error, freedom = _mean_and_error(values)
    reach = error * stdtrit(freedom, (1 + metrics.LEVEL) / 2)
    return mean, mean - reach, mean + reach


def best_attack(examined: pd.DataFrame, among) -> str:
    """Return which of some attacks had the highest AUC; of those within `LEAD` of it the first.

    Parameters
    ----------
    examined : rows of `examine` with a column "attack".
    among : their names, in the order of preference.
    """
    auc = examined.set_index("attack")["auc"].loc[list(among)]
    return auc.index[auc >= auc.max() - LEAD][0]


def rate_text(rates: np.ndarray) -> str:
    """Return `over_pairs` of one rate a model as text, the interval kept between 0 and 100 %."""
    return tables.percent(*np.clip(over_pairs(rates), 0, 1))


def detectable(values: np.ndarray, power: float = 0.8) -> float:
    """Return how far the mean of `over_pairs` must be from a value for its interval to exclude that one with `power`.

    The usual approximation by two quantiles of Student's t, which is a little above the exact one of the
    noncentral t.
    """
    _, error, freedom = _mean_and_error(values)
    return float(error * (stdtrit(freedom, (1 + metrics.LEVEL) / 2) + stdtrit(freedom, power)))


def at_equal_accuracy(accuracy: np.ndarray, by_size: dict[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray | None:
    """Return the values that models of real images would have at the accuracy of others, between those of two sizes.

    On the straight line between the sizes that are a little less and a little more accurate, with weights 1 - w and w by the means,

        r_j = (1 - w) a_j + w b_j + s (x_j - (1 - w) l_j - w h_j),

    x being the accuracies of the models in question, l and h those of the two sizes, a and b their values, and s the slope of
    the line. The last term is zero on average. It carries the uncertainty of the accuracies into the interval `over_pairs`: who is
    more accurate by luck is compared with a luckier rival.

    Parameters
    ----------
    accuracy : float [models], the mean of which is to be reached.
    by_size : accuracies and values, float [models] each, of models of each size.

    Returns
    -------
    float [models], model by model; None where the mean accuracy is below the lowest or above the highest.
    """
    ordered = sorted(by_size.values(), key=lambda one: one[0].mean())
    for (low, a), (high, b) in zip(ordered, ordered[1:]):
        if low.mean() <= accuracy.mean() <= high.mean():
            width = high.mean() - low.mean()
            weight = (accuracy.mean() - low.mean()) / width if width > 0 else 0.5
            slope = (b.mean() - a.mean()) / width if width > 0 else 0.0
            return (1 - weight) * a + weight * b + slope * (accuracy - (1 - weight) * low - weight * high)
    return None


def above_as_accurate(right: np.ndarray, values: np.ndarray, real: list[tuple[np.ndarray, np.ndarray]],
                      measure: Callable[[np.ndarray], float], labels: np.ndarray,
                      rng: np.random.Generator) -> tuple[float, float, float] | None:
    """Return how far models are above models of real images that are as accurate, and the interval of `metrics.bootstrap`.

    What models of real images would have at this accuracy lies on the straight line between the two neighbours in accuracy.

    Parameters
    ----------
    right, values : bool [runs, n] each, which images the models in question have right, and what is measured of these images.
    real : the same two of models of real images, of several sizes.
    measure : ``measure(values)`` is a float, for instance a share or a spread.
    labels : int [n], the classes of the images.
    rng : source of the resampling.

    Returns
    -------
    difference, low, high; None if the accuracy is below the lowest or above the highest of the real ones.
    """
    def difference(right, values, *others):
        by_accuracy = sorted((clean.mean(), measure(one)) for clean, one in zip(others[::2], others[1::2]))
        return measure(values) - np.interp(right.mean(), *zip(*by_accuracy))
    accuracies = [clean.mean() for clean, _ in real]
    if not real or not min(accuracies) <= right.mean() <= max(accuracies):
        return None
    return metrics.bootstrap(difference, [right, values, *(one for pair in real for one in pair)], labels, rng)


def aucs_by_class(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray, labels: np.ndarray,
                  classes: int) -> np.ndarray:
    """Return `aucs` among the examples of every class, float64 [models, classes]; NaN where a class lacks one side."""
    return np.stack([aucs(scores, inside & (labels == c), outside & (labels == c)) for c in range(classes)], axis=1)


def _mean_and_error(values: np.ndarray) -> tuple[float, float, int]:
    if len(values) < 6:
        raise ValueError(f"{len(values)} models are {len(values) // 2} pairs: a spread over pairs needs three of them or more")
    pairs = pd.DataFrame(np.asarray(values, dtype=np.float64).reshape(-1, 2)).mean(axis=1).dropna()
    if len(pairs) < 3:
        return np.nan, np.nan, 1
    variance = pairs.var(ddof=1) / len(pairs) * 2 * (len(pairs) - 1) / (len(pairs) - 2)
    return float(pairs.mean()), float(np.sqrt(variance)), len(pairs) - 1


def recognised(row) -> str:
    """Return the verdict on what `examine` found: "recognised", or from which AUC on members would have been."""
    if row["auc_low"] > 0.5:
        return "recognised"
    if np.isnan(row["auc_low"]) or row["auc_detectable"] >= 1:
        return "too few to tell"
    return f"cannot be told; an AUC of {100 * row['auc_detectable']:.1f} % would have been"


def examined_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `examine` rows as text, with a verdict each."""
    numbers = {name + end for name in ("auc", "tpr", "low_tpr", "above_all") for end in ("", "_low", "_high")}
    others = frame[[name for name in frame if name not in numbers | {"auc_detectable", "n_members", "n_non_members"}]]
    texts = {title: tables.rates(frame, name) for name, title in (("auc", "AUC"), ("tpr", "TPR at 1 % FPR"))
             if frame[name].notna().any()}
    return others.assign(**texts, answer=[recognised(row) for _, row in frame.iterrows()])
