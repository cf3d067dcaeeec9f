"""The whole report in the tiny profile: complete, offline, and recomputed from what it stored."""

import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

from dcpriv_lib import profiles, stages
from dcpriv_lib.attacks import signals, suites
from dcpriv_lib.attacks.attack import Answers, References
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.engine import paths, store
from dcpriv_lib.engine.seeding import derive
from dcpriv_lib.evaluation import examination
from dcpriv_lib.results import findings, tables
from dcpriv_lib.study import Study
from support import artefacts_in, engine, passed_on, run_cells

pytestmark = pytest.mark.slow


def test_every_stage_leaves_its_tables(tiny):
    for name in ("targets", "shadows", "attacks", "strong_judged"):
        assert len(passed_on(tiny / f"{name}.npz")), name
    for name in (
        *(
            f"tables/{table}.csv"
            for table in (
                "table1",
                "table2",
                "claims",
                "strong_attacks",
                "every_model",
                "epsilon",
                "precision_at_priors",
                "controls",
                "canaries",
                "dose_and_response",
                "nearest_images",
                "real_start",
                "verdict",
                "step_sizes",
                "methods",
                "methods_at_equal_accuracy",
                "methods_shown",
                "methods_ipc",
                "methods_start",
                "methods_crowds",
                "methods_claims",
                "methods_seconds",
                "two_evaluations",
                "across_networks",
                "gradient_checks",
                "robustness",
                "fairness",
                "rank_correlations",
                "chen_claims",
                "chen_claims_by_set",
                "four_properties",
                "formal_privacy",
                "formal_verdict",
                "formal_promises",
                "formal_outputs",
            )
        ),
    ):
        assert len(pd.read_csv(tiny / name)), name
    targets = passed_on(tiny / "targets.npz")
    assert sorted(targets["target"].unique()) == ["condensed-2", "original", "subset-2"]
    assert (targets.groupby("target").size() == 2).all()
    assert targets.set_index("target")["images"].to_dict() == {"original": 599, "subset-2": 20, "condensed-2": 20}


def test_the_report_opens_with_what_the_authors_models_say(tiny):
    page = BeautifulSoup((tiny / "report/verdicts.html").read_text(), "html.parser")
    shown = {" ".join(cell.text.split()) for cell in page.find_all("td")}
    claims = tables.words(tables.read(paths.FIGURES / "authors/authors_claims.csv"))
    assert {" ".join(str(cell).split()) for cell in claims.to_numpy().ravel()} <= shown


@pytest.fixture
def copied(tiny, tmp_path, monkeypatch):
    """A copy of the tiny results, for notebooks that run again in this process."""
    shutil.copytree(tiny, tmp_path / "tiny")
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    return tmp_path / "tiny"


def test_the_controls_need_no_start_from_real_images_and_no_dose(copied):
    table = copied / "tables/real_start.csv"
    table.unlink()
    run_cells("07_controls", starts=["noise"], doses=[])
    assert not table.exists()
    assert set(pd.read_csv(copied / "tables/dose_and_response.csv")["members"]) == {599}


@pytest.mark.parametrize(("method", "images"), [("IDM", 80), ("KIP-labels", 20)])
def test_another_method_goes_through_the_notebooks(method, images, copied):
    """IDM makes four training images of each, KIP-labels soft labels; notebook 7 condenses as notebook 2 did."""
    run_cells("02_condensation", method=method)
    assert len(np.load(copied / "condensed_sets.npz")["ipc2-set0"]) == images
    targets = passed_on(copied / "targets.npz").set_index("target")
    assert (targets.loc["condensed-2", "images"] == images).all()
    before = tables.words(tables.read(copied / "tables/controls.csv"))
    run_cells("07_controls")
    after = tables.words(tables.read(copied / "tables/controls.csv"))
    condensed = before["trained on"].str.startswith("condensed")
    assert (before[condensed]["AUC"] != after[condensed]["AUC"]).any()
    pd.testing.assert_frame_equal(before[~condensed], after[~condensed])


