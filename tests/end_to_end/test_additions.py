"""A method, an attack, a data set and a notebook are added to a copy of the repository by the fewest edits each."""

import os
import shutil
import subprocess
import sys

import jupytext
import numpy as np
import pytest

from dcpriv_lib.engine import paths
from support import passed_on

pytestmark = pytest.mark.slow

STEP = '''

def approach_means(state, real, settings, draw, network):
    """Make one iteration of a toy: the images move towards the mean of their class."""
    means = torch.stack([real.images[own].mean(0) for own in real.by_class])[:, None]
    images = state["images"] + settings.image_lr * (means - state["images"])
    return {"images": images, "velocity": state["velocity"]}, float((means - images).square().mean())
'''
LOADER = '''

def few_digits() -> Dataset:
    """Return a third of the digits."""
    whole = digits()
    return in_memory("few_digits", whole.images[::3], whole.labels[::3], classes=whole.classes)
'''
DATA_SET = '    "few_digits": builtin.few_digits,\n'
ATTACK = '''

def fit_confidence(known: References) -> Attack:
    """Prepare a toy: who is called by the right name with confidence was a member."""
    return Attack(lambda answers: answers.phi[:, 0], lambda: 0.0)


STRONG["confidence"] = fit_confidence
'''
METHOD = '    "means": Method(distribution_matching.approach_means, Schedule(3, 1, 0, 0.5)),\n'
STAGE = '    Stage("13_toy", "playing", reads=("targets",), leaves=("toys",)),\n'
NOTEBOOK = """# %% [markdown]
# # 13. A toy
#
# **Question.** Does a notebook of somebody's own run with the others?

# %% tags=["parameters"]
profile: str = "quick"  # name of this run
dataset: str = "digits"  # must be what 01_data_split divided
seed: int = 0  # must be what 01_data_split used
device: str = "auto"  # cpu, cuda, mps, or auto

# %%
import pandas as pd

from dcpriv_lib import parameters
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))
targets = study.results.load_models("targets").table["target"]
study.results.save("toys", pd.DataFrame({"target": targets}))
"""


def after(path, line, added):
    """Put a line into a file after another one."""
    text = path.read_text()
    assert text.count(line) == 1, f"{line} in {path}"
    path.write_text(text.replace(line, line + added))


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the repository with a method and a notebook more, and the report of a profile that uses them."""
    copy = tmp_path_factory.mktemp("house")
    for folder in ("dcpriv_lib", "notebooks", "profiles"):
        shutil.copytree(paths.REPOSITORY / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("Snakefile", "LICENSE", "CITATION.cff"):
        shutil.copy(paths.REPOSITORY / file, copy)
    (copy / "figures").symlink_to(paths.FIGURES)  # only read

    methods = copy / "dcpriv_lib/condensation"
    with (methods / "distribution_matching.py").open("a") as file:
        file.write(STEP)
    after(methods / "condense.py", "METHODS = {\n", METHOD)
    for module, text in (("data/builtin.py", LOADER), ("attacks/suites.py", ATTACK)):
        with (copy / "dcpriv_lib" / module).open("a") as file:
            file.write(text)
    after(copy / "dcpriv_lib/data/catalogue.py", "LOADERS: dict[str, Callable[[], Dataset]] = {\n", DATA_SET)
    after(copy / "dcpriv_lib/stages.py", "STAGES = (\n", STAGE)
    (copy / "notebooks/13_toy.py").write_text(NOTEBOOK)
    notebook = jupytext.reads(NOTEBOOK, "py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    jupytext.write(notebook, copy / "notebooks/13_toy.ipynb")
    (copy / "profiles/toys.yaml").write_text(
        (paths.PROFILES / "tiny.yaml").read_text() + "method: means\nimage_lr: 0.5\ndataset: few_digits\n"
    )
    return copy


def run(house, *command):
    """Run a command in the copy, with its results there too, and return what it printed."""
    environment = os.environ | {
        "PYTHONPATH": str(house),
        "DCPRIV_RESULTS": str(house / "results"),
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
    }
    done = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def test_one_function_and_one_line_make_a_method_or_a_data_set_and_one_line_a_notebook(house):
    engine = ["snakemake", "--cores", "2", "--nolock", "--config", "profile=toys"]
    assert "13. playing" in run(house, *engine, "--dry-run"), "a step on the way to the report"
    run(house, *engine, "--", str(house / "results/toys/notebooks/13_toy.ipynb"))
    run(house, sys.executable, "-m", "dcpriv_lib.results.report", "toys")

    folder = house / "results/toys"
    with np.load(folder / "split.npz") as parts:
        assert sum(map(len, (parts[name] for name in parts))) == 599, "a third of the digits"
    targets = passed_on(folder / "targets.npz")["target"]
    assert "condensed-2" in set(targets)
    (made,) = folder.glob("condensed/condense-2-0-*.npz")
    with np.load(made) as arrays:
        images, loss = arrays["snapshots"], arrays["loss"]
    assert loss[0] > loss[1] > 0 and not np.array_equal(images[0], images[-1]), "the toy's own iterations"

    front, page = ((folder / "report" / name).read_text() for name in ("index.html", "13_toy.html"))
    assert "Does a notebook of somebody's own run with the others?" in front.replace("&#39;", "'")
    assert 'href="13_toy.html"' in front and "13. A toy" in page
    assert passed_on(folder / "toys.npz")["target"].equals(targets)


def test_the_method_is_compared_with_the_others_and_its_misspelling_refused(house):
    script = (
        "from dcpriv_lib import parameters\n"
        "from dcpriv_lib.condensation import condense, defaults\n"
        "from dcpriv_lib.engine import origin\n"
        "assert parameters.check({'methods': ['random', 'means'], 'more_of': ['means'], 'rival_methods': ['means']})\n"
        "how = defaults.settings_of('means', 20, width=4, real_batch=8, effort=2)\n"
        "assert (how.iterations, how.image_lr, how.start, how.method) == (6, 1.0, 'real', 'means'), how\n"
        "made_by = origin.code(condense.condense, *condense.chosen(how))\n"
        "assert 'dcpriv_lib/condensation/distribution_matching.py' in made_by\n"
        "assert 'dcpriv_lib/stages.py' not in made_by\n"
        "parameters.check({'method': 'mean'})\n"
    )
    with pytest.raises(AssertionError, match=r"method = 'mean': expected one of .*did you mean 'means'"):
        run(house, sys.executable, "-c", script)


def test_the_attack_is_judged_with_the_others(house):
    script = (
        "import numpy as np\n"
        "from planted import make_references\n"
        "from dcpriv_lib.attacks import suites\n"
        "from dcpriv_lib.evaluation import attack_results\n"
        "references, answers, member = make_references(np.random.default_rng(1), leak=True)\n"
        "suite = {name: prepare(references) for name, prepare in suites.STRONG.items()}\n"
        "measure = attack_results.strong(member, lambda *_: np.random.default_rng(0))\n"
        "_, judged = attack_results.judge({('toy', 0): answers}, suite, member, measure)\n"
        "print(judged.set_index('attack').loc['confidence', 'auc'] > 0.7)\n"
    )
    tests = str(paths.REPOSITORY / "tests")
    assert "True" in run(house, sys.executable, "-c", f"import sys; sys.path.append({tests!r})\n" + script)
