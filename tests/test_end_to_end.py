"""The whole report in the tiny profile: complete, offline, repeatable, and safe to kill."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from conftest import artefacts_in, engine
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

from dcpriv_lib import artefacts, attacks, paths, profiles

pytestmark = pytest.mark.slow


def test_every_stage_leaves_its_tables(tiny):
    for name in ("targets.csv", "shadows.csv", "attacks.csv", "strong_attacks.csv", *(f"tables/{table}.csv" for table in (
            "table1", "table2", "claims", "strong_attacks", "epsilon", "precision_at_priors", "through_condensation",
            "matched_controls", "nearest_images", "real_start", "verdict"))):
        assert len(pd.read_csv(tiny / name)), name
    targets = pd.read_csv(tiny / "targets.csv")
    assert sorted(targets["target"].unique()) == ["condensed-2", "original", "subset-2"]
    assert (targets.groupby("target").size() == 2).all()
    assert targets.set_index("target")["images"].to_dict() == {"original": 599, "subset-2": 20, "condensed-2": 20}


def test_every_artefact_says_where_it_comes_from(tiny):
    made = [path for path in [*tiny.rglob("*.npz"), *tiny.rglob("*.csv")] if not path.name.startswith("state-")]
    for path in made:
        record = artefacts.read_sidecar(path)
        assert record["inputs"]["seed"] == 0 and record["inputs"]["profile"] == "tiny", path
        assert {"git_commit", "torch", "processor", "seconds"} <= set(record["provenance"]), path


def test_table_2_is_recomputed_from_the_stored_answers(tiny):
    split = {name: np.load(tiny / "split.npz")[name] for name in ("members", "non_members")}
    from sklearn.datasets import load_digits
    truth = load_digits().target
    judged = pd.read_csv(tiny / "attacks.csv").query("attack == 'loss threshold'").set_index(["target", "run"])
    shadows = [np.load(tiny / "shadows" / file) for file in pd.read_csv(tiny / "shadows.csv")["file"]]
    inside = np.concatenate([attacks.losses(s["members"], s["member_labels"]) for s in shadows])
    outside = np.concatenate([attacks.losses(s["non_members"], s["non_member_labels"]) for s in shadows])
    tau = attacks.loss_threshold(inside, outside)
    for row in pd.read_csv(tiny / "targets.csv").itertuples():
        answers = np.load(tiny / "targets" / row.file)
        called = {part: (attacks.losses(answers[part], truth[split[part]]) <= tau) for part in split}
        accuracy = (called["members"].mean() + 1 - called["non_members"].mean()) / 2
        assert judged.loc[(row.target, row.run), "accuracy"] == pytest.approx(accuracy)
        assert judged.loc[(row.target, row.run), "recall"] == pytest.approx(called["members"].mean())


def test_the_chosen_svm_is_the_best_by_hand_made_cross_validation(tiny):
    shadows = [np.load(tiny / "shadows" / file) for file in pd.read_csv(tiny / "shadows.csv")["file"]]
    x = softmax(np.concatenate([s["members"] for s in shadows] + [s["non_members"] for s in shadows]), axis=1)
    labels = np.concatenate([s["member_labels"] for s in shadows] + [s["non_member_labels"] for s in shadows])
    member = np.arange(len(x)) < len(x) // 2
    for c in (0, 7):
        own, own_member = x[labels == c], member[labels == c]
        best = {}
        for C in (0.1, 10):
            for gamma in (0.01, 1):
                folds = StratifiedKFold(2).split(own, own_member)
                best[C, gamma] = np.mean([(SVC(C=C, gamma=gamma).fit(own[a], own_member[a]).predict(own[b])
                                           == own_member[b]).mean() for a, b in folds])
        stored = np.load(next((tiny / "attacks").glob(f"svm-class{c}-*.npz")))
        assert best[float(stored["C"]), float(stored["gamma"])] == max(best.values())
        assert stored["accuracy"] == pytest.approx(list(best.values()))


def reference_confidences(folder):
    """phi [models, n] and membership [models, n] of the reference models, and the labels, by plain float64 softmax."""
    from sklearn.datasets import load_digits
    split = np.load(folder / "split.npz")
    labels = load_digits().target[np.concatenate([split["members"], split["non_members"]])]
    models = [np.load(folder / "references" / file) for file in pd.read_csv(folder / "references.csv")["file"]]
    keep = np.stack([model["members"] for model in models])
    return np.stack([plain_phi(model["pool"][:, 0], labels) for model in models]), keep, labels


def plain_phi(logits, labels):
    p = softmax(logits.astype(float), axis=1)
    own = p[np.arange(len(p)), labels]
    p[np.arange(len(p)), labels] = 0
    return np.log(own) - np.log(p.sum(1))


def test_lira_in_notebook_6_is_recomputed_from_the_stored_answers(tiny):
    phi, keep, labels = reference_confidences(tiny)
    judged = pd.read_csv(tiny / "strong_attacks.csv").set_index(["target", "run", "attack"])
    member = np.arange(len(labels)) < len(labels) // 2
    assert keep.shape == (6, 1198) and (keep.sum(0) == 3).all()
    for row in pd.read_csv(tiny / "targets.csv").itertuples():
        answers = np.load(tiny / "targets" / row.file)
        own = plain_phi(np.concatenate([answers["members"], answers["non_members"]]), labels)
        inside, outside = ([phi[where[:, x], x] for x in range(len(own))] for where in (keep, ~keep))
        ratio = [norm.logpdf(own[x], inside[x].mean(), inside[x].std(ddof=1))
                 - norm.logpdf(own[x], outside[x].mean(), outside[x].std(ddof=1)) for x in range(len(own))]
        found = judged.loc[row.target, row.run, "LiRA online, own variance"]
        assert found["auc"] == pytest.approx(roc_auc_score(member, ratio), abs=1e-6)
        above = np.sum(np.array(ratio)[member] > np.sort(np.array(ratio)[~member])[-6])  # 5 of 599 are below 1 %
        assert found["tpr_at_0.01"] == pytest.approx(above / member.sum()) and np.isnan(found["tpr_at_0.001"])


def test_the_controls_of_notebook_7_hold(tiny):
    """A planted leak is found at low false positive rates, random memberships are not; settings are the targets'."""
    answers = pd.read_csv(tiny / "tables/verdict.csv").set_index("question")["answer"]
    assert answers["(test of the test) planted leak"] == "found"
    assert answers["(test of the test) random memberships"] == "sound"
    informed, targets = (artefacts.read_sidecar(tiny / name)["inputs"] for name in ("informed.csv", "targets.csv"))
    assert [informed["ipc"]] == targets["ipc"] and [informed["iterations"]] == targets["iterations"]
    assert all(informed[name] == targets[name] for name in ("width", "real_batch", "image_lr", "epochs"))


