"""An audit refutes what leaks, does not refute what does not, and says what is wrong with bad input."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bad_input import never
from dcpriv_lib.attacks import lira
from dcpriv_lib.attacks.released import suite
from dcpriv_lib.audit import attacking, audit, card as cards, command, people, references
from dcpriv_lib.condensation import condense, defaults
from dcpriv_lib.data.dataset import DataError
from dcpriv_lib.engine import store
from dcpriv_lib.models import networks

SIZE = 14
SLOW = ("own models", "gradient", "class mean, random networks")
COPIED = 30  # members' images of a class in a set that leaks


def some_people(rng, n, classes=2):
    """Smooth images of classes, uint8 [n, 14, 14], and their labels."""
    labels = np.arange(n) % classes
    coarse = rng.normal(size=(n, 7, 7)) + 2 * np.random.default_rng(99).normal(size=(classes, 7, 7))[labels]
    fine = coarse.repeat(2, 1).repeat(2, 2) + 0.3 * rng.normal(size=(n, SIZE, SIZE))
    return np.clip(128 + 30 * fine, 0, 255).astype(np.uint8), labels


def data(folder, seed=0, n=900, **changes):
    """Write 2/5 members and 3/5 held out; return the file, the images, the labels and who is a member."""
    rng = np.random.default_rng(seed)
    images, labels = some_people(rng, n)
    member = rng.permutation(n) < 2 * n // 5
    arrays = {"train_images": images, "train_labels": labels, "test_images": images[:4], "test_labels": labels[:4]}
    arrays |= {"member": member} | changes
    path = folder / "data.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path, images, labels, member


def released(path, images, labels, pixels="raw", **more):
    order = np.argsort(labels, kind="stable")
    np.savez(path, images=images[order].astype(np.float32), labels=labels[order], pixels=pixels, **more)
    return path


def of_members(folder, each=COPIED, noise=0.0, **more):
    """Write a data set and a set that copies some members, with noise; return both and the rows copied."""
    path, images, labels, member = data(folder, **more)
    rows = np.concatenate([np.flatnonzero(member & (labels == c))[:each] for c in (0, 1)])
    copies = images[rows] + noise * np.random.default_rng(1).normal(size=(len(rows), SIZE, SIZE))
    return released(folder / "set.npz", copies, labels[rows]), path, rows


def of_nobody(folder, seed=0, each=10, **more):
    """Write a data set and a set of other people."""
    path, *_ = data(folder, seed, **more)
    images, labels = some_people(np.random.default_rng(1000 + seed), 2 * each)
    return released(folder / "set.npz", images, labels), path


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    """Keep results in the test's folder, and leave the slow attacks out."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(suite, "SCORES", {name: score for name, score in suite.SCORES.items() if name not in SLOW})


# ---------------------------------------------------------------- verdicts


def test_copies_of_members_are_refuted_and_these_are_worst_off(tmp_path, capsys):
    set_file, data_file, rows = of_members(tmp_path, noise=3.0)
    assert command.main([str(set_file), str(data_file), "--quiet"]) == 1
    said = capsys.readouterr().out
    folder = tmp_path / "results/audit-set"
    card = json.loads((folder / "card.json").read_text())
    assert said.startswith("REFUTED") and "largest leak: AUC" in said and "card.html" in said
    assert card["largest"]["auc_of_all"][1] > 0.52 and card["control"]["holds"]
    assert {person["row"] for person in card["worst_off"]} <= set(rows.tolist())
    assert len(card["worst_off"]) == 10 and all(person["distance"] < 0.05 for person in card["worst_off"])


def test_verbatim_copies_are_said_and_refute_that_nobody_stands_out(tmp_path):
    set_file, data_file, _ = of_members(tmp_path, each=1)
    card = audit.examine(set_file, data_file, claim="AUC <= 99 %, nobody above 1 in 1,000")
    assert card["people"]["verbatim of a member"] == 2
    assert [claim["verdict"] for claim in card["claims"]] == ["verified", "refuted"]
    assert "exact copies of members" in Path(card["page"]).read_text()
    assert audit.examine(set_file, data_file, claim="AUC <= 99 %")["verdict"] == "inconclusive"


