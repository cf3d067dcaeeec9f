"""Profiles that are not YAML, or set what no notebook allows, are refused."""

from pathlib import Path

import papermill.cli
import pytest
import yaml
from click.testing import CliRunner

from bad_input import npz
from dcpriv_lib import profiles, stages
from dcpriv_lib.data import catalogue
from dcpriv_lib.engine import paths


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Write profiles/mine.yaml with the given text, in a folder of the test's own."""

    def write(text: str) -> Path:
        monkeypatch.setattr(paths, "PROFILES", tmp_path)
        (tmp_path / "mine.yaml").write_text(text)
        return tmp_path / "mine.yaml"

    return write


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("iteratoins: 3", ["'iteratoins'", "did you mean 'iterations'?"]),
        ("datset: mnist", ["'datset'", "did you mean 'dataset'?"]),
        ("qqq: 3", ["no notebook declares a parameter 'qqq'", "choose from profile, dataset, seed"]),
        ("profile: other", ["profile is the name of the file", "delete this line"]),
        ("jobs: {runs: 1}", ["no notebook declares a parameter 'jobs'"]),  # of older profiles
        ("epochs: '60'", ["epochs = '60'", "expected a whole number from 1"]),
        ("epochs: true", ["epochs = True", "expected a whole number from 1"]),
        ("epochs: [5, 60]", ["epochs = [5, 60]", "expected one int here, not a list"]),
        ("seed: 0.5", ["seed = 0.5", "expected a whole number from 0"]),
        ("image_lr: 1e-1", ["image_lr = '1e-1'", "this is text, write {image_lr: 0.1}"]),  # YAML 1.1 wants 1.0e-1
        ("image_lr: .inf", ["image_lr = inf", "expected a number from 1e-09 to 10000"]),
        ("dataset: 5", ["dataset = 5", "expected the name of a data set"]),
        ("iterations: [3, 4, 5]", ["iterations = [3, 4, 5]", "one number, or 2, one for each of ipc = [10, 20]"]),
        ("condensed_sets: 0", ["condensed_sets = 0", "expected a whole number from 1"]),
        ("ipc: [ten]", ["ipc = ['ten']", "expected a whole number from 1 to 10,000, or a list"]),
        ("ipc: [20]", ["control_ipc = 10", "expected one of ipc = [20]"]),
        ("ipc: 10\ncontrol_ipc: 50", ["control_ipc = 50", "expected one of ipc = [10]"]),
        ("n_models: 5", ["n_models = 5", "expected an even whole number from 6"]),
        ("synthetic_sets: [a.npz, a.npz]", ["synthetic_sets = ['a.npz', 'a.npz']", "none of them twice"]),
        ("starts: [mean]", ["starts = ['mean']", "one of noise, real, means"]),
        ("training_sets: 3", ["training_sets = 3", "one of original, subset, condensed"]),
        ("seed: 1\nepochs: 2\nseed: 3", ["seed a second time", "line 3"]),
        ("start: {a: 1, a: 2}", ["a a second time"]),
        ("ipc: " + "[" * 3000, ["is not YAML", "recursion"]),
        ("- [epochs, 3]", ["is not YAML with a parameter and its value a line", "correct it"]),
        ("ipc: &a [10]\nother_ipc: *a", ["is not YAML", "an alias, *a: write it out", "line 2"]),
        ("a: &a {seed: 1}\n<<: [*a, *a]", ["is not YAML", "an alias, *a: write it out", "line 2"]),
        ("<<: {seed: 1}", ["is not YAML", "a merge key, <<: write it out"]),
        ("seed: " + "9" * 5000, ["is not YAML", "a whole number of 5,000 digits", "line 1"]),
        ("dataset: " + "x" * 200_000, ["dataset = 'xxx", "at most 255 bytes between two '/'"]),
        ("extra_targets: ['a/" + "x" * 256 + "']", ["extra_targets = ['a/xxx", "at most 255 bytes between two '/'"]),
        ("dataset: " + "x/" * 2500, ["dataset = 'x/x/x", "4,095 in all"]),
        ('dataset: "a\\0.npz"', ["dataset = 'a", "in one line"]),
        ('dataset: "b\\eb"', ["dataset = 'b", "in one line"]),
        ("training_sets: [condensed]", ["training_sets = ['condensed']", "expected 'original' among them"]),
        ("method: KIP\nnetwork: PaperCNN", ["network = 'PaperCNN'", "KIP works with the kernel", "leave network"]),
        ("method: IDC\nnetwork: linear", ["network = 'linear'", "IDC matches the gradients of convolutions"]),
        ("first_run: 3", ["no notebook declares a parameter 'first_run'"]),
        ("first_shadow: 3", ["no notebook declares a parameter 'first_shadow'"]),
        ("ipc: [10", ["is not YAML", "line 1", "correct it"]),
    ],
)
def test_bad_profile_is_refused(text, words, refused, profile):
    path = profile(text)
    with refused(profiles.ProfileError, str(path), *words):
        profiles.read("mine")


