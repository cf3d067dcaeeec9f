"""The sentences of a run: true for whatever its tables hold, and shown where a run ends and its page begins."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from scipy.stats import t

from dcpriv_lib.engine import store
from dcpriv_lib.evaluation import attack_results, examination
from dcpriv_lib.privacy.recipe import Recipe
from dcpriv_lib.results import findings, report


def judged(target, attack, auc, reach=0.03, runs=2, **more):
    """Rows as notebooks 4 and 6 keep them; the runs differ by two points around `auc`."""
    middles = auc + 0.01 * (2 * np.arange(runs) - runs + 1)
    return pd.DataFrame(
        {
            "target": target,
            "run": range(runs),
            "attack": attack,
            "n": 200,
            "non_members": 100,
            "auc": middles,
            "auc_low": middles - reach,
            "auc_high": middles + reach,
        }
        | more
    )


def strong(auc=0.64, right=(9, 2), target="condensed-10"):
    return pd.concat(
        [
            judged("original", "RMIA online", auc),
            judged("original", "Bayesian LiRA", 0.6, right_of_ten=[right[0], 0]),
            judged(target, "Bayesian LiRA", 0.5, right_of_ten=[right[1], 0]),
        ],
        ignore_index=True,
    )


USUAL = judged("original", "SVM", 0.52)


# ---------------------------------------------------------------- what the original gives away


def test_a_leak_is_said_with_the_papers_attack_beside_it():
    assert findings.leak(strong(), USUAL, "RMIA online") == (
        "The original model gives its members away to whoever may ask it about their images: RMIA online has an AUC of "
        "64.0 % [61.0, 67.0], and guessing has 50 %. The paper's attack, an SVM, has 52.0 % [49.0, 55.0]."
    )


def test_where_nothing_leaks_nothing_is_claimed():
    said = findings.leak(strong(0.52), USUAL[:0], "RMIA online")
    assert said == (
        "In the original model no leak was detected by an attacker who may only ask it: RMIA online has an AUC of "
        "52.0 % [49.0, 55.0] (detectable: 54.3 %), and guessing has 50 %."
    )


def test_the_ten_accused_are_those_of_the_first_run_and_chance_stands_beside_them():
    assert findings.accused(strong()) == (
        "Of the ten people whom an attacker who asks the model accuses first (Bayesian LiRA), 9 were members of "
        "original and 2 were members of condensed-10; chance gives 5, and 2 to 8 in at least 95 of 100 cases."
    )
    few = strong().assign(n=1000)  # nine of ten people are members
    assert "chance gives 9, and 7 to 10 in" in findings.accused(few)
    for elsewhere in ("mine.npz", "condensed-9.npz", "condensed.npz", "original_v2.npz (no better than chance)"):
        assert "9 were members of original; chance" in findings.accused(strong(target=elsewhere)), "and no other's"


def test_the_ten_with_the_highest_scores_are_counted():
    measure = attack_results.strong(np.arange(40) < 20, lambda *_: np.random.default_rng(0))
    score = np.where(np.arange(40) < 7, 2.0, 0.0) + np.where(np.arange(40) >= 37, 1.0, 0.0) - np.arange(40) / 100
    assert measure(score, score > 1, ("a", 0))["right_of_ten"] == 7


# ---------------------------------------------------------------- condensed against real images


def controls(condensed, real, pairs=5, noise=0.005):
    """Rows of `examination.examine` of planted scores: the higher a value, the more the members stand out."""
    rng, rows = np.random.default_rng(0), []
    inside = np.arange(200) < 100
    keep = np.array([inside if model % 2 else ~inside for model in range(2 * pairs)])
    for name, leak in (("all members", 1.0), ("condensed from means", condensed), ("100 random members", real)):
        scores = rng.normal(size=keep.shape) + (leak + noise * rng.normal(size=(2 * pairs, 1))) * keep
        rows.append({"trained on": name, "attack": "RMIA online"} | examination.examine(scores, keep, ~keep))
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("condensed", "real", "begins", "ends"),
    [
        (
            0.0,
            0.0,
            "In models of condensed images no leak of the average member was detected by an attacker who",
            "these intervals overlap, no difference detected.",
        ),
        (
            1.5,
            0.0,
            "Models of condensed images give members away too, to an attacker who",
            ": the condensed images leak more.",
        ),
        (
            0.3,
            2.0,
            "Models of condensed images give members away too, to an attacker who",
            ": the condensed images leak less.",
        ),
        (
            1.0,
            1.0,
            "Models of condensed images give members away too, to an attacker who",
            "these intervals overlap, no difference detected.",
        ),
    ],
)
def test_condensed_images_stand_beside_as_many_real_ones(condensed, real, begins, ends):
    table = controls(condensed, real)
    said = findings.against_real_images(table, "RMIA online")
    assert (
        said.startswith(begins)
        and re.sub(r" \(detectable: \d+\.\d points\)\.$", ".", said).endswith(ends)
        and said.endswith("points).") == ("overlap" in said)
        and bool(re.search(r"from means; detectable: \d\d\.\d %\)", said)) == ("no leak of" in said)
        and "who may ask the model and condenses as its owner did" in said
    )
    for name in ("condensed from means", "100 random members"):
        low, high = table.set_index("trained on").loc[name, ["auc_low", "auc_high"]]
        assert f"[{100 * low:.1f}, {100 * high:.1f}]" in said
    assert findings.against_real_images(table[table["trained on"] != "100 random members"], "RMIA online") == ""
    assert findings.against_real_images(table, "LiRA online, fixed variance") == ""


def released():
    ends = ("", "_low", "_high")
    return pd.DataFrame(
        [
            {"released": name}
            | {f"images_auc{end}": images + by for end, by in zip(ends, (0, -0.01, 0.01))}
            | {f"model_auc{end}": 0.52 + by for end, by in zip(ends, (0, -0.01, 0.01))}
            | {"more": images - 0.52, "more_low": images - 0.54, "more_high": images - 0.5}
            for name, images in (("DM", 0.53), ("KIP", 0.78), ("IDM", 0.75))
        ]
    )


def test_what_the_images_say_stands_beside_what_a_model_of_them_says():
    assert findings.handed_over(released()) == (
        "Whoever is handed the images and condenses as their owner did finds most in KIP: AUC 78.0 % [77.0, 79.0], "
        "where whoever may ask one model of these images has 52.0 % [51.0, 53.0] by the best of four attacks. In 2 of "
        "3 kinds of sets the images are found to say more than the model (95 % intervals, not corrected for 3 "
        "questions)."
    )
    near = released().assign(images_auc_low=lambda one: one["images_auc"] - 0.03)
    near["images_auc_high"] = near["images_auc"] + 0.03
    assert "has the highest AUC in KIP (the interval overlaps with that of IDM): 78.0 %" in findings.handed_over(near)
    assert findings.handed_over(released()[:0]) == ""


def test_a_leak_that_does_not_survive_the_correction_is_a_perhaps():
    table = controls(0.0, 0.0)
    table.loc[table["trained on"] == "condensed from means", "auc_p"] = 0.02
    said = findings.against_real_images(table, "RMIA online")
    assert said.startswith("Models of condensed images perhaps give members away too (not after correction")


# ---------------------------------------------------------------- accuracy, and with a guarantee


def targets(original, condensed, subset=(0.86, 0.87)):
    rows = [
        (f"{name}", value)
        for name, values in (("original", original), ("subset-10", subset), ("condensed-10", condensed))
        for value in values
    ]
    return pd.DataFrame(rows, columns=["target", "non_members"])


@pytest.mark.parametrize(
    ("original", "condensed", "begins"),
    [
        (
            (0.97, 0.96, 0.98),
            (0.90, 0.88, 0.89),
            "Condensing costs 8.0 points of accuracy [5.7, 10.3]: the original is right on 97.0% of the "
            "non-members, condensed-10 on 89.0%, and as many real images (subset-10) on 86.5% (interval over "
            "trainings).",
        ),
        (
            (0.90, 0.88, 0.89),
            (0.97, 0.96, 0.98),
            "Condensing gains 8.0 points of accuracy [5.7, 10.3]: the original is right on 89.0%",
        ),
        ((0.90, 0.88, 0.89), (0.90, 0.87, 0.89), "No difference in accuracy detected, 0.3 points [-2."),
        ((0.97,), (0.89,), "Condensing costs 8.0 points of accuracy: the original is right on 97.0%"),
    ],
)
def test_what_condensing_costs_is_said_with_welchs_interval(original, condensed, begins):
    said = findings.accuracy(targets(original, condensed))
    assert said.startswith(begins), said
    ends = "(one training each, no interval)." if len(original) == 1 else "(interval over trainings)."
    unknown = "No difference" in said
    assert re.search(r"trainings; detectable: \d\.\d points\)\.$", said) if unknown else said.endswith(ends)
    if len(original) > 1:
        a, b = np.array(original), np.array(condensed)
        v, w = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
        freedom = (v + w) ** 2 / (v**2 / (len(a) - 1) + w**2 / (len(b) - 1))
        ends = a.mean() - b.mean() + np.array([-1, 1]) * t.ppf(0.975, freedom) * np.sqrt(v + w)
        low, high = sorted(np.abs(100 * ends)) if ends[0] * ends[1] > 0 else 100 * ends
        assert f"[{low:.1f}, {high:.1f}]" in said


def formal(*without):
    rows = [
        (Recipe("DP-SGD", 1, shares="a model"), "not refuted", 0.5),
        (Recipe("DP-SGD", 10, shares="a model"), "cannot be tested", 0.8),
        (Recipe("DP-SGD", 1, shares="a model", network="ConvNet"), "not refuted", 0.9),
        (Recipe("DM", 1), "not refuted", 0.3),
        (Recipe("DP-MERF", 1), "not refuted", 0.4),
        (Recipe("DM", 1, noise=0.1), "not refuted", 0.7),
        (Recipe("PSG", 1), "REFUTED", 0.6),
        (Recipe("GAN"), "none", 0.72),
        (Recipe("all members", shares="a model"), "none", 0.94),
        (Recipe("condensed from real"), "none", 0.87),
        (Recipe("condensed from real", network="ConvNet"), "none", 0.95),
    ]
    table = pd.DataFrame(
        [
            {"method": one.label, "family": one.family, "network": one.network, "noise": one.noise}
            | {"epsilon": one.claimed, "shared": one.shares, "guarantee": guarantee, "accuracy": accuracy}
            for one, guarantee, accuracy in rows
        ]
    )
    table = table.assign(accuracy_low=table["accuracy"] - 0.05, accuracy_high=table["accuracy"] + 0.05)
    return table[~table["method"].isin(without)]


@pytest.mark.parametrize(
    ("recipe", "name", "label"),
    [
        (Recipe("DM", 1), "DM, epsilon 1", "DM, epsilon 1"),
        (Recipe("DM", np.inf), "DM, epsilon inf", "DM, no noise"),
        (Recipe("DM", 1, noise=0.1), "DM, a tenth of the noise", "DM, a tenth of the noise"),
        (Recipe("DP-SGD", 0.5, network="ConvNet"), "DP-SGD on ConvNet, epsilon 0.5", "DP-SGD on ConvNet, epsilon 0.5"),
        (Recipe("GAN"), "GAN", "GAN"),
    ],
)
def test_a_recipe_has_a_name_for_files_and_one_for_readers(recipe, name, label):
    assert (recipe.name, recipe.label) == (name, label)
    assert recipe.claimed == (np.inf if recipe.epsilon is None else recipe.epsilon)


def test_the_strictest_guarantee_that_holds_stands_beside_its_like_without_one():
    begins = (
        "A guarantee against every attacker who does not know the seed takes noise: with epsilon 1 (delta "
        "1e-05, one image more "
        "or less) "
    )
    models = (
        "models by DP-SGD are right on 50.0 % [45.0, 55.0] of the non-members, and without a guarantee (all "
        "members) on "
        "94.0 % [89.0, 99.0]"
    )
    images = (
        "models of images by DP-MERF, the best of 2, are right on 40.0 % [35.0, 45.0] of the non-members, and "
        "without a "
        "guarantee (condensed from real) on 87.0 % [82.0, 92.0]"
    )
    ends = ". All on the paper's network."
    assert findings.guarantee(formal(), 1e-5) == f"{begins}{models}; {images}{ends}"
    assert findings.guarantee(formal("all members"), 1e-5) == f"{begins}{images}{ends}"
    assert findings.guarantee(formal("condensed from real", "DP-MERF, epsilon 1"), 1e-5) == f"{begins}{models}{ends}"
    assert findings.guarantee(formal()[-4:], 1e-5) == ""


# ---------------------------------------------------------------- where they are shown

INPUTS = {"profile": "mine", "dataset": "digits", "parameters": {"delta": 1e-5}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run that has all tables."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    folder = tmp_path / "mine"
    every = pd.DataFrame({"attack": list(findings.CANDIDATES), "auc": 0.6}).assign(
        auc=lambda one: one["auc"] + 0.01 * (one["attack"] == "RMIA online")
    )
    tables = {
        "every_model": every,
        "strong_judged": strong(),
        "attacks": USUAL,
        "controls": controls(0.3, 0.3),
        "targets": targets((0.97, 0.96), (0.90, 0.88)),
        "formal_privacy": formal(),
        "released": released(),
        "tables/anything": pd.DataFrame({"a": [1]}),
    }
    for name, table in tables.items():
        store.save_table(folder / f"{name}.npz", table, INPUTS)
    store.export_table(folder / "tables/anything.csv", pd.DataFrame({"a": [1]}), INPUTS)
    store.save_arrays(folder / "split.npz", {"members": np.arange(3)}, INPUTS)
    return folder


NEEDS = {
    "every_model": 2,
    "strong_judged": 2,
    "attacks": 1,
    "controls": 1,
    "targets": 1,
    "formal_privacy": 1,
    "released": 1,
}


@pytest.mark.parametrize("missing", NEEDS)
def test_a_sentence_is_left_out_where_its_table_is_missing_damaged_or_of_older_code(missing, run, capsys):
    assert len(findings.sentences(run)) == 6
    path = run / f"{missing}.npz"
    kept = path.read_bytes()
    store.save_table(path, pd.DataFrame({"other": ["x"], "attack": ["RMIA online"]}), INPUTS)
    if missing != "every_model":
        assert len(findings.sentences(run)) == 6 - NEEDS[missing]
    path.write_bytes(kept[:-1])
    assert len(findings.sentences(run)) == 6 - NEEDS[missing]
    path.unlink()
    assert len(findings.sentences(run)) == 6 - NEEDS[missing]


def test_the_console_ends_with_what_was_found_and_where_to_read_on(run):
    findings.keep(run)
    store.write(run / "report/index.html", b"")
    said = findings.last_words("mine")
    lines = said.splitlines()
    assert lines[0] == "What this run found (mine, on digits):" and max(map(len, lines[:-2])) <= 100
    assert not re.search(r"^ *[%\[]", said, flags=re.M), "a number and its unit stay together"
    assert re.findall(r"^  (\d)\. ", said, flags=re.M) == list("123456")
    flat = " ".join(said.split())
    assert all(sentence in flat for sentence in findings.sentences(run))
    assert lines[-2] == f"Read on: file://{run}/report/index.html" and (run / "report/index.html").exists()
    assert lines[-1] == "Small data, wide intervals: the MNIST results are in README.md and figures/."


def test_a_run_that_mixes_code_says_so_at_its_end(run):
    findings.keep(run)
    file = store.sidecar(run / "tables/anything.csv")
    record = json.loads(file.read_text())
    for seal in ("name", "record_sha256"):  # as a record of an older version, whose changes nobody notices
        del record[seal]
    file.write_text(json.dumps(record | {"other_code": {"dcpriv_lib/training.py": ["1 of x", "2 of y"]}}))
    assert (
        "It mixes code: dcpriv_lib/training.py in 3 versions. `make fresh PROFILE=mine` starts anew."
        in findings.last_words("mine")
    ) == ("dcpriv_lib/training.py" in record["code"])
    assert "dcpriv_lib/training.py in" in report.run(run / "tables")


def test_the_front_page_begins_with_the_sentences_and_stays_silent_without(run):
    page = BeautifulSoup(report.build("mine").read_text(), "html.parser").article
    heads = [one.text.rstrip("#") for one in page.find_all("h2")]
    assert heads.index("What this run found") == 0 < heads.index("The answer")
    said = page.find("h2").parent
    assert len(said.find_all("li")) == 6 and "commit " in said.text
    template = report.TEMPLATES.get_template("index.md.j2").render
    committed = {stage.name: report.as_committed(stage.name) for stage in report.stages.PAGES}
    context = report._context(run, committed, {}, run / "tables", run / "figures", False)
    assert "What this run found" not in template(context | {"findings": [], "solutions": []})