def test_a_set_made_of_nobody_is_refuted_no_more_often_than_stated(tmp_path, monkeypatch):
    claim = "AUC <= 50 %, TPR at 1 % FPR <= 1 %, nobody above 1 in 100, epsilon <= 0"
    words = [audit.examine(*of_nobody(tmp_path, seed), claim=claim, seed=seed)["verdict"] for seed in range(20)]
    assert words.count("refuted") <= 3  # 1 expected at most; 4 or more have a chance of 1.6 %


def test_verified_only_if_all_upper_ends_are_within_the_claim(tmp_path):
    set_file, data_file = of_nobody(tmp_path)
    rows = audit.examine(set_file, data_file)["attacks"]
    highest = max(row["auc"][2] for row in rows)
    above, below = (audit.examine(set_file, data_file, claim=f"AUC <= {highest + by:.6f}") for by in (1e-5, -1e-5))
    assert (above["verdict"], below["verdict"]) == ("verified", "inconclusive")
    assert "By these attacks" in above["claims"][0]["reason"]


def test_no_attack_verifies_an_epsilon(tmp_path):
    card = audit.examine(*of_nobody(tmp_path), claim="epsilon <= 10")
    assert card["verdict"] == "inconclusive" and "No attack can verify" in card["claims"][0]["reason"]


def test_an_epsilon_is_refuted_and_of_an_exchange_it_is_twice_as_large(tmp_path):
    set_file, data_file, _ = of_members(tmp_path, each=150, noise=1.0)
    low = audit.examine(set_file, data_file, claim="epsilon <= 0.1")["largest"]["epsilon_at_least"]
    assert low > 0.5
    for claim, word in (
        (f"exchange epsilon <= {low - 0.01:.4f}", "refuted"),
        (f"epsilon <= {low - 0.01:.4f}", "inconclusive"),
        (f"epsilon <= {low / 2 - 0.01:.4f}", "refuted"),
    ):
        found = audit.examine(set_file, data_file, claim=claim)
        assert found["verdict"] == word, claim


def test_too_few_people_are_inconclusive(tmp_path, capsys):
    set_file, data_file, _ = of_members(tmp_path, each=2, n=30)
    assert command.main([str(set_file), str(data_file), "--claim", "AUC <= 90 %", "--quiet"]) == 2
    card = json.loads((tmp_path / "results/audit-set/card.json").read_text())
    assert card["people"]["pairs"] < 8 and card["attacks"] == []
    assert "too few people" in (tmp_path / "results/audit-set/card.html").read_text()