def test_every_artefact_says_where_it_comes_from(tiny):
    made = [path for path in [*tiny.rglob("*.npz"), *tiny.glob("tables/*.csv")] if not path.name.startswith("state-")]
    for path in made:
        record = store.read_exported(path)[1] if path.suffix == ".csv" else store.read_record(path)
        assert record["inputs"]["seed"] == 0 and record["inputs"]["profile"] == "tiny", path
        assert {"git_commit", "torch", "processor", "seconds"} <= set(record["provenance"]), path
        assert {"dcpriv_lib/jobs.py", "dcpriv_lib/study.py"} & record["code"].keys(), path
        assert "other_code" not in record, path
    for stage, file in (
        ("01_data_split", "split.npz"),
        ("05_results", "tables/claims.csv"),
        ("07_controls", "tables/verdict.csv"),
        ("11_formal_privacy", "formal_privacy.npz"),
    ):
        path = tiny / file
        record = store.read_exported(path)[1] if path.suffix == ".csv" else store.read_record(path)
        assert f"notebooks/{stage}.py" in record["code"], "known by the cells that were run"


def test_the_front_page_begins_with_what_the_run_found(tiny):
    found = findings.sentences(tiny)
    page = BeautifulSoup((tiny / "report/index.html").read_text(), "html.parser").article
    assert len(found) == 6 and [one.text for one in page.find("ol").find_all("li")] == found
    assert findings.kept(tiny / "tables") == found and page.text.index(found[0]) < page.text.index("The answer")


def stored_models(folder, name):
    """The table of some models, and their logits [models, N, classes]."""
    table = passed_on(folder / f"{name}.npz")
    return table, np.stack([np.load(folder / "models" / file)["logits"] for file in table["file"]])


def who_holds_what(folder):
    """The rows of members, non-members and attacker, and all labels, from the file and from scikit-learn."""
    from sklearn.datasets import load_digits

    return dict(np.load(folder / "split.npz")), load_digits().target


def test_table_2_is_recomputed_from_the_stored_answers(tiny):
    split, truth = who_holds_what(tiny)
    judged = passed_on(tiny / "attacks.npz").query("attack == 'loss threshold'").set_index(["target", "run"])
    losses = {part: [] for part in ("inside", "outside")}
    for number, logits in enumerate(stored_models(tiny, "shadows")[1]):
        shuffled = np.random.RandomState(number).permutation(split["attacker"])
        for part, rows in (("inside", shuffled[:150]), ("outside", shuffled[150:300])):
            losses[part].append(signals.losses(logits[rows], truth[rows]))
    tau = suites.loss_threshold(*map(np.concatenate, losses.values()))
    table, targets = stored_models(tiny, "targets")
    for row, logits in zip(table.itertuples(), targets):
        called = {
            part: signals.losses(logits[split[part]], truth[split[part]]) <= tau for part in ("members", "non_members")
        }
        accuracy = (called["members"].mean() + 1 - called["non_members"].mean()) / 2
        assert judged.loc[(row.target, row.run), "accuracy"] == pytest.approx(accuracy)
        assert judged.loc[(row.target, row.run), "recall"] == pytest.approx(called["members"].mean())


def test_the_chosen_svm_is_the_best_by_hand_made_cross_validation(tiny):
    split, truth = who_holds_what(tiny)
    rows = [np.random.RandomState(number).permutation(split["attacker"])[:300].reshape(2, 150) for number in range(2)]
    shadows = stored_models(tiny, "shadows")[1]
    x = softmax(np.concatenate([logits[own[part]] for part in (0, 1) for logits, own in zip(shadows, rows)]), axis=1)
    labels = np.concatenate([truth[own[part]] for part in (0, 1) for own in rows])
    member = np.arange(len(x)) < len(x) // 2
    for c in (0, 7):
        own, own_member = x[labels == c], member[labels == c]
        best = {}
        for C in (0.1, 10):
            for gamma in (0.01, 1):
                folds = StratifiedKFold(2).split(own, own_member)
                best[C, gamma] = np.mean(
                    [
                        (SVC(C=C, gamma=gamma).fit(own[a], own_member[a]).predict(own[b]) == own_member[b]).mean()
                        for a, b in folds
                    ]
                )
        stored = np.load(next((tiny / "once").glob(f"svm-class{c}-*.npz")))
        assert best[float(stored["C"]), float(stored["gamma"])] == max(best.values())
        assert stored["accuracy"] == pytest.approx(list(best.values()))


def plain_phi(logits, labels):
    p = softmax(logits.astype(float), axis=1)
    own = p[np.arange(len(p)), labels]
    p[np.arange(len(p)), labels] = 0
    return np.log(own) - np.log(p.sum(1))


