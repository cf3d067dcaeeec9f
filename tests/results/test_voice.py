"""What a table says in words: nothing that is not in it, for any rows, and no winner where intervals overlap."""

import functools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from dcpriv_lib.engine import paths
from dcpriv_lib.evaluation import examination
from dcpriv_lib.results import tables, voice
from dcpriv_lib.results.voice import asked, controls, guarantees, methods, properties, released, wording

COMMITTED = [path for path in sorted(paths.FIGURES.glob("*/*.csv")) if path.stem in voice.SENTENCES]
WITH_INTERVAL = re.compile(r"[-+]?[\d.]+(?: %| points)? \[[-\d.]+, [-\d.]+\]")


read = functools.cache(tables.read)


def committed(profile, name):
    return read(paths.FIGURES / profile / f"{name}.csv")


@pytest.mark.parametrize("name", sorted(file.stem for file in (paths.FIGURES / "quick").glob("*.csv")))
def test_every_table_that_has_a_sentence_speaks_in_the_run_of_this_code(name):
    """A column that was renamed would silence it."""
    assert name not in voice.SENTENCES or said_of_committed("quick", name)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_long_sentence_is_shown_in_its_parts_and_a_short_one_as_it_is(path):
    if not (said := voice.sentence(path.stem, read(path))):
        return
    lead, items = voice.parts(said)
    assert " ".join([lead] * bool(lead) + items) == said, "a word was lost"
    assert bool(items) <= (len(said.split()) > voice.LONG)
    for part in (lead, *items):
        assert part.count("(") == part.count(")") and part.count("[") == part.count("]"), "cut inside of brackets"
    shown = voice.markdown(path.stem, read(path))
    assert shown.startswith("**In words.**") and shown.count("\n- ") == len(items)


def test_how_somebody_was_asked_stands_before_the_list():
    said = voice.sentence("real_start", committed("quick", "real_start"))
    lead, items = voice.parts(said)
    assert lead == "Asked of one model, by somebody who trains reference models as its owner did:"
    assert [item.split()[0] for item in items] == ["average", "perhaps", "no", "Canaries", "no"]


NEW = "their columns have had other names since"
OLD = "their verdicts are in the words of an older code"
NO_SENTENCE = {
    "cifar-small/equal_accuracy": (NEW, "condensed above real"),
    "cifar-small/methods": (NEW, "AUC"),
    "cifar-small/methods_at_equal_accuracy": (NEW, "AUC, above real images"),
    "mnist-small/equal_accuracy": (NEW, "condensed above real"),
    "mnist-small/formal_privacy": (NEW, "method"),
    "mnist-small/methods": (NEW, "AUC"),
    "mnist-small/methods_at_equal_accuracy": (NEW, "AUC, above real images"),
    "paper/equal_accuracy": (NEW, "condensed above real"),
} | dict.fromkeys(
    [f"cifar-small/{name}" for name in ("canaries", "methods_ipc", "methods_shown", "real_start")]
    + [f"mnist-small/{name}" for name in ("canaries", "controls", "formal_verdict", "methods_ipc", "methods_shown")]
    + [f"mnist-small/{name}" for name in ("methods_start", "real_start", "verdict")]
    + [f"paper/{name}" for name in ("canaries", "controls", "verdict")],
    (OLD, ""),
)


def test_it_is_known_which_committed_tables_are_silent_and_why():
    """Whoever renames a column, or makes one of these tables anew, has to come here."""
    silent = {
        f"{path.parent.name}/{path.stem}": voice.lacks(path.stem, read(path))
        for path in COMMITTED
        if not voice.sentence(path.stem, read(path))
    }
    assert silent == {name: column for name, (_, column) in NO_SENTENCE.items()}


def test_a_column_that_is_missing_silences_a_table_and_a_mistake_does_not():
    frame = committed("digits", "every_model")
    assert voice.lacks("every_model", frame.drop(columns="AUC")) == "AUC"
    assert voice.sentence("every_model", frame.drop(columns="AUC")) == "" != voice.sentence("every_model", frame)


