"""Models and condensed sets made elsewhere: judged exactly as our own are, and every bad file refused by name."""

import hashlib
import re
import warnings

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scipy.special import softmax

from dcpriv_lib import parameters
from dcpriv_lib.attacks import signals, suites
from dcpriv_lib.attacks.attack import Answers, Attack, Rehearsal
from dcpriv_lib.data import dataset, split
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.evaluation import attack_results
from dcpriv_lib.external import files as external_files
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.models import networks, training
from dcpriv_lib.study import Study
from planted import make_references
from support import SETTINGS, Bomb


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The digits, divided, with results in a folder of the test's own."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    return Study.divide("mine", "digits", 0, "standard")


@pytest.fixture
def target(study):
    """A target of this report, trained on some members."""
    return study.models("target", each({("original", 0): study.members[:200]}, Training(3)))


def write(path, **arrays):
    """Write what is not None, and return the path."""
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def parts(study, answers, *names):
    """Return the answers [N, classes] for the parts of a split."""
    return {name: answers[getattr(study, name)] for name in names or split.PARTS}


def refused(call, *words):
    """Check that a call is refused in one sentence that holds all words."""
    with pytest.raises((dataset.DataError, ValueError, RuntimeError)) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


# ---------------------------------------------------------------- the same numbers


def same(one: Answers, other: Answers) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def test_a_target_written_to_a_file_has_the_targets_own_rows(study, target, tmp_path):
    logits, labels = target.logits[0], study.labels.numpy()
    own = Answers(
        logits[study.pool][:, None], labels[study.pool], logits[study.attacker][:, None], labels[study.attacker]
    )
    path = write(tmp_path / "again.npz", kind="logits", **parts(study, logits))
    found = external_files.targets(str(path), study.split, study.device)[0]["again.npz", 0]
    assert same(found, own)
    suite = {"loss": Attack(lambda asked: -signals.losses(asked.logits[:, 0], asked.labels), lambda: -1.0)}
    measure = attack_results.usual(study.is_member, labels[study.pool], study.rng)
    rows = [attack_results.judge({("x", 0): asked}, suite, study.is_member, measure)[1] for asked in (own, found)]
    assert rows[0].equals(rows[1])


def test_the_models_that_this_report_keeps_can_be_named_as_they_are(study, target):
    path = study.folder / "models" / target.table["file"][0]
    found, checksums = external_files.targets([str(path)], study.split, study.device)
    (name, run), found = found.popitem()
    assert checksums == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    assert (name, run) == (path.name, 0)
    assert np.array_equal(found.logits[:, 0], target.logits[0][study.pool])
    assert np.array_equal(found.other_logits[:, 0], target.logits[0][study.attacker])


@pytest.mark.parametrize("pixels", ["standard", "unit", "raw"])
@pytest.mark.parametrize("build", [networks.PaperCNN, lambda *shape: networks.ConvNet(*shape, width=6)])
def test_weights_answer_for_images_on_their_own_scale(build, pixels, study, tmp_path):
    network = networks.initialise(build(*study.split.shape), generator(0, "a"))
    path = write(
        tmp_path / "w.npz", pixels=pixels, **{name: value.numpy() for name, value in network.state_dict().items()}
    )
    images = study.split.dataset.images.double()
    mean, deviation = {"raw": (0, 1), "unit": (0, 255), "standard": (images.mean(), images.std(correction=0))}[pixels]
    expected = training.predict(network, ((images - mean) / deviation).float()).numpy()
    assert np.allclose(
        external_files.answers(path, study.split, study.device).logits[:, 0], expected[study.pool], atol=1e-4
    )