def test_lira_in_notebook_6_is_recomputed_from_the_stored_answers(tiny):
    split, truth = who_holds_what(tiny)
    pool = np.concatenate([split["members"], split["non_members"]])
    labels, member = truth[pool], np.arange(1198) < 599
    logits = stored_models(tiny, "references")[1]
    phi = np.stack([plain_phi(one[pool], labels) for one in logits])
    keep = membership_matrix(1198, 6, np.random.default_rng(derive(0, "pool")))
    # who was trained on whom is not only said: a model knows its own members better
    assert all(one[kept].mean() > one[~kept].mean() for one, kept in zip(phi, keep))
    judged = passed_on(tiny / "strong_judged.npz").set_index(["target", "run", "attack"])
    table, targets = stored_models(tiny, "targets")
    for row, answers in zip(table.itertuples(), targets):
        own = plain_phi(answers[pool], labels)
        inside, outside = ([phi[where[:, x], x] for x in range(len(own))] for where in (keep, ~keep))
        ratio = [
            norm.logpdf(own[x], inside[x].mean(), inside[x].std(ddof=1))
            - norm.logpdf(own[x], outside[x].mean(), outside[x].std(ddof=1))
            for x in range(len(own))
        ]
        found = judged.loc[row.target, row.run, "LiRA online, own variance"]
        assert found["auc"] == pytest.approx(roc_auc_score(member, ratio), abs=1e-6)
        above = np.sum(np.array(ratio)[member] > np.sort(np.array(ratio)[~member])[-6])  # 5 of 599 are below 1 %
        assert found["tpr_at_0.01"] == pytest.approx(above / member.sum()) and np.isnan(found["tpr_at_0.001"])


def test_the_controls_of_notebook_7_hold(tiny):
    """Made-up memberships are not recognised; the sets are condensed as the targets' were; a leak is recomputed."""
    answers = pd.read_csv(tiny / "tables/verdict.csv").set_index("question")["answer"]
    assert answers["(test of the test) made-up memberships"] == "sound"
    made = store.read_record(tiny / "targets.npz")["inputs"]["parameters"]
    for start in ("noise", "real"):
        files = list((tiny / "condensed").glob(f"condensed_from_{start}-*.npz"))
        used = store.read_record(files[0])["inputs"]
        assert len(files) == 6 and used["start"] == start
        for name in ("ipc", "iterations", "outer", "inner", "width", "real_batch", "image_lr"):
            assert used[name] == (made[name][0] if isinstance(made[name], list) else made[name])