def test_a_failed_control_makes_everything_inconclusive(tmp_path, monkeypatch):
    """An attack that sees which half of the people held out somebody is in cannot be relied on."""
    set_file, data_file, _ = of_members(tmp_path)

    def odd_one_out(asked, scores, seed):
        return control(asked, scores | {"odd": cheat(asked, seed)}, seed)

    def cheat(asked, seed):
        found = np.zeros(len(asked.is_member))
        rows = np.flatnonzero(~asked.is_member)
        rng = np.random.default_rng(audit.verdict.derive(seed, "control"))
        for label in np.unique(asked.classes[rows]):
            own = rng.permutation(np.flatnonzero(asked.classes[rows] == label))
            found[rows[own[: (len(own) + rng.integers(2)) // 2]]] = 1.0
        return found

    control = audit.verdict.control
    monkeypatch.setattr(audit.verdict, "control", odd_one_out)
    card = audit.examine(set_file, data_file)
    assert card["verdict"] == "inconclusive" and not card["control"]["holds"]
    assert "FAILS" in Path(card["page"]).read_text()


def test_people_held_out_who_look_otherwise_make_everything_inconclusive(tmp_path):
    """The set is made of nobody, and yet it is nearer to the brighter side; without a control it would be refuted."""
    _, images, _, member = data(tmp_path)
    brighter = np.clip(images + 25 * (~member)[:, None, None], 0, 255).astype(np.uint8)
    path = data(tmp_path, train_images=brighter)[0]
    strangers, of = some_people(np.random.default_rng(7), 40)
    card = audit.examine(released(tmp_path / "set.npz", strangers, of), path)
    assert card["verdict"] == "inconclusive" and not card["control"]["blind"]["holds"]
    assert all("without the set" in one["reason"] for one in card["claims"])
    assert "FAILS" in Path(card["page"]).read_text()


def test_a_leak_of_few_is_said_where_the_claim_is_about_an_average(tmp_path, capsys):
    set_file, data_file, _ = of_members(tmp_path, each=6, noise=1.0)
    assert command.main([str(set_file), str(data_file), "--claim", "AUC <= 70 %", "--quiet"]) == 0
    assert "A leak was found all the same" in capsys.readouterr().out
    assert "A leak was found all the same" in (tmp_path / "results/audit-set/card.html").read_text()
    set_file, data_file = of_nobody(tmp_path)
    command.main([str(set_file), str(data_file), "--claim", "AUC <= 60 %", "--quiet"])
    assert "A leak was found" not in capsys.readouterr().out


def test_nobody_above_takes_as_many_people_held_out(tmp_path):
    set_file, data_file, _ = of_members(tmp_path, noise=1.0)
    card = audit.examine(set_file, data_file, claim="nobody above 1 in 1,000, nobody above 1 in 100")
    assert [claim["verdict"] for claim in card["claims"]] == ["inconclusive", "refuted"]
    assert "hold out 1,000" in card["claims"][0]["reason"]


# ---------------------------------------------------------------- the card


def test_the_page_has_the_numbers_of_the_json(tmp_path):
    card = audit.examine(*of_members(tmp_path, noise=3.0)[:2])
    page = Path(card["page"]).read_text()
    kept = json.loads((tmp_path / "results/audit-set/card.json").read_text())
    for row in kept["attacks"]:
        cells = re.search(rf'<th scope="row">{re.escape(row["attack"])}</th>(.*?)</tr>', page, re.DOTALL)[1]
        found = re.findall(r"<td>(.*?)</td>", cells)
        value, low, high = (100 * end for end in row["auc"])
        assert found[0] == f"{value:.1f} % ({low:.1f} to {high:.1f})"
        assert found[1] == cards.interval(row["tpr"]["0.01"]) and found[2] == cards.interval(row["tpr"]["0.001"])
        assert found[3:] == [f"{row['epsilon_at_least']:.2f}", cards.p_words(row["p_corrected"])]
    assert page.count("<img") == 10 == page.count('alt="A member')
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert re.search(r'class="verdict refuted">refuted<', page)


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(tmp_path):
    found = []
    for seed, out in ((0, "a"), (0, "b"), (1, "c")):
        card = audit.examine(*of_nobody(tmp_path), seed=seed, out=tmp_path / out)
        found.append({name: value for name, value in card.items() if name not in ("run", "page")})
    assert found[0] == found[1]
    assert found[0]["attacks"] != found[2]["attacks"]


def test_pictures_can_be_left_out(tmp_path):
    set_file, data_file, _ = of_members(tmp_path)
    command.main([str(set_file), str(data_file), "--quiet", "--no-pictures", "--out", str(tmp_path / "here")])
    assert "<img" not in (tmp_path / "here/card.html").read_text()


# ---------------------------------------------------------------- who is asked


def test_copies_among_people_are_left_out_and_counted(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = some_people(rng, 400)
    member = np.arange(400) % 4 < 2
    images[2], images[4] = images[0], images[1]  # somebody held out is a member's copy; a member is there twice
    set_file = released(tmp_path / "set.npz", images[[10, 11]], labels[[10, 11]])
    data_file, *_ = data(tmp_path, n=400, train_images=images, train_labels=labels, member=member)
    found = people.read(set_file, data_file, people=1000, seed=0, equal=False)
    assert found.notes["on both sides"] == 2 and found.notes["twice on one side"] == 1
    assert not {0, 2, 4} & set(found.rows.tolist())
    assert 1 in found.rows


def test_without_member_the_test_images_are_held_out(tmp_path):
    images, labels = some_people(np.random.default_rng(0), 300)
    data_file, *_ = data(
        tmp_path, member=None, train_images=images[:100], train_labels=labels[:100],
        test_images=images[100:], test_labels=labels[100:],
    )  # fmt: skip
    set_file = released(tmp_path / "set.npz", *some_people(np.random.default_rng(5), 4))
    found = people.read(set_file, data_file, people=1000, seed=0, equal=False)
    assert found.is_member.sum() == 100
    for candidate, row in enumerate(found.rows):
        image = images[row] if found.is_member[candidate] else images[100 + row]
        assert np.array_equal(found.grey[candidate, 0], image)
    own = {image.numpy().tobytes() for image in found.known.own.images}
    assert len(own) == 66 and not own & {image.numpy().tobytes() for image in found.candidates.images}
    few = people.read(set_file, data_file, people=20, seed=0, equal=True)
    assert few.is_member.sum() == 20 and (~few.is_member).sum() == 20


def test_a_kept_set_is_read_on_the_scale_of_its_record(tmp_path):
    data_file, *_ = data(tmp_path)
    images, labels = some_people(np.random.default_rng(5), 4)
    order = np.argsort(labels, kind="stable")
    arrays = {"images": images[order, None].astype(np.float32) / 255, "labels": labels[order]}
    store.save_arrays(tmp_path / "kept.npz", arrays, {"pixels": "unit", "data": "other", "seed": 3})
    found = people.read(tmp_path / "kept.npz", data_file, people=1000, seed=0, equal=False)
    assert np.array_equal(found.released.images.numpy(), arrays["images"])
    assert found.candidates.images.max() <= 1 and found.warned == []
    assert np.allclose(found.known.grey(found.released.images), arrays["images"].reshape(4, -1))


def test_safetensors_and_soft_labels(tmp_path):
    data_file, *_ = data(tmp_path)
    images, labels = some_people(np.random.default_rng(5), 20)
    soft = np.where(np.eye(2)[labels] > 0, 0.9, 0.1).astype(np.float32)
    save_file({"images": images / np.float32(255), "labels": soft}, tmp_path / "s.safetensors", {"pixels": "unit"})
    card = audit.examine(tmp_path / "s.safetensors", data_file)
    assert card["released"] == {"images": 20, "soft": True}
    assert {row["attack"] for row in card["attacks"]} == set(suite.SCORES) - suite.NEEDS_START
    hard = audit.examine(*of_nobody(tmp_path))
    assert {row["attack"] for row in hard["attacks"]} == set(suite.SCORES) - suite.NEEDS_START - {"learned labels"}


# ---------------------------------------------------------------- warnings


def test_people_who_differ_by_looks_are_said(tmp_path):
    images, labels = some_people(np.random.default_rng(0), 900)
    member = np.arange(900) < 360
    brighter = np.where(member[:, None, None], np.clip(images.astype(int) + 12, 0, 255), images).astype(np.uint8)
    set_file = released(tmp_path / "set.npz", *some_people(np.random.default_rng(5), 4))
    for changed, words in (
        ({"train_images": brighter}, ["mean of the grey levels", "by looks"]),
        ({"member": (labels == 0) & (np.arange(900) < 400) | (np.arange(900) < 60)}, ["different classes"]),
        ({}, []),
    ):
        data_file, *_ = data(tmp_path, **({"train_images": images, "train_labels": labels, "member": member} | changed))
        found = people.read(set_file, data_file, people=1000, seed=0, equal=False).warned
        assert bool(found) == bool(words) and all(word in " ".join(found) for word in words)


def test_permuted_labels_are_said(tmp_path):
    data_file, *_ = data(tmp_path)
    images, labels = some_people(np.random.default_rng(5), 20)
    right, wrong = released(tmp_path / "a.npz", images, labels), released(tmp_path / "b.npz", images, 1 - labels)
    assert people.read(right, data_file, people=1000, seed=0, equal=False).warned == []
    (said,) = people.read(wrong, data_file, people=1000, seed=0, equal=False).warned
    assert "another order" in said


def test_another_scale_is_said(tmp_path):
    data_file, *_ = data(tmp_path)
    images, labels = some_people(np.random.default_rng(5), 20)
    set_file = released(tmp_path / "a.npz", 30.0 * images, labels, pixels="raw")
    said = people.read(set_file, data_file, people=1000, seed=0, equal=False).warned
    assert any("was another scale meant" in one for one in said)
    certain = released(tmp_path / "b.npz", (images - images.min()) / np.ptp(images), labels, pixels="raw")
    with pytest.raises(DataError, match="b.npz: with pixels='raw'.*was another scale meant.*pixels='unit' fits"):
        people.read(certain, data_file, people=1000, seed=0, equal=False)


# ---------------------------------------------------------------- bad input


IMAGES, LABELS = some_people(np.random.default_rng(5), 4)
SETS = {
    "no pixels": ({"images": IMAGES, "labels": LABELS}, ["pixels", "unit, raw"]),
    "other size": ({"images": np.zeros((4, 28, 28)), "labels": LABELS, "pixels": "unit"}, ["images has shape"]),
    "colours": ({"images": np.zeros((4, SIZE, SIZE, 3)), "labels": LABELS, "pixels": "unit"}, ["images has shape"]),
    "NaN": ({"images": IMAGES + np.nan, "labels": LABELS, "pixels": "raw"}, ["4", "NaN"]),
    "classes": ({"images": IMAGES, "labels": LABELS + 1, "pixels": "raw"}, ["1 to 2", "expected 0 to 1"]),
    "unequal": ({"images": IMAGES, "labels": LABELS * 0, "pixels": "raw"}, ["as many of every class"]),
    "soft": ({"images": IMAGES, "labels": np.ones((4, 2)), "pixels": "raw"}, ["add up to one"]),
}


@pytest.mark.parametrize("what", SETS)
def test_a_bad_set_is_refused(what, tmp_path, refused, monkeypatch):
    arrays, words = SETS[what]
    data_file, *_ = data(tmp_path)
    np.savez(tmp_path / "set.npz", **arrays)
    monkeypatch.setattr(attacking, "scores", never)
    with refused(DataError, "set.npz", *words):
        audit.examine(tmp_path / "set.npz", data_file)


DATA = {
    "floats": ({"train_images": np.zeros((900, SIZE, SIZE))}, ["train_images is float64", "uint8"]),
    "labels": ({"train_labels": np.zeros(5, int)}, ["train_labels has shape (5,)"]),
    "no test": ({"test_images": None}, ["lacks test_images"]),
    "member": ({"member": np.zeros(900)}, ["member is float64", "bool of shape (900,)"]),
    "too many": ({"member": np.ones(901, bool)}, ["(901,)"]),
    "all members": ({"member": np.ones(900, bool)}, ["nobody is held out"]),
    "no members": ({"member": np.zeros(900, bool)}, ["nobody is a member"]),
}


@pytest.mark.parametrize("what", DATA)
def test_bad_data_are_refused(what, tmp_path, refused, monkeypatch):
    changes, words = DATA[what]
    set_file, _ = of_nobody(tmp_path)
    data_file, *_ = data(tmp_path, **changes)
    monkeypatch.setattr(attacking, "scores", never)
    with refused(DataError, "data.npz", *words):
        audit.examine(set_file, data_file)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "KIPP"}, ["METHOD = 'KIPP'", "'KIP'"]),
        ({"method": "KIP", "command": "x {data} {out}"}, ["METHOD and COMMAND"]),
        ({"method": "KIP", "references": 5}, ["references = 5", "even"]),
        ({"method": "KIP", "references": 2}, ["references = 2", "from 4"]),
        ({"references": 8}, ["references = 8", "METHOD or COMMAND"]),
        ({"method": "KIP", "effort": 0.0}, ["effort = 0.0"]),
        ({"method": "KIP", "minutes": 0}, ["minutes = 0"]),
        ({"method": "IDC"}, ["METHOD = IDC", "multiple of 4"]),
        ({"command": "python mine.py {data}"}, ["COMMAND", "{out}"]),
        ({"command": "python 'mine.py {data} {out}"}, ["COMMAND", "quot"]),
        ({"people": 0}, ["people = 0"]),
        ({"claim": "safe"}, ["CLAIM"]),
    ],
)
def test_bad_options_are_refused(options, words, tmp_path, refused, monkeypatch):
    set_file, data_file = of_nobody(tmp_path)
    monkeypatch.setattr(attacking, "scores", never)
    with refused(ValueError, *words):
        audit.examine(set_file, data_file, **options)


