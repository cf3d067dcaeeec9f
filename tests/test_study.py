"""The study: models and synthetic sets are what plain code makes, in one process or several, stopped or not."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from cluster_jobs import threads
from scipy.stats import ttest_ind
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from dcpriv_lib import jobs, metrics
from dcpriv_lib.attacks import signals, suites
from dcpriv_lib.attacks.attack import Answers, Attack, Rehearsal
from dcpriv_lib.attacks.released import suite
from dcpriv_lib.attacks.released.released_set import Known, Labelled
from dcpriv_lib.condensation import condense
from dcpriv_lib.engine import store, workers
from dcpriv_lib.engine.seeding import derive, generator
from dcpriv_lib.evaluation import attack_results
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.models import networks, training
from dcpriv_lib.results import against_the_paper, attack_tables, comparison
from dcpriv_lib.study import Study
from planted import make_references
from support import SETTINGS, in_this_process


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The digits, divided, with results in a folder of the test's own."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    return Study.divide("mine", "digits", 0, "standard")


def trained(study, kind, key, images, labels, epochs):
    """The logits that plain calls of the library give, for all images."""
    network = networks.initialise(networks.PaperCNN(*study.split.shape), generator(0, kind, *key))
    training.train(network, images, labels, epochs=epochs, generator=generator(0, f"{kind} order", *key))
    return training.predict(network, study.images).numpy()


def test_a_study_computes_with_one_thread_whatever_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    with threadpool_limits(2, user_api="blas"):
        torch.set_num_threads(2)
        assert threads() == {2}
        Study.divide("mine", "digits", 0, "standard")
        assert threads() == {1}


def test_models_are_what_plain_training_makes_one_by_one(study, monkeypatch):
    sets = {("a", 0): study.members[:40], ("b", 1): (study.images[:30], 9 - study.labels[:30])}
    monkeypatch.setattr(workers, "run", in_this_process)
    models = study.models("test", each(sets, Training(2)))
    expected = [
        trained(study, "test", ("a", 0), study.images[study.members[:40]], study.labels[study.members[:40]], 2),
        trained(study, "test", ("b", 1), study.images[:30], 9 - study.labels[:30], 2),
    ]
    assert np.array_equal(models.logits, expected) and models.test_logits.shape == (2, 0, 10)
    assert models.table[["target", "run", "images"]].values.tolist() == [["a", 0, 40], ["b", 1, 30]]
    assert [key for key, _ in models.items()] == [("a", 0), ("b", 1)]


def test_a_model_of_condensed_images_is_condensed_then_trained(study):
    rows = study.members[:300]
    sets = study.sets("test", {"x": (rows, replace(SETTINGS, start="real"))})
    found = study.models("test", each(sets, Training(2)))
    made = condense.condense(
        study.images[rows],
        study.labels[rows],
        replace(SETTINGS, start="real"),
        seed=derive(0, "test", "x"),
        make_network=lambda: networks.ConvNet(*study.split.shape, width=SETTINGS.width),
    )
    assert np.array_equal(found.logits[0], trained(study, "test", ("x",), made["images"], made["labels"], 2))
    assert np.array_equal(sets["x"]["started_from"], rows[made["started_from"]]), "rows of the data set"


def test_several_processes_give_the_bits_of_one(study, tmp_path, monkeypatch):
    sets = {number: study.members[number::7] for number in range(3)}
    parallel = study.models("test", each(sets, Training(2)))
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "again"))
    again = Study.divide("mine", "digits", 0, "standard")
    monkeypatch.setattr(workers, "run", in_this_process)
    assert np.array_equal(again.models("test", each(sets, Training(2))).logits, parallel.logits)
    for file in parallel.table["file"]:
        assert (study.folder / "models" / file).read_bytes() == (again.folder / "models" / file).read_bytes()


def test_what_is_missing_of_several_is_made_again_with_the_same_bits(study):
    wanted = each({number: study.members[number::7] for number in range(3)}, Training(2))
    files = [study.folder / "models" / file for file in study.models("test", wanted).table["file"]]
    before = [file.read_bytes() for file in files]
    files[1].unlink()
    study.models("test", wanted)
    assert [file.read_bytes() for file in files] == before and len(list(files[0].parent.glob("*.npz"))) == 3


def test_what_was_made_is_loaded_and_what_differs_is_made_beside_it(study, monkeypatch):
    first = study.models("test", each({"x": study.members[:40]}, Training(1)))
    before = {path: path.read_bytes() for path in (study.folder / "models").iterdir()}
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("trained again"))
    assert np.array_equal(study.models("test", each({"x": study.members[:40]}, Training(1))).logits, first.logits)
    monkeypatch.undo()
    os.environ["DCPRIV_RESULTS"] = str(study.folder.parent)
    other = study.models("test", each({"x": study.members[1:41]}, Training(1)))
    assert other.table["file"][0] != first.table["file"][0]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_saved_models_come_back_with_their_settings(study):
    models = study.models("target", each({("original", run): study.members[:40] for run in range(2)}, Training(1)))
    study.results.save("targets", models)
    loaded = study.results.load_models("targets")
    assert np.array_equal(loaded.logits, models.logits) and loaded.settings["parameters"]["dataset"] == "digits"
    assert np.array_equal(loaded.named("original"), models.logits) and len(loaded[:1]) == 1
    with pytest.raises(store.ArtefactError, match="shadows.npz does not exist yet: run notebooks/03_shadow_training"):
        study.results.load_models("shadows")


def test_shifted_queries_are_the_networks_answers_to_shifted_images(study):
    models = study.models("test", each({"x": study.members[:40]}, Training(1)))
    asked = study.query(models, shift=1)
    (network,) = study.networks(models)
    expected = training.predict(network, study.images.roll((0, -1), (2, 3))).numpy()
    assert asked.shape == (1, len(study.images), 5, 10) and np.array_equal(asked[0, :, 4], expected)
    assert np.array_equal(study.query(models)[:, :, 0], models.logits)


def test_the_network_of_a_model_is_the_one_that_was_trained(study):
    wanted = {name: (study.members[:40], Training(1, name)) for name in networks.NETWORKS}
    models = study.models("any", wanted)
    for network, logits in zip(study.networks(models), models.logits, strict=True):
        assert np.array_equal(training.predict(network, study.images), logits)


def test_a_smaller_pool_is_some_of_the_pool_and_the_attackers_images_stay(study):
    some, again = study.subset(100), study.subset(100)
    assert len(set(some.pool)) == 100 and set(some.pool) < set(study.pool) and np.array_equal(some.pool, again.pool)
    assert np.array_equal(some.is_member, np.isin(some.pool, study.members)) and 30 < some.is_member.sum() < 70
    assert np.array_equal(some.attacker, study.attacker) and len(study.pool) == 2 * len(study.members)


def test_a_balanced_choice_has_as_many_of_every_class(study):
    chosen = study.choose_balanced(study.members, 3, "test", 1)
    assert len(set(chosen)) == 30 and set(chosen) <= set(study.members)
    assert np.array_equal(np.bincount(study.labels[chosen]), np.full(10, 3))
    assert not np.array_equal(chosen, study.choose_balanced(study.members, 3, "test", 2))


def test_a_set_that_cannot_be_condensed_stops_all_before_the_first(study, monkeypatch):
    monkeypatch.setattr(study, "_made", lambda *_: pytest.fail("condensed already"))
    few = study.members[study.labels[study.members] != 3][:200]
    with pytest.raises(ValueError, match="ipc = 2: class 3 has only 0 members"):
        study.sets(
            "test", {number: (rows, replace(SETTINGS, ipc=2)) for number, rows in enumerate((study.members, few))}
        )


SLOW_RUN = """
import sys
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.study import Study
study = Study("mine", "digits", 0)
print("begins", flush=True)
study.models("test", each({number: study.members for number in range(2)}, Training(1_000_000)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopping_the_parent_stops_its_workers_with_their_states_saved(study, how):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    process.stdout.readline()
    deadline = time.monotonic() + 120

    def children():
        listed = subprocess.run(
            ["ps", "-o", "pid=,stat=", "-g", str(process.pid)], capture_output=True, text=True
        ).stdout
        return [line for line in listed.splitlines() if " Z" not in line and int(line.split()[0]) != process.pid]

    while len(children()) < 2 and time.monotonic() < deadline:  # two workers (and a tracker of theirs)
        time.sleep(0.5)
    time.sleep(12)  # they import torch and begin to train
    process.send_signal(how)
    _, error = process.communicate(timeout=60)
    while children() and time.monotonic() < deadline + 60:
        time.sleep(0.5)
    assert not children(), error[-2000:]
    states = list((study.folder / "models").glob("*-unfinished.npz"))
    assert len(states) == 2, error[-2000:]
    assert all(len(np.load(state)["history"]) > 0 for state in states)


# ---------------------------------------------------------------- every attack of the catalogue


@pytest.mark.parametrize("name", suites.STRONG)
def test_every_strong_attack_finds_a_planted_leak(name):
    references, answers, member = make_references(np.random.default_rng(1), leak=True)
    attack = suites.STRONG[name](references)
    score = attack.score(answers)
    assert roc_auc_score(member, score) > 0.9
    assert np.mean((score >= attack.threshold) == member) > 0.8


@pytest.mark.parametrize("name", suites.STRONG)
def test_no_strong_attack_finds_made_up_memberships(name):
    found = []
    for seed in range(12):
        references, answers, member = make_references(np.random.default_rng(seed), leak=False)
        score = suites.STRONG[name](references).score(answers)  # may hold -inf
        found.append(metrics.auc(score, member, np.random.default_rng(0), draws=1)[0])
    assert abs(np.mean(found) - 0.5) < 3 * 0.029 / np.sqrt(12)  # 0.029: standard error of an AUC of 200 and 200


@pytest.mark.parametrize("name", suites.PAPER)
def test_every_attack_of_the_paper_finds_a_planted_leak(name):
    references, answers, member = make_references(np.random.default_rng(1), leak=True)
    attack = suites.PAPER[name](references.rehearsal)
    assert np.mean((attack.score(answers) >= attack.threshold) == member) > 0.8


def test_a_reference_model_and_its_partner_are_left_out_together():
    references, _, _ = make_references(np.random.default_rng(0), leak=True)
    rest = references.without(3)
    assert (
        np.array_equal(rest.is_member, np.delete(references.is_member, [2, 3], axis=0))
        and (rest.is_member.sum(0) == 4).all()
    )
    assert np.array_equal(rest.logits, np.delete(references.logits, [2, 3], axis=0))


def test_rehearsal_rows_are_members_then_non_members_of_each_model():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 9, 3)), np.arange(9) % 3
    splits = [(np.array([0, 1]), np.array([2])), (np.array([8]), np.array([7, 6]))]
    rows = Rehearsal.of(logits, labels, splits)
    assert np.array_equal(
        rows.logits, np.concatenate([logits[0, [0, 1]], logits[1, [8]], logits[0, [2]], logits[1, [7, 6]]])
    )
    assert rows.labels.tolist() == [0, 1, 2, 2, 1, 0] and rows.is_member.tolist() == [True] * 3 + [False] * 3