def test_the_report_reads_without_a_network(tiny):
    pages = sorted((tiny / "report").glob("*.html"))
    assert len(pages) == len(profiles.STAGES)
    for page in pages:
        html = page.read_text()
        loads = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?!data:)([^\"]+)", html)
        assert not loads, f"{page.name} loads {loads}"
        assert not re.search(r"@import|url\([\"']?https?:", html), page.name
        prose = re.sub(r"<style.*?</style>|<pre.*?</pre>|<code.*?</code>|<svg.*?</svg>", "", html, flags=re.S)
        assert "$" not in re.sub(r"data:[^\"]*", "", prose), f"{page.name} holds an equation that was not converted"
    assert "<math" in (tiny / "report/02_condensation.html").read_text()


def test_a_killed_run_goes_on_and_ends_in_identical_artefacts(tiny, tmp_path):
    """kill -9 once targets exist, then the same command: the same bytes, finished steps untouched.

    The comparison with the session's first run is also the check that a seed gives the same bits twice.
    """
    process = engine(tmp_path, start_new_session=True)
    deadline = time.time() + 300
    while not list(tmp_path.glob("tiny/targets/*.npz")) and time.time() < deadline and process.poll() is None:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = artefacts_in(tmp_path / "tiny")
    assert any("targets/" in name for name in before) and "attacks.csv" not in before, "killed in the middle"
    times = {name: (tmp_path / "tiny" / name).stat().st_mtime_ns for name in before if "targets/" in name}

    output, _ = engine(tmp_path).communicate()
    assert (tmp_path / "tiny/report/index.html").exists(), output[-3000:]
    again, first = artefacts_in(tmp_path / "tiny"), artefacts_in(tiny)
    assert again.keys() == first.keys()
    assert [name for name in first if again[name] != first[name]] == []
    assert all((tmp_path / "tiny" / name).stat().st_mtime_ns == stamp for name, stamp in times.items())


def test_a_terminated_step_leaves_its_state(tiny, tmp_path):
    (tmp_path / "tiny").mkdir()
    for file in tiny.glob("split.npz*"):
        (tmp_path / "tiny" / file.name).write_bytes(file.read_bytes())
    long = '{"profile": "tiny", "ds": 150, "n_shadows": 1, "epochs": 1000000}'
    process = subprocess.Popen(
        [sys.executable, "-m", "dcpriv_lib.step", str(paths.NOTEBOOKS / "03_shadow_training.ipynb"), "out.ipynb",
         "--no-progress-bar", "--log-output", "-y", long], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.STDOUT, env=os.environ | {"DCPRIV_RESULTS": str(tmp_path), "OMP_NUM_THREADS": "1"})
    logged = ""
    while not re.search(r"\b[1-9]\d*/1000000 \[", logged) and process.poll() is None:
        logged += process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    logged += process.communicate(timeout=60)[0]
    state, = (tmp_path / "tiny/shadows").glob("*-unfinished.npz")
    assert process.returncode != 0, logged[-2000:]
    assert 0 < len(np.load(state)["history"]) < 1_000_000


def papermill(notebook, output, *arguments, results):
    command = [sys.executable, "-m", "papermill", str(notebook), str(output), "--no-progress-bar", *arguments]
    environment = os.environ | {"DCPRIV_RESULTS": str(results), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=output.parent)


@pytest.mark.parametrize(("notebook", "name", "value", "words"), [
    ("06_stronger_attacks", "n_references", "5", "n_references = 5: choose an even number of at least 6"),
    ("07_controls", "control_ipc", "99", "control_ipc = 99: notebook 2 made no such targets"),
    ("07_controls", "n_informed", "3", "n_informed = 3: choose an even number between 4 and the 6 reference")])
def test_a_wrong_parameter_is_named_before_anything_is_trained(tiny, tmp_path, notebook, name, value, words):
    run = papermill(paths.NOTEBOOKS / f"{notebook}.ipynb", tmp_path / "out.ipynb", "-f", str(paths.PROFILES / "tiny.yaml"),
                    "-p", "profile", "tiny", "-p", name, value, results=tiny.parent)
    assert run.returncode and words in run.stderr


def test_a_teacher_changes_ipc_and_nothing_is_lost(tiny, tmp_path):
    """papermill from another folder with one parameter changed: a new file, the old ones untouched."""
    arguments = ["-f", str(paths.PROFILES / "tiny.yaml"), "-p", "profile", "tiny", "-p", "ipc", "3"]
    before = artefacts_in(tiny)
    lists = {path: path.read_bytes() for path in [*tiny.glob("*.csv*"), *tiny.glob("condensed_sets.npz*")]}
    run = papermill(paths.NOTEBOOKS / "02_condensation.ipynb", tmp_path / "out.ipynb", *arguments,
                    results=tiny.parent)
    try:
        assert run.returncode == 0, run.stderr[-2000:]
        after = artefacts_in(tiny)
        assert any("ipc3-set0" in name for name in after)
        overwritten = ("targets.csv", "condensed_sets.npz")  # what they hold is in other files too
        assert all(after[name] == content for name, content in before.items() if name not in overwritten)
        assert set(pd.read_csv(tiny / "targets.csv")["target"]) == {"original", "subset-3", "condensed-3"}
    finally:
        for path, content in lists.items():
            path.write_bytes(content)