@pytest.mark.parametrize(
    "name", ["../profiles/tiny", "/etc/tiny", "", ".", "..", "a/b", "a{ipc}", "a b", "a\n", None, 5]
)
def test_names_of_profiles_stay_in_their_folder(name, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    with refused(profiles.ProfileError, f"profile = {name!r}", "letters, digits"):
        profiles.read(name)
    with refused(ValueError, f"profile = {name!r}", "letters, digits"):
        paths.results(name)


def test_papermill_can_be_told_that_a_name_is_no_number(refused):
    with refused(ValueError, "profile = 2024", "its -r does not"):
        paths.check_profile(2024)


def test_unknown_profile_names_the_nearest(refused, profile):
    profile("")
    with refused(profiles.ProfileError, "there is no profile 'mnie' in", "did you mean 'mine'?"):
        profiles.read("mnie")


def test_another_ending_is_told(refused, profile):
    profile("").rename(paths.PROFILES / "ours.yml")
    with refused(profiles.ProfileError, "ours.yml: a profile's name ends in .yaml: rename it to ours.yaml"):
        profiles.read("ours")
    with refused(profiles.ProfileError, "ours.yml: a profile's name ends in .yaml: rename it to ours.yaml"):
        profiles.read("ours.yml")


def test_a_name_with_its_ending_is_told(refused, profile):
    profile("")
    with refused(profiles.ProfileError, "profile = 'mine.yaml': write the name of the file without its ending: mine"):
        profiles.read("mine.yaml")


@pytest.mark.parametrize(
    ("config", "words", "name"),
    [
        ({}, ["snakemake", "split"], "quick"),
        ({"profile": "tiny"}, ["snakemake", "--config", "profile=tiny"], "tiny"),
        ({"profile": 2024}, ["snakemake", "--config", "profile=2024"], "2024"),
        ({"profile": 1.1}, ["snakemake", "--config=profile=1.10"], "1.10"),
        ({"profile": True}, ["snakemake", "-C", "profile=tiny", "--config", "profile=yes"], "yes"),
        ({"profile": 5}, ["snakemake", "--configfile", "mine.yaml"], "5"),
    ],
)
def test_the_engine_takes_a_name_as_it_was_written(config, words, name):
    assert profiles.named(config, words) == name


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("porfile", "did you mean profile?"),
        ("dataset", "write dataset to profiles/NAME.yaml"),
        ("datset", "write dataset to profiles/NAME.yaml"),
        ("xyz", "write its parameters to profiles/NAME.yaml"),
    ],
)
def test_the_engine_is_told_nothing_but_the_profile(key, hint, refused):
    with refused(profiles.ProfileError, f"--config {key}=...: expected only profile=NAME", hint):
        profiles.named({key: "x", "profile": "tiny"}, [])


def test_good_profile_changes_what_it_names_and_nothing_else(profile):
    profile("ipc: 10\nimage_lr: 1\ngrid_C: [1]")
    read = profiles.read("mine")
    assert read["02_condensation"] == profiles.parameters("02_condensation") | {
        "profile": "mine",
        "ipc": 10,
        "image_lr": 1,
    }
    assert read["04_attack"]["grid_C"] == [1] and read.keys() == profiles.OF_STAGES.keys()


def received(text: str) -> dict:
    """Return the parameters that papermill's command passes to a notebook for its option -y."""
    got = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papermill.cli, "execute_notebook", lambda parameters, **_: got.update(parameters))
        done = CliRunner().invoke(papermill.cli.papermill, ["in.ipynb", "out.ipynb", "-y", text])
    assert done.exit_code == 0, done.output
    return got


@pytest.mark.parametrize(
    "text",
    [
        "image_lr: 0.00001",
        "image_lr: 1.0e-05",
        "merge_step: 0",
        "merge_step: 0.00001",
        "ipc: [10]",
        "grid_gamma: [0.00001, 1]",
        "grid_C: [1.0e-06, 1.0e+06, 0.3333333333333333]",
        "dataset: '1e-5'",
        "dataset: 'no'",
        "dataset: 'ü: {a}'",
    ],
)
def test_a_value_of_a_profile_arrives_in_the_notebook_as_it_was_written(text, profile):
    profile(text)
    read, got = profiles.read("mine"), {}
    for stage in read:
        line = profiles.arguments(stage, read[stage])
        assert "\n" not in line
        arrived = profiles.parameters(stage) | received(line)
        assert arrived == read[stage] and repr(arrived) == repr(read[stage])
        got |= arrived
    name, written = next(iter(yaml.safe_load(text).items()))
    assert got[name] == written and type(got[name]) is type(written)


def test_defaults_of_notebooks_are_read_as_python():
    assert profiles.parameters("04_attack")["merge_step"] == 1e-4


def test_a_bomb_of_merge_keys_is_refused_before_it_is_unfolded(refused, profile):
    """Each level holds the one before eight times; PyYAML alone is busy for minutes with twelve levels."""
    levels = ["l0: &l0 {seed: 1}"] + [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 8)}]}}" for n in range(1, 13)]
    profile("\n".join(levels))
    with refused(profiles.ProfileError, "an alias, *l0: write it out", "line 2"):
        profiles.read("mine")


def test_paths_may_begin_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    npz(tmp_path / "mine.npz")
    assert len(catalogue.load("~/mine.npz").images) == 12
    chosen = {"synthetic_sets": "~/set.npz", "extra_targets": ["~/a.npz", "b.npz", "/c.npz"]}
    assert stages.made_elsewhere(chosen) == [
        tmp_path / "set.npz",
        tmp_path / "a.npz",
        paths.REPOSITORY / "b.npz",
        Path("/c.npz"),
    ]
    assert paths.of_user("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")