def test_judging_gives_a_row_a_target_and_attack_with_its_rates(study):
    rng = np.random.default_rng(0)
    labels = study.labels[study.pool].numpy()
    leak = np.where(study.is_member, 3.0, 0.0)[:, None] * np.eye(10)[labels] + rng.normal(size=(len(labels), 10))
    answers = {("a", 0): Answers(leak[:, None], labels)}
    attack = Attack(lambda asked: -signals.losses(asked.logits[:, 0], asked.labels), lambda: -1.0)
    scores, judged = attack_results.judge(
        answers, {"loss": attack}, study.is_member, attack_results.usual(study.is_member, labels, study.rng)
    )
    says = signals.losses(leak, labels) <= 1.0
    assert judged.loc[0, "accuracy"] == np.mean(says == study.is_member)
    assert judged.loc[0, "auc"] == pytest.approx(roc_auc_score(study.is_member, scores["a", 0, "loss"]))
    _, strong = attack_results.judge(
        answers, {"loss": attack}, study.is_member, attack_results.strong(study.is_member, study.rng)
    )
    assert strong.loc[0, "tpr_at_0.01"] == metrics.tpr_at_fpr(scores["a", 0, "loss"], study.is_member, 0.01, rng)[0]
    assert list(attack_tables.at_low_fpr(strong)["attack"]) == ["loss"]


