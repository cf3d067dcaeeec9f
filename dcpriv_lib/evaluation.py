"""How attacks are judged, and by which rules a verdict follows from the numbers."""

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from . import audit, metrics, tables
from .attacks import Answers, Attack, References

MEASURES = {"auc": "AUC", "tpr": "TPR at 1 % FPR", "low_tpr": "TPR at 0.1 % FPR", "above_all": "TPR at 0 % FPR"}  # what a verdict reads
POWER = 0.8  # with which a detectable leak would have been found
LEAD = 0.001  # of an AUC or a rate; a smaller one is an accident of a few models, and should not choose the attack


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
    """Return the measure of the strong attacks: true positives at low false positive rates, and epsilon.

    "right_of_ten": how many of the ten with the highest scores are members.
    """
    def measure(score, says_member, key):
        rng, is_member = study.rng("strong", *key), study.is_member
        low_fpr = rates_at_low_fpr(score, is_member, rng)
        return {"non_members": int((~is_member).sum())} | metrics.evaluate(score, says_member, is_member, rng) | low_fpr | {
            "best_balanced_accuracy": metrics.best_balanced_accuracy(score, is_member),
            "epsilon": audit.epsilon(score, is_member, rng), "right_of_ten": int(is_member[np.argsort(-score)[:10]].sum())}
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


def examine(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray, others_like_them: bool = False) -> dict[str, float]:
    """Return how well one attack recognises members, mean over the models that were attacked.

    Parameters
    ----------
    scores : float [models, n], from `leave_pair_out`.
    inside, outside : bool [models, n], the members and the non-members to be told apart.
    others_like_them : whether the intervals, p-values and detectable values are to hold for other people of the same kind
        too, and not for these alone. Then the spread over people (delete-one jackknife, Tukey 1958) is added to that over pairs.
        For few people, as canaries are: it takes a computation a person.

    Returns
    -------
    For each of `MEASURES`: the mean, "_low" and "_high" (`over_pairs`, and for rates never narrower
    than if nobody, or everybody, had been found), "_chance" (what a guesser has), "_p" (one-sided, by Student's t, that the
    mean is no more than chance), "_error" (standard error) and "_detectable" (what would have been found in 8 of 10 repetitions, if it
    were the only question). A rate is NaN if the smallest number of non-members cannot resolve it. "above_all" is the share of members
    with a score above that of every non-member; it has a "_p" only where 1 % is not resolved, as among few canaries. "aa", "aa_low", "aa_high": the A/A control, the AUC of every other member against the members between
    them, expected to be one half. "n_members", "n_non_members", "pairs" and "freedom" (degrees): what all this rests on.
    """
    found = per_model(scores, inside, outside)
    n_members, n_others, pairs = float(inside.sum(1).mean()), float(outside.sum(1).mean()), len(scores) // 2
    chances = {"auc": 0.5, "tpr": _guessed(0.01, n_others), "low_tpr": _guessed(0.001, n_others), "above_all": 1 / (n_others + 1)}
    people = _over_people(scores, inside, outside) if others_like_them else dict.fromkeys(found, 0.0)
    row = {}
    for name, values in found.items():
        mean, error, freedom = _mean_and_error(values)
        error, chance = np.hypot(error, people[name]), chances[name]
        reach = error * stdtrit(freedom, (1 + metrics.LEVEL) / 2)
        ends = [float(np.clip(end, 0, 1)) for end in (mean - reach, mean + reach)]
        if name != "auc":  # a pair has twice n_members answers, and `over_pairs` counts half of them
            ends = metrics.beyond_none_and_all(*ends, int(n_members * pairs))
            error = max(error, np.sqrt(chance * (1 - chance) / max(n_members * pairs, 1)))  # of a guesser, where nobody was found
        row |= {name: mean, f"{name}_low": ends[0], f"{name}_high": ends[1], f"{name}_chance": chance,
                f"{name}_p": _p_value(mean - chance, error, freedom) if name != "above_all" or np.isnan(row["tpr"]) else np.nan,
                f"{name}_error": float(error),
                f"{name}_detectable": chance + _detectable(error, freedom)}
    every_other = inside & (np.cumsum(inside, axis=1) % 2 == 0)
    control = dict(zip(("aa", "aa_low", "aa_high"), over_pairs(aucs(scores, every_other, inside & ~every_other))))
    return row | control | {"n_members": n_members, "n_non_members": n_others, "pairs": pairs,
                            "freedom": _mean_and_error(found["auc"])[2]}