def test_a_name_that_a_sentence_does_not_know_is_a_mistake(monkeypatch):
    monkeypatch.setitem(voice.SENTENCES, "methods", lambda table: {"KIP": 1}[table.columns[0]])
    with pytest.raises(KeyError, match="method"):
        voice.sentence("methods", pd.DataFrame({"method": ["DM"]}))


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(0.01, 0.03, "more than"), (-0.03, -0.01, "less than"), (-0.01, 0.03, "no detected difference from")],
)
@pytest.mark.parametrize("word", ["yes", "supported", "contradicted", "no difference detected", "whatever"])
def test_the_gain_of_the_authors_sets_is_said_by_its_interval_and_not_by_a_word(low, high, says, word):
    row = {"images per class": 10, "trained on": "random images", "more?": word}
    gain = tables.points((low + high) / 2, low, high)
    said = asked.authors_retrained(pd.DataFrame([row | {"the condensed ones give": gain}]))
    assert f"gives {says} random images: {gain}" in said and ("detectable: 2.9 points" in said) == (low < 0 < high)
    assert asked.authors_retrained(pd.DataFrame([row | {"the condensed ones give": "-"}])) == ""


def test_what_was_detectable_is_said_by_every_measure():
    said = said_of_committed("digits", "canaries")
    assert "condensed from means (detectable: AUC 58.5 %, TPR 10.7 % at 0 % FPR)" in said


def said_of_committed(profile, name):
    return voice.sentence(name, committed(profile, name))


# ---------------------------------------------------------------- of the committed tables


def test_the_committed_digits_at_both_doors():
    said = said_of_committed("digits", "two_doors")
    assert said == (
        "Whoever holds the images and condenses as their owner did sees more than whoever may ask one model of them in "
        "10 of 10 kinds of sets (95 % intervals, not corrected for 10 questions); the largest difference is that in "
        "KIP (the interval overlaps with that of DC from means): AUC 78.9 % [78.3, 79.5] by the images, "
        "57.0 % [56.3, 57.6] by a model; in random an AUC above 58.35 % is not possible, the rest is accident."
    )


def test_the_committed_attacks_old_and_new():
    said = said_of_committed("digits", "every_model")
    assert "the best attack with one rule for everybody (loss threshold per class)" in said
    assert said.count("the newer one") == 2 and said.startswith("Asked of one model of all members")


def test_the_committed_targets_stand_beside_the_original_their_subset_and_the_control():
    table = committed("digits", "strong_attacks")
    said = asked.attacked_targets(table)
    assert re.search(
        r"condensed-10 has \S+ % \[[\d., ]+\] \(less than original, the interval overlaps with that of subset-10\)",
        said,
    )
    assert "condensed-50 has" in said and "the control, in which nothing can leak, has" in said
    assert asked.attacked_targets(table[table["target"] != "original"]) == ""
    assert re.search(r"the highest of 10 attacks[^;]*; by [^;]+ too, condensed-10", said)
    alone = asked.attacked_targets(table[table["target"] == "original"])
    assert alone.startswith("For somebody who may ask it, the original has") and "the highest of 10 attacks" in alone


def test_the_committed_comparison_at_equal_accuracy_says_what_was_detectable():
    said = said_of_committed("digits", "equal_accuracy")
    assert "condensed from means, AUC: no difference detected (+0.5 points [-0.5, 1.5]; detectable: 1.4 points)" in said
    assert "condensed from means, TPR at 1 % FPR: leaks less (-0.6 points [-0.9, -0.2]" in said
    on_mnist = said_of_committed("paper", "equal_accuracy")
    assert not on_mnist or "complete protection is not excluded" in on_mnist


def test_the_committed_sets_of_the_authors():
    said = said_of_committed("authors", "authors_retrained")
    assert (
        "at 10 images a class the authors' one set gives more than random images: +9.7 points [6.9, 12.6]"
        in said.lower()
    )
    assert "at 50 images a class the authors' one set gives less than random images: -1.1 points [-1.9, -0.3]" in said


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_sentence_is_wider_than_its_table(path):
    frame = read(path)
    said, words = voice.sentence(path.stem, frame), tables.markdown(frame)
    assert all(number in words for number in WITH_INTERVAL.findall(said)), said
    assert not re.search(r"\bnan\b|None|\(\)|nobody|never|  ", said), said
    assert said == "" or (said[0].isupper() and said.endswith("."))


@pytest.mark.parametrize("name", sorted(voice.SENTENCES))
def test_every_table_that_is_spoken_of_is_made_by_a_notebook(name):
    sources = "".join(path.read_text() for path in paths.NOTEBOOKS.glob("[01]*.py"))
    assert f'"{name}"' in sources