def test_bad_input_ends_with_status_three(tmp_path, capsys):
    set_file, data_file = of_nobody(tmp_path)
    assert command.main([str(tmp_path / "none.npz"), str(data_file)]) == 3
    assert "SET" in capsys.readouterr().err
    assert command.main([str(set_file), str(tmp_path / "none.npz")]) == 3
    assert "DATA" in capsys.readouterr().err
    assert command.main(["", str(data_file)]) == 3
    assert "SET is missing" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        command.main([str(set_file), str(data_file), "--seed", "x"])
    assert ended.value.code == 3


# ---------------------------------------------------------------- sets for comparison


MAKER = """
import sys
import numpy as np
data, out, seed = sys.argv[1:4]
rng = np.random.default_rng(int(seed))
with np.load(data) as file:
    images, labels = file["train_images"], file["train_labels"]
assert images.dtype == np.uint8 and images.ndim == 3
rows = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:60] for c in (0, 1)])
made = images[rows].reshape(20, 6, 14, 14).mean(1) * SCALE
open("ran.txt", "a").write("once ")
np.savez(out, images=made[KEPT], labels=labels[rows][::6][KEPT], pixels="raw")
"""


@pytest.fixture
def by_command(tmp_path, monkeypatch):
    """A data set, a set that a program made of its members, and how to call the program."""
    monkeypatch.chdir(tmp_path)
    data_file, images, labels, member = data(tmp_path)
    program = tmp_path / "mine.py"
    program.write_text(MAKER.replace("SCALE", "1").replace("KEPT", ":"))
    np.savez("members.npz", train_images=images[member], train_labels=labels[member])
    subprocess.run([sys.executable, "mine.py", "members.npz", "set.npz", "5"], check=True)
    (tmp_path / "ran.txt").unlink()
    return tmp_path / "set.npz", data_file, f"{sys.executable} mine.py {{data}} {{out}} {{seed}}"


