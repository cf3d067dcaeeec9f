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
from dcpriv_lib.results.voice import asked, controls, released, wording

COMMITTED = [path for path in sorted(paths.FIGURES.glob("*/*.csv")) if path.stem in voice.SENTENCES]
WITH_INTERVAL = re.compile(r"[-+]?[\d.]+(?: %| points)? \[[-\d.]+, [-\d.]+\]")


read = functools.cache(tables.read)


def committed(profile, name):
    return read(paths.FIGURES / profile / f"{name}.csv")


def said_of_committed(profile, name):
    return voice.sentence(name, committed(profile, name))


# ---------------------------------------------------------------- of the committed tables


def test_the_committed_digits_at_both_doors():
    said = said_of_committed("digits", "two_doors")
    assert said == (
        "Whoever holds the images and condenses as their owner did sees more than whoever may ask one model of them in "
        "10 of 10 kinds of sets (95 % intervals), by most in KIP: AUC 78.9 % [78.3, 79.5] by the images, "
        "57.0 % [56.3, 57.6] by a model."
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
    assert "10 attacks; by the same condensed-10" in said
    alone = asked.attacked_targets(table[table["target"] == "original"])
    assert alone.startswith("For somebody who may ask it, the original has") and alone.endswith("of 10 attacks.")


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
    assert ("by most in" in released.two_doors(frame)) == (more > 0)


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