@pytest.mark.parametrize("name", sorted({path.stem for path in COMMITTED}))
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_rows_may_be_missing_or_in_another_order(name, data):
    """Another profile makes fewer rows, or one; what is said is then about these."""
    path = data.draw(st.sampled_from([path for path in COMMITTED if path.stem == name]))
    frame = read(path)
    rows = data.draw(st.lists(st.sampled_from(range(len(frame))), min_size=1, unique=True))
    some = frame.iloc[rows].reset_index(drop=True)
    said, words = voice.sentence(name, some), tables.markdown(some)
    assert all(number in words for number in WITH_INTERVAL.findall(said)), said
    assert voice.sentence(name, frame.iloc[:0]) == ""


def test_names_of_sets_are_shown_and_are_no_markup():
    frame = committed("digits", "two_doors").replace("KIP", "<b>*KIP*</b>")
    assert "<b>" not in voice.markdown("two_doors", frame) and "KIP" in voice.markdown("two_doors", frame)
    assert voice.markdown("no such table", frame) == "" == voice.markdown("epsilon", frame[:0])


# ---------------------------------------------------------------- for any numbers


@st.composite
def cells(draw, write=tables.percent, low=0.0, high=1.0):
    """An interval somewhere between `low` and `high`, of any width, none too."""
    ends = sorted(draw(st.tuples(*[st.floats(low, high)] * 3)))
    return write(ends[1], ends[0], ends[2])


@settings(max_examples=40, deadline=None)
@given(cells(), cells())
def test_a_winner_is_named_only_where_the_intervals_lie_apart(a, b):
    (_, a_low, a_high), (_, b_low, b_high) = wording.interval(a), wording.interval(b)
    said = wording.beside(a, b)
    assert (said == "more") == (a_low > b_high) and (said == "less") == (a_high < b_low)
    assert wording.beside(b, a) == {"more": "less", "less": "more"}.get(said, said)
    assert wording.beside(a, a) == "the intervals overlap"  # a tie


@settings(max_examples=40, deadline=None)
@given(cells(), cells())
def test_the_newer_attack_sees_more_only_beyond_the_interval_of_the_older(old, new):
    frame = pd.DataFrame({"attack": ["loss threshold", "RMIA online"], "AUC": [old, new]})
    said = asked.every_model(frame)
    assert ("the newer one sees more" in said) == (wording.interval(new)[1] > wording.interval(old)[2])
    assert ("the older one sees more" in said) == (wording.interval(old)[1] > wording.interval(new)[2])
    assert asked.every_model(frame[:1]) == asked.every_model(frame[1:]) == ""