@pytest.mark.parametrize("name", suites.STRONG)
def test_softmax_and_logits_of_one_model_score_alike_in_every_strong_attack(name):
    references, answers, _ = make_references(np.random.default_rng(1), leak=True)
    attack = suites.STRONG[name](references)
    logarithms = [
        external_files._logarithms(None, {"members": softmax(logits[:, 0].astype(np.float64), axis=1)})["members"][
            :, None
        ]
        for logits in (answers.logits, answers.other_logits)
    ]
    found = attack.score(Answers(logarithms[0], answers.labels, logarithms[1], answers.other_labels))
    assert np.allclose(found, attack.score(answers), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", suites.PAPER)
def test_softmax_and_logits_of_one_model_score_alike_in_every_attack_of_the_paper(name, study, target, tmp_path):
    logits = target.logits[0].astype(np.float64)
    attack = suites.PAPER[name](Rehearsal.of(target.logits, study.labels, [(study.members, study.non_members)]))
    one, other = (
        external_files.answers(
            write(tmp_path / f"{kind}.npz", kind=kind, **parts(study, values)), study.split, study.device
        )
        for kind, values in (("logits", logits), ("softmax", softmax(logits, axis=1)))
    )
    assert np.allclose(attack.score(one), attack.score(other), rtol=1e-9, atol=1e-9)


def test_rounding_hides_what_lies_below_half_of_the_last_digit(study, tmp_path):
    rng, labels = np.random.default_rng(0), study.labels.numpy()
    logits = 4 * rng.normal(size=(len(labels), 10)) + 10 * np.eye(10)[labels]
    rounded = softmax(logits, axis=1).round(4)
    path = write(tmp_path / "r.npz", kind="softmax", **parts(study, rounded, "members", "non_members"))
    with pytest.warns(UserWarning, match=r"r.npz: .*% of the probabilities are 0.*taken for 5e-05.*save logits"):
        found = external_files.answers(path, study.split, study.device)
    truth = signals.logit_confidence(logits[study.pool], labels[study.pool])
    phi = signals.logit_confidence(found.logits[:, 0], found.labels)
    seen = np.abs(truth) < 5
    assert np.abs(phi - truth)[seen].max() < 1 and seen.sum() > 100
    assert phi.max() <= np.log(1 / (9 * 5e-5)) + 1e-9 < truth.max()


def test_without_the_attackers_images_rmia_is_left_out_and_the_others_are_not(study, target, tmp_path):
    path = write(tmp_path / "few.npz", kind="logits", **parts(study, target.logits[0], "members", "non_members"))
    found = external_files.answers(path, study.split, study.device)
    assert found.other_logits is None
    suite = {
        "loss": Attack(lambda asked: -signals.losses(asked.logits[:, 0], asked.labels), lambda: -1.0),
        "others": Attack(lambda asked: pytest.fail("asked"), lambda: 0.0, needs_others=True),
    }
    _, judged = attack_results.judge(
        {("few.npz", 0): found},
        suite,
        study.is_member,
        attack_results.usual(study.is_member, study.labels[study.pool].numpy(), study.rng),
    )
    assert judged["attack"].tolist() == ["loss"]


def test_the_attacks_that_need_the_attackers_images_say_so():
    references, answers, _ = make_references(np.random.default_rng(0), leak=True)
    for name, prepare in suites.STRONG.items():
        attack = prepare(references)
        if not attack.needs_others:
            attack.score(Answers(answers.logits, answers.labels))
        assert attack.needs_others == name.startswith("RMIA")


# ---------------------------------------------------------------- answers refused

ANSWERS = {  # name: (changes of a good file of softmaxes, words of the message)
    "no kind": ({"kind": None}, ["does not say kind", "logits, softmax"]),
    "odd kind": ({"kind": "probabilities"}, ["says kind = 'probabilities'", "logits, softmax"]),
    "no non-members": ({"non_members": None}, ["non_members is not there", "(599, 10)"]),
    "too few": (
        {"members": np.full((598, 10), 0.1)},
        ["members is float64 of shape (598, 10)", "(599, 10)", "in its order"],
    ),
    "other classes": ({"members": np.full((599, 9), 1 / 9)}, ["of shape (599, 9)", "(599, 10)"]),
    "integers": ({"members": np.eye(10, dtype=int)[np.arange(599) % 10]}, ["members is int64", "floats"]),
    "NaN": ({"members": np.where(np.arange(5990).reshape(599, 10) == 7, np.nan, 0.1)}, ["with 1 NaN or infinite"]),
    "attacker too short": ({"attacker": np.full((3, 10), 0.1)}, ["attacker is float64 of shape (3, 10)"]),
    "logits as softmax": ({"members": np.random.default_rng(0).normal(size=(599, 10))}, ["say kind='logits'"]),
    "sum of 0.9": ({"non_members": np.full((599, 10), 0.09)}, ["non_members hold 0.09", "add up to 0.9", "to one"]),
    "softmax as logits": ({"kind": "logits"}, ["kind is 'logits'", "say kind='softmax'"]),
    "labels only": (
        {part: np.eye(10)[np.arange(599) % 10] for part in ("members", "non_members")},
        ["every probability is 0 or 1", "no confidence"],
    ),
    "neither answers nor weights": ({"members": None, "non_members": None}, ["holds kind", "weights of PaperCNN"]),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_bad_answers_are_refused(case, study, tmp_path):
    changes, words = ANSWERS[case]
    good = {"kind": "softmax", "members": np.full((599, 10), 0.1), "non_members": np.full((599, 10), 0.1)}
    external_files.answers(write(tmp_path / "good.npz", **good), study.split, study.device)
    path = write(tmp_path / "a.npz", **good | changes)
    refused(lambda: external_files.answers(path, study.split, study.device), str(path), *words)


def test_files_that_are_no_npz_or_could_run_code_are_not_read(study, tmp_path):
    refused(
        lambda: external_files.targets(str(tmp_path / "absent.npz"), study.split, study.device),
        "extra_targets = ",
        "there is no file",
        f"{tmp_path}/absent.npz",
        "correct the path",
    )
    (tmp_path / "w.h5").write_bytes(b"\x89HDF")
    refused(
        lambda: external_files.targets(str(tmp_path / "w.h5"), study.split, study.device),
        "w.h5 is not an .npz",
        "numpy.savez",
    )
    write(tmp_path / "bomb.npz", members=np.array([Bomb(tmp_path / "marker")], dtype=object))
    refused(
        lambda: external_files.targets(str(tmp_path / "bomb.npz"), study.split, study.device),
        "never loaded",
        "numbers and text only",
    )
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["original", "condensed-10", "unrelated", "DC-10", "subset-10.zip"])
def test_a_file_that_tables_would_take_for_a_model_of_this_report_is_refused(name, study, tmp_path):
    with (tmp_path / name).open("wb") as file:
        write(file, kind="logits", **parts(study, np.eye(10)[study.labels], "members", "non_members"))
    refused(
        lambda: external_files.targets(str(tmp_path / name), study.split, study.device),
        f"{name}: tables call it by its name: expected one that ends in .npz: rename it",
    )


def test_two_files_of_one_name_are_refused(study, tmp_path):
    refused(
        lambda: external_files.targets(["a/x.npz", "b/x.npz"], study.split, study.device),
        "extra_targets: two files are called x.npz",
        "rename",
    )


# ---------------------------------------------------------------- weights refused


def weights(study) -> dict[str, np.ndarray]:
    network = networks.initialise(networks.PaperCNN(*study.split.shape), generator(0, "a"))
    return {name: value.numpy() for name, value in network.state_dict().items()}


WEIGHTS = {  # name: (a change of good weights, words of the message)
    "transposed": (
        lambda w: w | {"classifier.3.weight": w["classifier.3.weight"].T},
        ["classifier.3.weight is float32 of shape (128, 10)", "(10, 128)"],
    ),
    "renamed": (
        lambda w: {name.replace("features", "conv"): value for name, value in w.items()},
        ["holds pixels, conv.0", "PaperCNN"],
    ),
    "a layer too few": (lambda w: w | {"features.3.bias": None}, ["features.3.bias is not there", "(28,)"]),
    "a layer too many": (lambda w: w | {"features.6.bias": w["features.3.bias"]}, ["features.6.bias", "no such layer"]),
    "NaN": (lambda w: w | {"classifier.3.bias": np.full(10, np.nan, np.float32)}, ["with 10 NaN"]),
    "integers": (lambda w: w | {"classifier.3.bias": np.zeros(10, int)}, ["classifier.3.bias is int64"]),
    "no pixels": (lambda w: w | {"pixels": None}, ["does not say pixels", "standard, unit, raw"]),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_bad_weights_are_refused(case, study, tmp_path):
    change, words = WEIGHTS[case]
    path = write(tmp_path / "w.npz", **change({"pixels": "unit"} | weights(study)))
    refused(lambda: external_files.answers(path, study.split, study.device), str(path), *words)


def test_a_model_of_another_split_is_refused(study, target, tmp_path):
    path = study.folder / "models" / target.table["file"][0]
    other = Study.divide("other", "digits", 1, "standard")
    refused(
        lambda: external_files.answers(path, other.split, other.device),
        path.name,
        "made with seed = 0",
        "seed = 1 is asked for",
    )


# ---------------------------------------------------------------- condensed sets


def some_set(study, **changes) -> dict:
    """Return two members a class as a condensed set, with `changes`."""
    rows = np.concatenate([study.members[study.labels[study.members] == c][:2] for c in range(10)])
    return {"images": study.images[rows].numpy(), "labels": study.labels[rows].numpy(), "pixels": "standard"} | changes


def read(study, path, **arrays) -> dict:
    return external_files.synthetic_set(write(path, **arrays), study.split)


def test_a_set_passed_through_the_door_makes_the_same_model(study, tmp_path):
    made = study.sets("condense", {(1, 0): (study.members, SETTINGS)})[1, 0]
    own = study.models("target", each({("condensed-1", 0): made}, Training(2)))
    (kept,) = (study.folder / "condensed").glob("condense-1-0-*.npz")
    by_hand = write(tmp_path / "set.npz", images=made["images"], labels=made["labels"], pixels="standard")
    for path in (kept, by_hand):
        found, _ = external_files.synthetic_sets(str(path), study.split)
        again = study.models("target", each({("condensed-1", 0): found[1, 0]}, Training(2)))
        assert list(found) == [(1, 0)] and np.array_equal(again.logits, own.logits)
        assert again.table.equals(own.table)  # the file's name holds the digest of what it was trained on


def test_a_set_of_this_report_may_be_copied_to_another_name_and_not_be_changed(study, tmp_path):
    made = study.sets("own", {0: (study.members, SETTINGS)})[0]
    (path,) = (study.folder / "condensed").glob("own-*.npz")
    copy = tmp_path / "mine.npz"
    copy.write_bytes(path.read_bytes())
    assert np.allclose(external_files.synthetic_set(copy, study.split)["images"], made["images"])
    changed = bytearray(copy.read_bytes())
    changed[len(changed) // 3] ^= 1
    copy.write_bytes(changed)
    refused(lambda: external_files.synthetic_set(copy, study.split), str(copy))


def test_scales_layouts_orders_and_kinds_of_labels_mean_the_same_set(study, tmp_path):
    good = some_set(study)
    expected, own = read(study, tmp_path / "s.npz", **good), good["labels"]
    assert np.array_equal(expected["images"], good["images"]) and np.array_equal(expected["labels"], own)
    mean, deviation = (value.item() for value in split.pixel_scale(study.split.dataset.images, "standard"))
    raw, shuffled = good["images"] * deviation + mean, np.arange(20).reshape(10, 2).T.ravel()
    for images, pixels in ((raw, "raw"), (raw / 255, "unit"), (good["images"], "standard")):
        for laid_out in (images, images[:, 0], images.transpose(0, 2, 3, 1)):
            for labels in (own, own[:, None], np.eye(10)[own], np.eye(10, dtype=np.uint8)[own]):
                found = read(
                    study, tmp_path / "s.npz", images=laid_out[shuffled], labels=labels[shuffled], pixels=pixels
                )
                assert np.allclose(found["images"], expected["images"], atol=1e-5)
                assert found["labels"].dtype == np.int64 and np.array_equal(found["labels"], expected["labels"])


def test_several_sets_are_numbered_by_size(study, tmp_path):
    files = [str(write(tmp_path / f"{name}.npz", **some_set(study))) for name in "ab"]
    found, checksums = external_files.synthetic_sets(files, study.split)
    assert list(found) == [(2, 0), (2, 1)]
    study.files |= checksums
    study.results.save("targets", {"x": np.zeros(1)})
    assert sorted(study.files) == ["a.npz", "b.npz"] and all(
        re.fullmatch("[0-9a-f]{64}", one) for one in study.files.values()
    )


def test_soft_labels_that_are_one_hot_train_the_model_of_hard_ones(study):
    chosen = study.members[:150]
    images, labels = study.images[chosen], study.labels[chosen]
    trained = []
    for given in (labels, torch.eye(10)[labels]):
        network = networks.initialise(networks.PaperCNN(*study.split.shape), generator(0, "a"))
        losses = training.train(network, images, given, epochs=3, generator=generator(0, "b"))
        trained.append((losses, training.predict(network, study.images)))
    assert np.allclose(trained[0][0], trained[1][0], rtol=1e-5) and torch.allclose(
        trained[0][1], trained[1][1], atol=1e-3
    )


def test_soft_labels_are_learned_as_probabilities(study, tmp_path):
    soft = (0.6 * np.eye(10) + 0.4 * np.eye(10)[::-1]).repeat(2, 0)
    made = read(study, tmp_path / "s.npz", **some_set(study, labels=soft))
    assert made["labels"].dtype == np.float32 and np.allclose(made["labels"], soft)
    models = study.models("soft", each({("condensed-2", 0): made}, Training(1)))
    network = networks.initialise(networks.PaperCNN(*study.split.shape), generator(0, "soft", "condensed-2", 0))
    first = training.predict(network, torch.as_tensor(made["images"])).double()
    by_hand = -(torch.as_tensor(soft) * (first - torch.logsumexp(first, 1, keepdim=True))).sum(1).mean().item()
    (loss,) = training.train(
        network,
        *map(torch.as_tensor, (made["images"], made["labels"])),
        epochs=1,
        generator=generator(0, "soft order", "condensed-2", 0),
    )
    assert loss == pytest.approx(by_hand, rel=1e-5) and len(models) == 1


SETS = {  # name: (changes of a good set, words of the message)
    "no pixels": ({"pixels": None}, ["does not say pixels", "standard, unit, raw"]),
    "odd pixels": ({"pixels": "bytes"}, ["says pixels = 'bytes'", "standard, unit, raw"]),
    "no labels": ({"labels": None}, ["lacks labels", "expected images, labels and pixels"]),
    "other size": (
        {"images": np.zeros((20, 28, 28))},
        ["images has shape (20, 28, 28)", "(n, 1, 16, 16) or (n, 16, 16, 1)"],
    ),
    "flat": ({"images": np.zeros((20, 256))}, ["images has shape (20, 256)"]),
    "NaN pixels": ({"images": np.full((20, 16, 16), np.nan)}, ["5,120 NaN", "finite numbers"]),
    "bytes as unit": ({"images": np.zeros((20, 16, 16), np.uint8), "pixels": "unit"}, ["uint8", "say pixels='raw'"]),
    "label beyond": ({"labels": np.arange(20)}, ["labels run from 0 to 19", "expected 0 to 9"]),
    "negative label": ({"labels": np.arange(20) - 1}, ["labels run from -1 to 18"]),
    "too few labels": ({"labels": np.arange(10)}, ["labels is int64 of shape (10,)", "(20,)", "(20, 10)"]),
    "float labels": ({"labels": np.arange(20) / 2}, ["labels is float64", "integers"]),
    "soft labels of 0.9": ({"labels": np.full((20, 10), 0.09)}, ["soft labels", "add up to one"]),
    "uneven": (
        {"labels": np.arange(20).clip(max=19) % 9},
        ["class 9 has 0 images and class 0 has 3", "as many of every class"],
    ),
}


@pytest.mark.parametrize("case", SETS)
def test_bad_sets_are_refused(case, study, tmp_path):
    changes, words = SETS[case]
    path = write(tmp_path / "s.npz", **some_set(study, **changes))
    refused(lambda: external_files.synthetic_set(path, study.split), str(path), *words)


@pytest.mark.parametrize(("factor", "pixels"), [(-1, "raw"), (255, "unit"), (78, "standard")])
def test_a_scale_that_was_probably_not_meant_is_told(factor, pixels, study, tmp_path):
    good = some_set(study)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(study, tmp_path / "s.npz", **good)
    with pytest.warns(UserWarning, match=f"s.npz: with pixels='{pixels}' its images spread .* was another scale meant"):
        read(study, tmp_path / "s.npz", **good | {"images": factor * good["images"], "pixels": pixels})


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize("value", [[], "a.npz", ["a.npz", "b.npz"]])
def test_no_file_one_and_several_are_allowed(value):
    assert parameters.check({"extra_targets": value, "synthetic_sets": value})["extra_targets"] == value
    assert parameters.check({"extra_targets": [], "shift": 1})["shift"] == 1


def test_notebook_7_cannot_condense_as_the_maker_of_a_set_did(study, target):
    study.parameters |= {"synthetic_sets": "a.npz"}
    study.results.save("targets", target)
    refused(lambda: study.settings_of(10), "synthetic_sets", "run notebook 2 with synthetic_sets = []")


# ---------------------------------------------------------------- safetensors


def test_a_safetensors_file_says_the_same_as_an_npz(study, target, tmp_path):
    p = softmax(target.logits[0], axis=1).astype(np.float32)
    answers = {part: np.ascontiguousarray(p[getattr(study, part)]) for part in split.PARTS}
    np.savez(tmp_path / "a.npz", kind="softmax", **answers)
    save_file(answers, tmp_path / "a.safetensors", metadata={"kind": "softmax"})
    one, other = (
        external_files.answers(tmp_path / f"a.{suffix}", study.split, study.device) for suffix in ("npz", "safetensors")
    )
    assert np.array_equal(one.logits, other.logits) and np.array_equal(one.other_logits, other.other_logits)


def test_weights_as_safetensors_answer_as_the_network_does(study, tmp_path):
    network = networks.initialise(networks.PaperCNN(*study.split.shape), generator(0, "any"))
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    save_file(weights, tmp_path / "w.safetensors", metadata={"pixels": "standard"})
    found = external_files.answers(tmp_path / "w.safetensors", study.split, study.device)
    expected = training.predict(network, study.images[study.pool]).numpy()
    np.testing.assert_allclose(found.logits[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_bad_safetensors_are_refused(study, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0no header")
    with pytest.raises(dataset.DataError, match="x.safetensors is not a safetensors file.*truncated"):
        external_files.answers(tmp_path / "x.safetensors", study.split, study.device)
    save_file({"members": np.zeros((2, 10), np.float32)}, tmp_path / "y.safetensors")
    with pytest.raises(dataset.DataError, match="does not say kind: expected one of logits, softmax.*metadata={'kind'"):
        external_files.answers(tmp_path / "y.safetensors", study.split, study.device)