# ---------------------------------------------------------------- rules of the comparison


def test_a_difference_counts_where_welchs_t_test_tells_it():
    a, b = pd.Series([0.80, 0.82, 0.84]), pd.Series([0.75, 0.775, 0.79, 0.78])
    for shift in (0.0, 0.01, 0.02, 0.03, -0.1):
        told = ttest_ind(a, b + shift, equal_var=False).pvalue < 0.05
        expected = (
            "no difference detected" if not told else "holds" if a.mean() > (b + shift).mean() else "the reverse holds"
        )
        assert comparison.larger(a, b + shift)[1] == expected
    assert comparison.larger(a[:1], b)[1] == "no difference detected"


def test_two_coins_do_not_agree():
    chance, leak = (pd.Series({"accuracy_low": low, "accuracy_high": low + 0.012}) for low in (0.496, 0.508))
    coin, found = {"accuracy": 0.5014}, {"accuracy": 0.5122}
    assert against_the_paper.attack_verdict(coin, chance, True) == "both at chance"
    assert against_the_paper.attack_verdict(found, leak, True) == "agrees"
    assert against_the_paper.attack_verdict(coin, leak, True) == "ours is higher"
    assert against_the_paper.attack_verdict(coin, chance, False) == "other data"


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (0.50, "agrees"),
        (0.49, "ours is higher"),
        (0.56, "ours is lower"),
        (0.485, "agrees"),
        (None, "not in the paper"),
    ],
)
def test_the_papers_number_agrees_inside_our_interval(says, expected):
    tolerance = 0.01 if says == 0.485 else 0.0
    assert comparison.verdict(says, 0.494, 0.55, tolerance, papers_data=True) == expected
    assert comparison.verdict(says, 0.494, 0.55, tolerance, papers_data=False) == (
        "other data" if says else "not in the paper"
    )