def per_model(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> dict[str, np.ndarray]:
    """Return the `MEASURES` of every model, float64 [models] each. The arguments are those of `examine`."""
    kinds = [(model[a], model[b]) for model, a, b in zip(scores, inside, outside)]
    return {name: np.array([measure(*kind) for kind in kinds]) for name, measure in _OF_MODEL.items()}


def per_model_by(best: dict[str, str], scores: dict[str, np.ndarray], inside: np.ndarray, outside: np.ndarray) -> dict[str, np.ndarray]:
    """Return what `per_model` does, each measure by its own attack. The arguments are those of `examine_by`."""
    found = {name: per_model(scores[name], inside, outside) for name in dict.fromkeys(best.values())}
    return {measure: found[name][measure] for measure, name in best.items()}


def _over_people(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
    """Return the standard errors of the means over the models that come from who was asked, by leaving out one after the other."""
    asked, left_out = np.flatnonzero((inside | outside).any(0)), []
    for person in asked:
        others = np.arange(scores.shape[1]) != person
        left_out.append({name: np.nanmean(values) if np.isfinite(values).any() else np.nan for name, values in
                         per_model(scores[:, others], inside[:, others], outside[:, others]).items()})
    return dict(np.sqrt((len(asked) - 1) * pd.DataFrame(left_out, columns=list(_OF_MODEL)).var(ddof=0)))


def _auc(members: np.ndarray, others: np.ndarray) -> float:
    """Return the share of pairs in which the member has the higher score, ties counting half; NaN without pairs."""
    if not len(members) or not len(others):
        return np.nan
    ordered = np.sort(others)
    return float(sum(np.searchsorted(ordered, members, side).mean() for side in ("left", "right")) / 2 / len(others))


def _tpr(members: np.ndarray, non_members: np.ndarray, fpr: float) -> float:
    return metrics.share_above(members, non_members, int(fpr * len(non_members))) if fpr * len(non_members) >= 1 else np.nan


def _guessed(fpr: float, non_members: float) -> float:
    """Return the true positive rate that a guesser has at the threshold that so many non-members give, on average."""
    return (int(fpr * non_members) + 1) / (non_members + 1)


_OF_MODEL = {"auc": _auc, "tpr": partial(_tpr, fpr=0.01), "low_tpr": partial(_tpr, fpr=0.001),
             "above_all": partial(metrics.share_above, allowed=0)}


def aucs(scores: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return the AUC of every model, float64 [models]; NaN where one side is empty. The arguments are those of `examine`."""
    return np.array([_auc(score[a], score[b]) for score, a, b in zip(scores, inside, outside)])


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
    """Return by which attack each measure of `examine` is to be read: the one with the highest AUC, and for rates the best at 1 % FPR.

    Who finds most on average need not find the few who are known by heart. The arguments are those of `best_attack`; where so few
    non-members were asked that no rate was resolved, all is read by the first of the two.
    """
    average = best_attack(examined, among)
    few = average if examined["tpr"].isna().any() else best_attack(examined, among, "tpr")
    return {name: average if name == "auc" else few for name in _OF_MODEL}


def examine_by(best: dict[str, str], scores: dict[str, np.ndarray], inside: np.ndarray, outside: np.ndarray,
               others_like_them: bool = False) -> dict[str, float]:
    """Return what `examine` does, each measure by its own attack.

    Parameters
    ----------
    best : from `best_attacks`.
    scores : attack to float [models, n]; the other arguments are those of `examine`.
    """
    rows = {name: examine(scores[name], inside, outside, others_like_them) for name in dict.fromkeys(best.values())}
    return {key: rows[best.get(re.sub("_(low|high|chance|p|error|detectable)$", "", key), best["auc"])][key] for key in rows[best["auc"]]}


def rate_text(rates: np.ndarray) -> str:
    """Return `over_pairs` of one rate a model as text, the interval kept between 0 and 100 %."""
    return tables.percent(*np.clip(over_pairs(rates), 0, 1))


def detectable(values: np.ndarray) -> float:
    """Return how far the mean of `over_pairs` must be from a value for its interval to exclude that one with a chance of `POWER`."""
    return _detectable(*_mean_and_error(values)[1:])


def _detectable(error: float, freedom: int, questions: int = 1) -> float:
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


# ---------------------------------------------------------------- the verdict

def holm(p: np.ndarray) -> np.ndarray:
    """Return the p-values of several questions, corrected for their number by Holm's step-down method (1979).

    The k-th smallest of m is multiplied by m - k + 1, and none is then smaller than one before it. Whoever believes what is
    below a level believes anything false with that chance at most, whatever the questions have to do with each other.

    Parameters
    ----------
    p : float [m], from 0 to 1; NaN is no question, and stays.
    """
    p, order = np.asarray(p, dtype=np.float64), np.argsort(p)  # NaN last
    asked = int(np.isfinite(p).sum())
    corrected = np.full(len(p), np.nan)
    corrected[order[:asked]] = np.maximum.accumulate(p[order[:asked]] * np.arange(asked, 0, -1)).clip(max=1)
    return corrected


def verdicts(frame: pd.DataFrame) -> list[str]:
    """Return what follows from rows of `examine`, one text each: by which measures members are recognised.

    Every row is asked once for each of `MEASURES` that its non-members resolve. A leak is believed if its one-sided p-value, corrected
    by `holm` for all these questions, is below 2.5 %. "perhaps" is said where it is so before the correction only. Unless a leak is
    believed, the text says which one would have been found in 8 of 10 repetitions.

    Parameters
    ----------
    frame : rows of `examine`. A column "ceiling", if there is one, holds the highest AUC that is possible (see `ceiling`), or NaN.
    """
    p = frame[[f"{name}_p" for name in MEASURES]].to_numpy(dtype=np.float64)
    level, questions = (1 - metrics.LEVEL) / 2, int(np.isfinite(p).sum())
    believed = holm(p.ravel()).reshape(p.shape) < level
    return [_verdict(row, *([name for name, yes in zip(MEASURES, which) if yes] for which in (of_row, by_itself)), questions)
            for (_, row), of_row, by_itself in zip(frame.iterrows(), believed, p < level)]


def _verdict(row: pd.Series, recognised: list[str], by_itself: list[str], questions: int) -> str:
    by = ", ".join(MEASURES[name].removesuffix(" FPR") for name in recognised or by_itself)
    if recognised:
        most = row.get("ceiling", np.inf)
        accident = f"; an AUC above {100 * most:.2f} % is not possible, the rest is accident"
        return f"recognised ({by})" + (accident if "auc" in recognised and row["auc"] > most else "")
    least = {name: row[f"{name}_chance"] + _detectable(row[f"{name}_error"], int(row["freedom"]), questions)
             for name in MEASURES if np.isfinite(row[f"{name}_p"])}
    told = [_with_value(MEASURES[name], value) for name, value in least.items() if value < 1]
    answer = f"perhaps ({by}), not after correction" if by_itself else "no leak detected"
    return f"{answer}; detectable: {', '.join(told)}" if told else "too few to say"


def _with_value(measure: str, value: float) -> str:
    """Return "TPR 1.4 % at 1 % FPR" for "TPR at 1 % FPR" and 0.014."""
    name, *at = measure.split(" ", 1)
    return " ".join([name, f"{100 * value:.{1 + (value < 0.01)}f} %", *at])


def luck(frame: pd.DataFrame) -> str:
    """Return the sentence to stand under a table of `verdicts`: how many of its questions luck alone would answer.

    Parameters
    ----------
    frame : rows of `examine`, those of one table.
    """
    p = frame[[f"{name}_p" for name in MEASURES]].to_numpy(dtype=np.float64).ravel()
    p, level = p[np.isfinite(p)], (1 - metrics.LEVEL) / 2
    missed = int(((frame["aa_low"] > 0.5) | (frame["aa_high"] < 0.5)).sum())
    return (f"{len(p)} questions are asked in these {len(frame)} rows. If nothing leaked, about {level * len(p):.1f} of them would look like a "
            f"leak by luck; {(p < level).sum()} do, and {(holm(p) < level).sum()} still do after Holm's correction, which decides. "
            f"The A/A control, members against members, should hold 50 % in 95 of 100 rows; it misses it in {missed} of {len(frame)}.")


def examined_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `examine` rows as text, with the A/A control and a verdict each."""
    ends = ("", "_low", "_high", "_chance", "_p", "_error", "_detectable")
    numbers = {name + end for name in (*MEASURES, "aa") for end in ends}
    others = frame[[name for name in frame if name not in numbers | {"n_members", "n_non_members", "freedom", "ceiling"}]]
    asked = {name: title for name, title in MEASURES.items() if frame[f"{name}_p"].notna().any()} | {"aa": "A/A"}
    return others.assign(**{title: tables.rates(frame, name) for name, title in asked.items()}, answer=verdicts(frame))


# ---------------------------------------------------------------- what a random subset can give away at most

def ceiling(shown: float, members: float) -> float:
    """Return the highest AUC that any attack can have on members of whom a random choice was used, on average.

    n of N members are drawn at random; whatever is made of them, models or published images, is (0, n/N)-differentially private.
    Whoever was not drawn has no influence, and so scores like a non-member. Thus, at every threshold,

        TPR <= FPR + n/N,   and   AUC = 1/2 + (n/N) (AUC_drawn - 1/2) <= 1/2 + n / (2 N).

    Parameters
    ----------
    shown, members : n and N.
    """
    return 0.5 + shown / members / 2


def of_subset(values: np.ndarray, chance: float, share: float) -> np.ndarray:
    """Return what models of a random choice of the members give away about all of them, from what they give away about those chosen.

    The members who were not chosen are left to chance, by the theorem of `ceiling`, and need not be asked: what is measured of
    them is noise around it.

    Parameters
    ----------
    values : float [models], an AUC or a true positive rate among those chosen.
    chance : what a guesser has.
    share : of the members who were chosen, 0 to 1.
    """
    return chance + share * (np.asarray(values) - chance)