def test_a_command_makes_sets_once_and_a_killed_audit_goes_on(by_command, tmp_path, monkeypatch):
    set_file, data_file, program = by_command
    ask = dict(command=program, claim="AUC <= 50 %")
    first = audit.examine(set_file, data_file, references=6, **ask)
    assert first["references"]["number"] == 6 and (tmp_path / "ran.txt").read_text().split() == ["once"] * 6
    assert {row["attack"] for row in first["attacks"]} >= {"unmixing, compared", attacking.TOGETHER}
    again = audit.examine(set_file, data_file, references=8, **ask)
    assert (tmp_path / "ran.txt").read_text().split() == ["once"] * 8
    assert again["references"]["number"] == 8
    fresh = audit.examine(set_file, data_file, references=6, out=tmp_path / "other", **ask)
    assert [row["auc"] for row in fresh["attacks"]] == [row["auc"] for row in first["attacks"]]
    few = audit.examine(set_file, data_file, minutes=1e-9, **ask)
    assert few["references"]["number"] == 4 and attacking.TOGETHER not in {row["attack"] for row in few["attacks"]}


@pytest.mark.filterwarnings("ignore:.*was another scale meant")
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("print('no memory'); raise SystemExit(7)", ["status 7", "no memory"]),
        ("print('all fine')", ["wrote no", "all fine"]),
        (MAKER.replace("SCALE", "1").replace("KEPT", "[*range(8), *range(10, 18)]"), ["[16, 1, 14, 14]", "[20, 1"]),
        (MAKER.replace("SCALE", "0.01").replace("KEPT", ":"), ["spread 0.01"]),
    ],
)
def test_a_command_that_fails_is_told_before_more_are_run(program, words, by_command, tmp_path):
    set_file, data_file, call = by_command
    (tmp_path / "mine.py").write_text(program)
    with pytest.raises(DataError) as told:
        audit.examine(set_file, data_file, command=call, references=4)
    assert all(word in str(told.value) for word in ("COMMAND", *words))
    ran = tmp_path / "ran.txt"
    assert not ran.exists() or ran.read_text().split() == ["once"]