ANSWERS = {
    "recognised (AUC)": wording.RECOGNISED,
    "perhaps (AUC), not after correction; detectable: AUC 56.9 %, TPR 3.2 % at 1 % FPR": wording.PERHAPS,
    "no leak detected; detectable: AUC 60.1 %, TPR 3.9 % at 1 % FPR": wording.UNDETECTED,
    "no leak detected; detectable: TPR 26.7 % at 0 % FPR": wording.UNDETECTED,
    "too few to say": wording.TOO_FEW,
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABCDE"), cells(), st.sampled_from(sorted(ANSWERS))), min_size=1, max_size=9))
def test_every_name_stands_once_under_its_strongest_verdict(rows):
    said = wording.by_verdict(rows)
    strength = list(dict.fromkeys(ANSWERS.values()))
    begins = ("members are recognised", "perhaps", "no leak", "too few")
    for name in {row[0] for row in rows}:
        best = min((ANSWERS[answer] for one, _, answer in rows if one == name), key=strength.index)
        (clause,) = [
            part for part in said.split("; ") if re.search(rf"\b{name}\b(?! \d)", part.partition(" (highest")[0])
        ]
        assert begins[strength.index(best)] in clause, said
    undetected = [part for part in said.split("; ") if "no leak" in part]
    assert all("detectable: " in part for part in undetected)


def test_of_many_names_the_first_stand_and_how_many_more():
    rows = [(f"set {n}", tables.percent(0.5, 0.4, 0.6), "no leak detected; detectable: AUC 60.0 %") for n in range(9)]
    assert wording.by_verdict(rows) == (
        "no leak of members was detected in set 0, set 1, set 2, set 3, set 4 and 4 more "
        "(detectable: from AUC 60.0 % to AUC 60.0 %)"
    )
    assert wording.names(["DM, epsilon 1", "GAN"]) == "'DM, epsilon 1' and GAN"
    assert wording.names(["1.2 % [0.2, 2.5] of A", "B (+1 [0, 2], x)"]) == "1.2 % [0.2, 2.5] of A and B (+1 [0, 2], x)"


def test_the_words_of_older_verdicts_are_not_guessed_at():
    assert wording.by_verdict([("A", tables.percent(0.5, 0.4, 0.6), "cannot be told; 51 % would have been")]) == ""


@settings(max_examples=40, deadline=None)
@given(cells(tables.points, -0.2, 0.2), st.floats(0, 0.2))
def test_protection_is_claimed_beside_real_images_only_below_their_line(above, own):
    _, low, high = wording.interval(above)
    row = {
        "trained on": "condensed",
        "measure": "AUC",
        "real images leak": tables.plain(own, "{:.1 points}"),
        "condensed above real": above,
        "detectable": tables.plain(0.03, "{:.1 points}"),
    }
    said = controls.equal_accuracy(pd.DataFrame([row]))
    assert ("leaks more" in said) == (low > 0) and ("leaks less" in said) == (high < 0)
    assert ("no difference detected" in said) == (low <= 0 <= high) == ("detectable: 3.0 points" in said)
    assert ("complete protection is not excluded" in said) == (low <= -own and not low > 0)


@settings(max_examples=40, deadline=None)
@given(st.lists(cells(tables.points, -0.5, 0.5), min_size=1, max_size=5))
def test_as_many_sets_say_more_as_have_an_interval_above_0(apart):
    auc = tables.percent(0.6, 0.5, 0.7)
    frame = pd.DataFrame(
        [
            {"released": f"set {n}", "images less model": one, "the images: AUC": auc, "one model: AUC": auc}
            for n, one in enumerate(apart)
        ]
    )
    more = sum(wording.interval(one)[1] > 0 for one in apart)
    assert f"in {more} of {len(apart)} kinds of sets" in released.two_doors(frame)
    found = [wording.interval(one) for one in apart]
    best = max((one for one in found if one[1] > 0), default=None)
    alone = bool(best) and sum(one[2] >= best[1] and one[1] <= best[2] for one in found) == 1
    said = released.two_doors(frame)
    assert (", by most in" in said) == alone
    assert ("; the largest difference is that in" in said and "overlaps with" in said) == (more > 0 and not alone)
    assert (f"not corrected for {len(apart)} questions" in said) == (len(apart) > 1)


def test_condensed_and_random_images_are_compared_over_their_runs():
    def runs(ours, theirs):
        return pd.DataFrame(
            {
                "target": ["original"] * 3 + ["condensed-20"] * len(ours) + ["subset-20"] * len(theirs),
                "non_members": [0.97, 0.96, 0.98, *ours, *theirs],
            }
        )

    assert (
        "condensed-20 on 90.0%, as many random real images on 80.0%: condensed images are better here"
        in asked.rivals(runs([0.89, 0.90, 0.91], [0.79, 0.80, 0.81]))
    )
    assert "random real images are better here" in asked.rivals(runs([0.69, 0.70, 0.71], [0.79, 0.80, 0.81]))
    assert "no difference detected (detectable: " in asked.rivals(runs([0.7, 0.9, 0.8], [0.79, 0.80, 0.81]))
    assert "one training each" in asked.rivals(runs([0.7], [0.8]))
    assert asked.rivals(runs([], [])) == "The original is right on 97.0% of the non-members."


def test_what_is_detectable_of_a_gain_is_found_in_8_of_10_repetitions():
    rng, found = np.random.default_rng(0), []
    gain = examination.detectable_at(0.02 * (2 / 5) ** 0.5, 8)
    for _ in range(200):
        ours, theirs = 0.02 * rng.normal(size=(2, 5)) + [[0.85 + gain], [0.85]]
        frame = pd.DataFrame({"target": ["condensed-1"] * 5 + ["subset-1"] * 5, "non_members": [*ours, *theirs]})
        found.append("condensed images are better" in asked.rivals(frame))
    assert 0.73 < np.mean(found) < 0.87


# ---------------------------------------------------------------- one planted table each


def auc(value, reach=0.01):
    return tables.percent(value, value - reach, value + reach)


def doses(*rows):
    return pd.DataFrame(
        [
            {"members": members, "people to an image": tables.plain(people, "{:.1f}"), "AUC": auc(value)}
            for members, people, value in rows
        ]
    )


def test_an_order_of_doses_is_claimed_among_as_many_members_only_and_only_if_every_step_is_apart():
    said = released.doses(doses((300, 15.0, 0.73), (1301, 650.5, 0.53), (1301, 13.01, 0.605), (1301, 65.05, 0.56)))
    assert said == (
        "Of 1,301 members the images have an AUC of 60.5 % [59.5, 61.5] where 13 people share an image, "
        "56.0 % [55.0, 57.0] where 65 people share an image and 53.0 % [52.0, 54.0] where 650 people share an image: "
        "the fewer share an image, the more the images say."
    )
    unordered = released.doses(doses((9, 2.0, 0.7), (9, 3.0, 0.8), (9, 4.0, 0.6)))
    assert "the fewer" not in unordered and "not in one order" in unordered
    assert released.doses(doses((9, 2.0, 0.7), (9, 3.0, 0.695))).endswith("the intervals overlap.")
    assert released.doses(doses((9, 2.0, 0.8), (10, 3.0, 0.7))) == ""


def test_kinds_of_people_have_no_first_where_their_intervals_overlap():
    def said(*values):
        rows = [
            {"released": "KIP", "people": kind, "door": "the images", "TPR at 0 % FPR": auc(value)}
            for kind, value in zip("AB", values)
        ]
        return released.special_people(pd.DataFrame(rows))

    assert "no difference between the kinds detected" in said(0.2, 0.21) and "most" not in said(0.2, 0.21)
    assert "from 20.0 % [19.0, 21.0] of the kind 'A' to 60.0 % [59.0, 61.0] of the kind 'B'" in said(0.2, 0.6)
    assert "these intervals lie apart" in said(0.2, 0.6)


CHANGES = pd.DataFrame(
    {
        "change": ["as it is", "noise", "other people"],
        "AUC, difference": ["-", tables.points(-0.1, -0.12, -0.08), tables.points(0.0, -0.01, 0.01)],
        "accuracy, difference": ["-", tables.points(-0.001, -0.071, 0.07), tables.points(0.0, -0.01, 0.01)],
    }
)


def test_what_helps_does_not_hang_on_the_order_of_the_rows_and_says_what_was_detectable():
    for rows in (CHANGES, CHANGES[::-1]):
        said = released.what_helps(rows)
        assert "no lower AUC was found with other people." in said and "as it is" not in said
        assert "no loss of accuracy was detected with noise (detectable: 10.1 points)" in said
    assert released.what_helps(CHANGES[2:]) == "No lower AUC was found with other people."


@pytest.mark.parametrize("freedom", [3, 7, 1000])
def test_what_is_detectable_of_an_interval_is_no_less_than_by_its_degrees_of_freedom(freedom):
    from scipy.stats import t

    half = 0.02 * t.ppf(0.975, freedom)
    exact = examination.detectable_at(0.02, freedom)
    assert exact <= wording.reaches(half) < 1.15 * exact
    assert wording.reaches(half, half) > wording.reaches(half * 2**0.5)  # intervals that lie apart are the harder rule


def test_the_single_score_is_the_highest_of_those_recognised_by_their_auc():
    def row(attack, value, answer):
        return {"released": "DM", "attack": attack, "AUC": auc(value), "answer": answer}

    undetected = "no leak detected; detectable: AUC 56.0 %"
    rows = [
        row("all together", 0.55, "recognised (AUC)"),
        row("class mean", 0.54, undetected),
        row("nearest", 0.53, "recognised (TPR at 1 %)"),
        row("unmixing", 0.52, "recognised (AUC)"),
    ]
    said = released.attacks(pd.DataFrame(rows))
    assert (
        "Of 3 single scores the highest that recognises members by its AUC, picked afterwards, is in DM 'unmixing' (52"
        in said
    )
    assert "class mean" not in said and "nearest" not in said


def test_recognised_by_the_rates_only_is_said_and_lends_no_auc():
    rows = [("A", auc(0.6), "recognised (TPR at 1 %, TPR at 0.1 %)"), ("B", auc(0.55), "recognised (AUC)")]
    assert wording.by_verdict(rows) == (
        "members are recognised in A (by the TPR at 1 % and at 0.1 % FPR only) and B "
        "(highest AUC: 55.0 % [54.0, 56.0], B)"
    )
    answer = "recognised (AUC); an AUC above 58.35 % is not possible, the rest is accident"
    assert wording.by_verdict([("random", auc(0.586), answer)]) == (
        "members are recognised in random (highest AUC: 58.6 % [57.6, 59.6]; above 58.35 % is not possible, the rest "
        "is accident)"
    )


def test_rivals_at_low_rates_are_picked_by_their_rates():
    frame = pd.DataFrame(
        {
            "attack": ["shadow classifier", "loss threshold", "LiRA online", "Bayesian LiRA"],
            "AUC": [auc(0.54), auc(0.52), auc(0.58), auc(0.57)],
            "TPR at 1 % FPR": [auc(0.0, 0.0), auc(0.011, 0.001), auc(0.03, 0.001), auc(0.05, 0.001)],
        }
    )
    said = asked.every_model(frame)
    assert "1.1 % [1.0, 1.2] (loss threshold) and 5.0 % [4.9, 5.1] (Bayesian LiRA)" in said


def test_updates_that_change_nothing_say_what_was_detectable():
    frame = pd.DataFrame({"start": ["noise"] * 2, "iterations": [0, 10], "AUC": [auc(0.5), auc(0.5)]})
    assert "(the intervals overlap, detectable: 2.6 points)" in released.updates(frame)


def test_the_highest_share_of_members_stands_beside_that_on_the_original():
    said = said_of_committed("digits", "precision_at_priors")
    assert "in the best of 15 rows 8.2 % [2.4, 31.0] of the accused are members (Bayesian LiRA on subset-50)" in said
    assert said.endswith("on the original by the same attack 7.3 % [2.1, 29.0].")


def test_an_epsilon_of_nothing_is_none():
    frame = pd.DataFrame(
        {"attack": ["a", "b"], "original": [1.2, 0.5], "subset-1": [0.0, 0.0], "unrelated": [0.0, 0.0]}
    )
    assert "1.20 for original, none for subset-1; on the control, one model" in asked.epsilon(frame)
    assert "0.00" not in asked.epsilon(frame) and "luck" not in asked.epsilon(frame)


def test_a_step_size_without_a_rival_is_not_called_the_best():
    said = said_of_committed("mnist-small", "step_sizes")
    assert "x 1.0 for IDM." in said and "random" not in said and "k-center" not in said


def test_the_audit_names_its_attacker_and_what_it_does_not_count():
    said = said_of_committed("quick", "formal_privacy")
    assert said.startswith("Somebody who sees every noisy sum refutes 4 of 4 guarantees with a tenth of the noise and ")
    assert "(DP-MERF, the same releases as the mean embedding, is not counted)" in said
    without = committed("quick", "formal_privacy")
    without = without[~without["method"].str.startswith("DP-MERF")]
    assert "DP-MERF" not in guarantees.audit(without)


def test_promises_are_shares_of_all_members():
    assert said_of_committed("quick", "formal_promises").startswith(
        "Whoever accuses 1 % of the others finds at most 2.7 % of the members under epsilon 1 (delta 1e-05), and "
        "1.9 % to 2.0 % by the curve of the releases themselves"
    )


def test_sentences_of_one_name_are_grammatical():
    assert "More even than the original are models of KIP-10" in said_of_committed("cifar-small", "fairness")
    none = pd.DataFrame({"method": ["k-center"], "AUC, above real images": ["-"], "AUC, detectable": ["-"]})
    assert "no real images of equal accuracy for k-center" in methods.equal_accuracy(none)
    assert "all scores together with a start from noise" in said_of_committed("digits", "known_start")
    assert said_of_committed("mnist-small", "methods_crowds").startswith("Asked of one model, by somebody who trains")
    assert "lie nearer to a member" in said_of_committed("digits", "nearest_images")
    column = "that is, of those right"
    even = pd.DataFrame({"trained on": ["A", "B"], column: [auc(0.5), auc(0.505)]})
    assert "most" not in properties.robustness(even) and properties.robustness(even).endswith("the intervals overlap.")