def test_the_average_person_in_notebook_7_is_recomputed_from_the_stored_answers(tiny):
    split, truth = who_holds_what(tiny)
    pool = np.concatenate([split["members"], split["non_members"]])
    keep = membership_matrix(1198, 6, np.random.default_rng(derive(0, "controls")))
    rng = np.random.default_rng(derive(0, "canaries"))
    chosen, labels = rng.permutation(1198)[:20], truth[pool].copy()
    labels[chosen] = (labels[chosen] + rng.integers(1, 10, 20)) % 10
    others = np.setdiff1d(np.arange(1198), chosen)
    logits = [np.load(next((tiny / "models").glob(f"all-{j}-*.npz")))["logits"][pool] for j in range(6)]
    phi = np.stack([plain_phi(one, labels) for one in logits])
    auc = []
    for j in range(6):
        rest = [k for k in range(6) if k // 2 != j // 2]
        outside = [phi[rest, x][~keep[rest, x]] for x in others]
        spread = np.sqrt(sum(((one - one.mean()) ** 2).sum() for one in outside) / sum(len(one) - 1 for one in outside))
        score = [(phi[j, x] - one.mean()) / spread for x, one in zip(others, outside)]
        auc.append(roc_auc_score(keep[j, others], score))
    table = passed_on(tiny / "controls.npz").set_index(["trained on", "attack"])
    assert table.loc[("all members", "LiRA offline, fixed variance"), "auc"] == pytest.approx(np.mean(auc), abs=1e-6)


def test_the_report_reads_without_a_network(tiny):
    pages = sorted((tiny / "report").glob("*.html"))
    assert {f"{stage.name}.html" for stage in stages.PAGES} < {page.name for page in pages}
    for page in pages:
        soup = BeautifulSoup(page.read_text(), "html.parser")
        for one in soup.find_all(["script", "link", "img"]):
            source = one.get("src") or one.get("href")
            assert source in (None, "#") or (page.parent / source.partition("?")[0]).is_file(), f"{page.name}: {source}"
        for one in soup.find_all(["style", "pre", "code", "script", "svg"]):
            one.decompose()
        assert "$" not in soup.text, f"{page.name} holds an equation that was not converted"
    assert "<math" in (tiny / "report/02_condensation.html").read_text()


def test_what_other_settings_left_behind_is_not_taken_for_the_profiles(tiny, tmp_path):
    """Notebook 2 was run by hand with fewer runs: a dry run leaves that, whoever asks for targets gets them all."""
    shutil.copytree(tiny, tmp_path / "tiny")
    left = tmp_path / "tiny/targets.npz"
    inputs = store.read_record(left)["inputs"]
    store.save_table(left, passed_on(left).head(1), inputs | {"parameters": inputs["parameters"] | {"n_runs": 1}})
    (tmp_path / "tiny/notebooks/02_condensation.ipynb").unlink()
    kept = left.read_bytes()
    dry = ["snakemake", "-n", "--snakefile", paths.REPOSITORY / "Snakefile", "--directory", tmp_path]
    environment = os.environ | {"DCPRIV_RESULTS": str(tmp_path)}
    subprocess.run([*dry, "--config", "profile=tiny"], env=environment, check=True, capture_output=True)
    assert left.read_bytes() == kept
    output, _ = engine(tmp_path, targets=[left]).communicate()
    assert "what notebook 2 left in" in output and left.read_bytes() == (tiny / "targets.npz").read_bytes(), output[
        -3000:
    ]


def test_a_terminated_step_leaves_its_state(tiny, tmp_path):
    (tmp_path / "tiny").mkdir()
    for file in tiny.glob("split.npz*"):
        (tmp_path / "tiny" / file.name).write_bytes(file.read_bytes())
    long = '{"profile": "tiny", "ds": 150, "n_shadows": 1, "epochs": 1000000}'
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dcpriv_lib.engine.run_notebook",
            str(paths.NOTEBOOKS / "03_shadow_training.ipynb"),
            "out.ipynb",
            "-y",
            long,
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.STDOUT,
        env=os.environ | {"DCPRIV_RESULTS": str(tmp_path), "OMP_NUM_THREADS": "1", "TQDM_MININTERVAL": "1"},
    )
    logged = ""
    while not re.search(r"\b[1-9]\d*/1000000 \[\S+<", logged) and process.poll() is None:
        logged += process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    logged += process.communicate(timeout=60)[0]
    (state,) = (tmp_path / "tiny/models").glob("shadow-*-unfinished.npz")
    assert process.returncode != 0, logged[-2000:]
    assert 0 < len(np.load(state)["history"]) < 1_000_000


@pytest.fixture
def compared(tiny):
    """The pool's coins and labels in notebook 9, and the logits of every method's models, from the stored files."""
    split, truth = who_holds_what(tiny)
    pool = np.concatenate([split["members"], split["non_members"]])
    rng, keep = (
        np.random.default_rng(derive(0, "canaries")),
        membership_matrix(1198, 6, np.random.default_rng(derive(0, "methods"))),
    )
    chosen, labels = rng.permutation(1198)[:20], truth[pool].copy()
    labels[chosen] = (labels[chosen] + rng.integers(1, 10, 20)) % 10
    models = {
        method: np.stack(
            [
                np.load(
                    next(  # notebook 7 trains for other epochs
                        path
                        for path in (tiny / "models").glob(f"{method}-{j}-{10 * '?'}.npz")
                        if store.read_record(path)["inputs"]["epochs"] == 3
                    )
                )["logits"]
                for j in range(6)
            ]
        )
        for method in profiles.read("tiny")["09_methods"]["methods"]
    }
    return keep, pool, labels, np.isin(np.arange(1198), chosen), models, split["attacker"], truth