# ---------------------------------------------------------------- other people, and released sets


def released_sets(study, number=3):
    """Sets that nobody had to condense: some members' images with a little noise each, of every class."""
    rng = study.rng("released in a test")
    rows = {f"set {place}": study.choose_balanced(study.members, 2, "released", place) for place in range(number)}
    return {
        name: {
            "images": study.images[own].numpy() + rng.normal(0, 0.1, study.images[own].shape).astype(np.float32),
            "labels": study.labels[own].numpy(),
        }
        for name, own in rows.items()
    }


def asked_directly(study, released, attacks, start=None):
    """What the functions of the suite say, called one by one."""
    labelled = [
        Labelled(torch.as_tensor(images), torch.as_tensor(labels))
        for images, labels in (
            (released["images"], released["labels"]),
            (study.images[study.pool], study.labels[study.pool]),
            (study.images[study.attacker], study.labels[study.attacker]),
        )
    ]
    known = Known(labelled[2], *study.split.scale, seed=derive(0, "holds the images"), start=start)
    return {attack: suite.SCORES[attack](labelled[0], labelled[1], known) for attack in attacks}


def test_scores_are_those_of_the_suite_called_directly_in_the_order_of_the_sets(study, monkeypatch):
    monkeypatch.setattr(workers, "run", in_this_process)
    sets, attacks = released_sets(study), ["unmixing", "nearest image", "class mean, random networks"]
    backwards = dict(reversed(sets.items()))
    found = study.scores({"a": sets, "b": backwards}, attacks)
    assert list(found) == ["a", "b"] and list(found["a"]) == attacks
    for place, made in enumerate(sets.values()):
        for attack, scores in asked_directly(study, made, attacks).items():
            assert np.array_equal(found["a"][attack][place], scores), attack
            assert np.array_equal(found["b"][attack][-1 - place], scores), attack
    assert found["a"]["unmixing"].shape == (3, len(study.pool))