def test_a_command_that_cannot_start_is_told(by_command):
    set_file, data_file, _ = by_command
    with pytest.raises(DataError, match="COMMAND: nothing_of_this_name cannot be started"):
        audit.examine(set_file, data_file, command="nothing_of_this_name {data} {out}", references=4)


def test_halves_are_complements_and_each_has_half_of_every_class():
    classes = np.array([0] * 10 + [1] * 7 + [2])
    for pair in range(5):
        one, other = references.halves(classes, pair, 0)
        assert np.array_equal(one, ~other) and one[:10].sum() == 5 and one[10:17].sum() in (3, 4)
    assert not np.array_equal(references.halves(classes, 0, 0), references.halves(classes, 1, 0))
    larger = [references.halves(classes, pair, 0)[0, 10:17].sum() for pair in range(20)]
    assert set(larger) == {3, 4}


def test_ratios_are_those_of_the_sets_with_and_without(tmp_path):
    """With many sets, the ratio is that of two normal distributions, written out."""
    rng = np.random.default_rng(0)
    classes = np.zeros(50, int)
    inside = np.concatenate([references.halves(classes, pair, 0) for pair in range(200)])
    looks = 3 * rng.normal(size=50)
    known = (looks + inside + rng.normal(size=inside.shape))[None]
    target = (looks + rng.normal(size=50))[None]
    found = attacking.compared(["a"], target, known, inside)
    assert np.array_equal(found["a, compared"], lira.bayesian(known[0], inside, target[0]))
    expected = (target[0] - looks) ** 2 / 2 - (target[0] - looks - 1) ** 2 / 2
    assert np.corrcoef(found["a, compared"], expected)[0, 1] > 0.97
    assert np.corrcoef(found[attacking.TOGETHER], expected)[0, 1] > 0.97


EFFORT = 0.2  # of KIP: with the usual one every attack finds most of it


def test_sets_for_comparison_find_more_in_a_set_of_kip(tmp_path):
    data_file, _, _, member = data(tmp_path)
    given = people.read(of_nobody(tmp_path)[0], data_file, people=1000, seed=0, equal=True)
    settings = defaults.settings_of("KIP", 10, width=32, real_batch=256, effort=EFFORT)
    made = condense.condense(
        given.split.pixels(given.split.dataset.images[member]),
        given.split.dataset.labels[member],
        settings,
        make_network=lambda: networks.build(settings.network, given.split.shape, settings.width, True),
        seed=3,
    )
    np.savez(tmp_path / "kip.npz", images=made["images"], labels=made["labels"], pixels="standard")
    card = audit.examine(tmp_path / "kip.npz", data_file, method="KIP", effort=EFFORT, references=12)
    areas = {row["attack"]: row["auc"][0] for row in card["attacks"]}
    name = "kernel regression, error"
    assert areas[name + attacking.COMPARED] > areas[name] + 0.03
    assert card["verdict"] == "refuted"