def test_accuracy_and_leak_of_every_method_are_recomputed_from_the_stored_answers(tiny, compared):
    keep, pool, labels, canary, models, attacker, truth = compared
    table = passed_on(tiny / "methods.npz").set_index("method")
    leaks = passed_on(tiny / "leaks.npz").set_index(["method", "ipc"]).xs(2, level="ipc")
    properties = passed_on(tiny / "properties.npz").set_index("trained on")
    in_notebook_6 = passed_on(tiny / "every_model.npz").set_index("attack")["auc"]
    attack = max(suites.CANDIDATES, key=in_notebook_6.get)
    for method, logits in models.items():
        right = [np.mean(one[pool].argmax(1)[out] == labels[out]) for one, out in zip(logits, ~keep & ~canary)]
        assert table.loc[method, "accuracy"] == pytest.approx(np.mean(right))
        auc = {"average": [], "canary": [], "7": []}
        for j in range(6):
            others = [k for k in range(6) if k // 2 != j // 2]
            known = References(
                keep[others], logits[others][:, pool, None], labels, logits[others][:, attacker, None], truth[attacker]
            )
            score = suites.STRONG[attack](known).score(
                Answers(logits[j][pool][:, None], labels, logits[j][attacker][:, None], truth[attacker])
            )
            for who, group in (("average", ~canary), ("canary", canary), ("7", ~canary & (labels == 7))):
                auc[who].append(roc_auc_score(keep[j][group], score[group]))
        assert table.loc[method, "average_auc"] == pytest.approx(np.mean(auc["average"]), abs=1e-6)
        assert table.loc[method, "canary_auc"] == pytest.approx(np.mean(auc["canary"]), abs=1e-6)
        assert leaks.loc[method, "auc of 7"] == pytest.approx(np.mean(auc["7"]), abs=1e-6)
        assert leaks.loc[method, "auc"] == table.loc[method, "average_auc"] == properties.loc[f"{method}-2", "leak"]


def test_made_up_members_of_no_method_are_recognised_and_planted_ones_of_all(compared):
    _keep, pool, labels, _, models, attacker, truth = compared
    suite = {"RMIA online": suites.STRONG["RMIA online"]}
    for method, logits in models.items():
        held = []
        for draw in range(10):
            made_up = membership_matrix(1198, 6, np.random.default_rng(draw))
            answers = [logits[:, pool, None], labels, logits[:, attacker, None], truth[attacker]]
            found = {}
            for leak in (0.0, 3.0):  # what is added to the logit of the true class of a made-up member
                raised = answers[0] + leak * made_up[:, :, None, None] * np.eye(10)[labels][:, None]
                scores = examination.leave_pair_out(References(made_up, raised, *answers[1:]), suite)["RMIA online"]
                found[leak] = examination.examine(scores, made_up, ~made_up)
            held.append(found[0.0]["auc_low"] <= 0.5 <= found[0.0]["auc_high"])
            assert found[3.0]["auc_low"] > 0.5, method
        assert sum(held) >= 8, method


def test_all_but_the_choice_of_a_step_size_is_the_same_for_every_method(tiny):
    """Every method sees the same halves, and no member while its step size is chosen."""
    split, _ = who_holds_what(tiny)
    real = {}
    for path in (path for path in (tiny / "condensed").glob("*.npz") if not path.name.startswith("state-")):
        made = store.read_record(path)["inputs"]
        if "real" in made:  # notebook 11 fits images to what was released
            real.setdefault(made["kind"], []).append((tuple(made["key"]), made["real"]))
    halves = {half for _, half in real["tiles"]}  # notebooks 11 and 12 have sets of the other names, of other halves
    real = {kind: {key: half for key, half in sets if half in halves} for kind, sets in real.items()}
    same = [real[kind] for kind in profiles.read("tiny")["09_methods"]["methods"]]
    assert len(same) == 5 and all(one == same[0] for one in same) and len(set(same[0].values())) == 6
    for path in (tiny / "condensed").glob("tuning-*.npz"):
        assert np.isin(np.load(path)["started_from"], split["attacker"]).all()


def papermill(notebook, output, *arguments, results):
    command = [sys.executable, "-m", "papermill", str(notebook), str(output), "--no-progress-bar", *arguments]
    environment = os.environ | {"DCPRIV_RESULTS": str(results), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=output.parent)


@pytest.mark.parametrize(
    ("notebook", "changes", "words"),
    [
        ("06_stronger_attacks", {"n_references": 5}, "n_references = 5: expected an even whole number from 6"),
        ("07_controls", {"control_ipc": 99}, "control_ipc = 99: notebook 2 made no such targets"),
        ("07_controls", {"n_models": 5}, "n_models = 5: expected an even whole number from 6"),
        ("07_controls", {"doses": [60]}, "images of some class in a half of the smallest of the doses"),
        ("09_methods", {"more_of": ["DSA"]}, "more_of = ['DSA']: expected one of methods"),
        ("09_methods", {"crowds": [30]}, "images of some class in a half of the smallest of the crowds"),
        ("10_robustness_and_fairness", {"epsilon": 0.3}, "epsilon = 0.3: expected one of epsilons = [0.02, 0.5]"),
    ],
)
def test_a_wrong_parameter_is_named_before_anything_is_trained(tiny, monkeypatch, notebook, changes, words):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tiny.parent))
    for name in ("sets", "models"):
        monkeypatch.setattr(Study, name, lambda *_, **__: pytest.fail("it asks for models"))
    with pytest.raises(ValueError, match=re.escape(words)):
        run_cells(notebook, **changes)