def test_scores_of_soft_labels_are_asked_with_them(study):
    (made,) = released_sets(study, 1).values()
    hard = np.eye(10, dtype=np.float32)[made["labels"]]
    attacks = ["kernel regression, error", "learned labels", "nearest image"]
    found = study.scores(
        {
            "hard": {0: made},
            "soft": {0: made | {"labels": (hard + 0.05) / 1.5}},
            "one-hot": {0: made | {"labels": hard}},
        },
        attacks,
    )
    soft = asked_directly(study, made | {"labels": (hard + 0.05) / 1.5}, attacks)
    assert all(np.array_equal(found["soft"][attack][0], scores) for attack, scores in soft.items())
    assert found["soft"]["learned labels"].any() and not found["hard"]["learned labels"].any()
    assert np.array_equal(found["soft"]["nearest image"], found["hard"]["nearest image"])
    assert not np.array_equal(found["soft"]["kernel regression, error"], found["hard"]["kernel regression, error"])
    assert np.allclose(found["one-hot"]["kernel regression, error"], found["hard"]["kernel regression, error"])


def test_a_known_start_is_the_first_snapshot(study):
    (made,) = released_sets(study, 1).values()
    start = np.zeros_like(made["images"])
    attack = "update of a known start"
    found = study.scores({"x": {0: made | {"snapshots": np.stack([start, made["images"]])}}}, [attack])["x"]
    expected = asked_directly(study, made, [attack], torch.as_tensor(start))
    assert np.array_equal(found[attack][0], expected[attack])


def test_scores_are_asked_again_where_the_set_or_the_people_are_others(study):
    (made,) = released_sets(study, 1).values()
    attacks = ["nearest image"]

    def file(study, made, attacks=attacks):
        return jobs.score_job(study.data, "x", (0,), made, study.pool, study.attacker, attacks).path(study.folder)

    first = file(study, made)
    assert file(study, dict(made)) == first
    for changed in (
        file(study, made | {"images": made["images"] + 1e-3}),
        file(study, made | {"labels": 9 - made["labels"]}),
        file(study, made, ["unmixing"]),
        file(study.subset(100), made),
        file(study.with_canaries(10), made),
        file(study.with_people(study.pool[:1], study.images[:1], study.labels[:1]), made),
    ):
        assert changed != first


def test_other_people_stand_in_their_rows_and_in_no_others(study):
    rows, before = study.pool[[5, 0, 17]], study.images.clone()
    images, labels = torch.randn(3, *study.images.shape[1:]), torch.tensor([9, 1, 4])
    special = study.with_people(rows, images, labels)
    assert torch.equal(special.images[rows], images) and torch.equal(special.labels[rows], labels)
    others = np.setdiff1d(np.arange(len(before)), rows)
    assert torch.equal(special.images[others], before[others])
    assert torch.equal(special.labels[others], study.labels[others])
    assert torch.equal(study.images, before) and not torch.equal(study.labels[rows], labels), "the study stays"
    assert np.array_equal(special.pool, study.pool)


def test_what_is_made_of_other_people_is_kept_apart(study):
    images, labels = study.images[study.pool[:2]], study.labels[study.pool[:2]]
    studies = [
        study,
        study.with_people(study.pool[:2], images + 1, labels),
        study.with_people(study.pool[:2], images, labels),
        study.with_people(study.pool[:2], images, (labels + 1) % 10),
        study.with_people(study.pool[2:4], images, labels),
        study.with_canaries(10).with_people(study.pool[:2], images, labels),
    ]
    for make, recipe in ((jobs.set_job, replace(SETTINGS, start="real")), (jobs.model_job, Training(1))):
        paths = {make(one.data, "x", (0,), study.members, recipe).path(study.folder) for one in studies}
        assert len(paths) == len(studies)
    made = studies[1].sets("x", {0: (study.pool[:200], replace(SETTINGS, start="real", iterations=0, ipc=15))})[0]
    shown = made["started_from"][:, 0]
    assert np.array_equal(made["images"], studies[1].images[shown]) and np.isin(study.pool[:2], shown).any()