def test_papermill_names_a_wrong_parameter(tiny, tmp_path):
    arguments = ["-f", str(paths.PROFILES / "tiny.yaml"), "-p", "profile", "tiny", "-y", "more_of: [DSA]"]
    run = papermill(paths.NOTEBOOKS / "09_methods.ipynb", tmp_path / "out.ipynb", *arguments, results=tiny.parent)
    assert run.returncode and "more_of = ['DSA']: expected one of methods" in run.stderr


def test_a_teacher_changes_ipc_and_nothing_is_lost(copied, tmp_path):
    """papermill from another folder with one parameter changed: a new file, the old ones untouched."""
    arguments = ["-f", str(paths.PROFILES / "tiny.yaml"), "-p", "profile", "tiny", "-p", "ipc", "3"]
    before = artefacts_in(copied)
    run = papermill(paths.NOTEBOOKS / "02_condensation.ipynb", tmp_path / "out.ipynb", *arguments, results=tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    after = artefacts_in(copied)
    assert any("condense-3-0" in name for name in after)
    overwritten = ("targets.npz", "condensed_sets.npz")  # what they hold is in other files too
    assert all(after[name] == content for name, content in before.items() if name not in overwritten)
    assert set(passed_on(copied / "targets.npz")["target"]) == {"original", "subset-3", "condensed-3"}


def test_what_was_made_elsewhere_goes_through_the_notebooks(tiny, copied, tmp_path, capsys):
    """A target's own answers and the set of notebook 2, passed through the door, give their own rows again."""
    split, (table, targets) = who_holds_what(tiny)[0], stored_models(tiny, "targets")
    np.savez(
        tmp_path / "condensed.npz",
        kind="logits",  # a name that begins as the targets of notebook 2 do
        **{part: targets[0][split[part]] for part in ("members", "non_members")},
    )
    (kept,) = (tiny / "condensed").glob("condense-2-0-*.npz")
    extra = {"extra_targets": str(tmp_path / "condensed.npz")}
    printed = {}
    for stage, changes in (
        ("02_condensation", {"synthetic_sets": str(kept)}),
        ("04_attack", extra),
        ("05_results", {}),
        ("06_stronger_attacks", extra),
        ("09_methods", {}),
        ("10_robustness_and_fairness", extra),
    ):
        run_cells(stage, **changes)
        printed[stage] = capsys.readouterr().out
    again = passed_on(copied / "targets.npz")
    assert again.drop(columns="updates").equals(table.drop(columns="updates")), "the same models, by their digests"
    for judged, of_attack in (
        ("attacks", 3),
        ("strong_judged", 8),
    ):  # without RMIA, which asks about the attacker's images
        rows = passed_on(copied / f"{judged}.npz").set_index(["target", "run", "attack"]).sort_index()
        rows = rows[["precision", "recall", "auc"]]
        assert len(rows.loc["condensed.npz"]) == of_attack
        for attack in rows.loc["condensed.npz", 0].index:
            assert rows.loc["condensed.npz", 0, attack].equals(rows.loc[table["target"][0], 0, attack])
    assert "condensed.npz does not answer for the attacker's images" in printed["06_stronger_attacks"]
    assert "condensed.npz" in (copied / "tables/summary.csv").read_text()
    assert "condensed.npz has answers and no weights" in printed["10_robustness_and_fairness"]
    properties = passed_on(copied / "properties.npz").set_index("trained on")
    assert properties.loc["condensed.npz", "accuracy"] == pytest.approx(table["non_members"][0])
    assert properties["withstands"].isna().to_dict() == {name: name == "condensed.npz" for name in properties.index}
    with pytest.raises(ValueError, match=re.escape("run notebook 2 with synthetic_sets = [] first")):
        run_cells("07_controls")
