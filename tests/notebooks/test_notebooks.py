"""The committed notebooks: paired, in sync, executed, and built alike."""

import json
import re
import subprocess

import jupytext
import nbformat
import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from dcpriv_lib import profiles, stages
from dcpriv_lib.engine import paths
from dcpriv_lib.results.pages import extension

STAGES = [paths.NOTEBOOKS / f"{stage.name}.ipynb" for stage in stages.PAGES]
CHAIN = [path for path in STAGES if path.stem != stages.ALONE.name]
SOLUTIONS = sorted((paths.NOTEBOOKS / "solutions").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", STAGES + SOLUTIONS, ids=lambda path: path.stem)
every_stage_of_the_chain = pytest.mark.parametrize("path", CHAIN, ids=lambda path: path.stem)
every_stage = pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code" and cell.source.strip()]


@every_notebook
def test_pair_is_in_sync(path):
    text, notebook = jupytext.read(path.with_suffix(".py")), nbformat.read(path, 4)
    assert [(c.cell_type, c.source) for c in text.cells] == [(c.cell_type, c.source) for c in notebook.cells], (
        f"{path.stem}: run `make sync`"
    )


@every_notebook
def test_committed_notebook_is_executed_without_errors(path):
    for cell in code_cells(path):
        assert cell.execution_count is not None, f"never executed:\n{cell.source}"
        assert not [o for o in cell.outputs if o.output_type == "error"], cell.source
        assert "injected-parameters" not in cell.metadata.get("tags", [])


@every_notebook
def test_no_path_of_a_machine_is_committed(path):
    found = re.findall(r"/(?:home|root|tmp|Users)/\w+", path.read_text())
    assert not found, found


@every_notebook
def test_equations_leave_nothing_of_their_source(path):
    texts = [
        cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown" and "$" in cell.source
    ]
    parse = MarkdownIt("commonmark").use(dollarmath_plugin).parse
    tokens = [part for text in texts for one in parse(text) for part in [one, *(one.children or [])]]
    html = "".join(extension.equation(one.content) for one in tokens if one.type.startswith("math"))
    left = {words for words in re.findall(r"<m[a-z]+[^<>]*>([^<>]*)</m[a-z]+>", html) if "\\" in words}
    assert not left, f"{path.stem}: {left} stand on the page as they are here; write these another way"


@every_notebook
def test_cells_are_short(path):
    sizes = [len(cell.source.splitlines()) for cell in code_cells(path)]
    assert max(sizes) <= 25 and sorted(sizes)[len(sizes) // 2] <= 12


@every_notebook
def test_code_fits_the_page(path):
    wide = [line for cell in code_cells(path) for line in cell.source.splitlines() if len(line) > 96]
    assert not wide, wide


@every_stage_of_the_chain
def test_cells_read_as_the_experiment(path):
    """No path, file name, fingerprint, cache or seed derivation; local functions only where they are the lesson."""
    lesson = [
        cell.source
        for cell in code_cells(path)
        if "parameters" not in cell.metadata.get("tags", []) and not cell.source.startswith(("import ", "from "))
    ]
    plumbing = re.compile(
        r"artefacts\.|derive\(|default_rng|manual_seed|cached|fingerprint|paths\.|sidecar|\.npz|\.csv|\.json"
        r"|DCPRIV|results/|open\("
    )
    assert not [source for source in lesson if plumbing.search(source)]
    assert sum(len(re.findall(r"^\s*def ", source, flags=re.M)) for source in lesson) <= 5


@every_stage
def test_notebook_has_every_part_a_reader_looks_for(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    for part in ("**Question.**", "you will learn", "**Threat model.**", "## Summary", "## Exercises", "## References"):
        assert part in text, part
    exercises = text.split("## Exercises")[1].split("Solutions:")[0]
    graded = re.findall(r"^\d\. \((easy|medium|hard)\) ", exercises, flags=re.M)
    assert 3 <= len(graded) == len(re.findall(r"^\d\. ", exercises, flags=re.M)) <= 5
    assert len(set(graded)) > 1 and graded == sorted(graded, key=("easy", "medium", "hard").index)
    assert path.stem == stages.ALONE.name or f"solutions/{path.stem[:2]}_solutions.ipynb" in text


@every_stage_of_the_chain
def test_the_map_on_top_says_where_the_reader_is(path):
    top = nbformat.read(path, 4).cells[0].source
    here = int(path.stem[:2])
    (where,) = re.findall(r"\*Where we are\.\* (.*)<br>", top)
    numbers = re.findall(r"\d+", where)
    assert numbers == [str(int(one.stem[:2])) for one in CHAIN] and re.findall(r"\*\*(\d+)\*\*", where) == [str(here)]
    assert top.startswith(f"# {here}. ") and "this time" in top.lower()
    assert ("**Last time**" in top) == (here > 1) and ("**Next" in top) == (here < len(CHAIN))


@every_stage
def test_parameters_are_typed_and_commented(path):
    (cell,) = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    for line in cell.source.splitlines():
        assert re.match(r"\w+: (str|int|float|list|bool) = .+  # \w+", line), line


def test_shared_parameters_have_the_same_defaults():
    defaults = {}
    for stage in stages.STAGES:
        for name, value in profiles.parameters(stage.name).items():
            defaults.setdefault(name, set()).add(json.dumps(value))
    assert {name: values for name, values in defaults.items() if len(values) > 1} == {}


@pytest.mark.parametrize("name", [file.stem for file in sorted(paths.PROFILES.glob("*.yaml"))])
def test_every_profile_is_valid(name):
    assert profiles.read(name)["01_data_split"]["profile"] == name


def test_the_paper_profiles_are_the_paper():
    for name in ("paper", "paper-gpu"):
        paper = profiles.read(name)
        assert (
            paper["03_shadow_training"] | {"ds": 15_000, "n_shadows": 10, "epochs": 100} == paper["03_shadow_training"]
        )
        assert paper["02_condensation"] | {"ipc": [10, 50], "epochs": 100, "n_runs": 5} == paper["02_condensation"]
        assert np.broadcast_to(paper["02_condensation"]["condensed_sets"], 2).tolist() == [3, 1]
        assert (
            paper["04_attack"] | {"grid_C": [0.1, 1, 10], "grid_gamma": [0.001, 0.01, 0.1], "folds": 5}
            == paper["04_attack"]
        )
    assert (
        paper["02_condensation"] | {"iterations": 1000, "outer": 0, "width": 128, "real_batch": 256, "image_lr": 0.1}
        == paper["02_condensation"]
    )


def test_make_help_lists_the_targets():
    shown = subprocess.run(["make", "help"], cwd=paths.REPOSITORY, capture_output=True, text=True).stdout
    assert {"report", "test", "paper"} <= set(re.findall(r"^[\w-]+", shown, flags=re.M))


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-uv.txt"])
def test_requirements_pin_everything_by_its_hash_and_name_no_address(name):
    text = (paths.REPOSITORY / name).read_text()
    pins = [entry for entry in text.replace(" \\\n    ", " ").splitlines() if not entry.startswith("#")]
    assert pins
    for pin in pins:
        assert re.fullmatch(r"[\w.-]+(\[[\w,]+\])?==[\w.]+( ; [^:]+?)?( --hash=sha256:[0-9a-f]{64})+", pin), pin[:100]
    assert "://" not in text
    assert (name == "requirements.txt") == any(pin.startswith("torch==") for pin in pins)


def test_every_installation_is_by_hash_or_of_the_project_alone():
    """A requirements file with hashes is enough for pip and uv to refuse whatever has none."""
    rule = (paths.REPOSITORY / "Makefile").read_text().partition(".venv/ready:")[2].splitlines()
    installs = [line for line in rule if "pip install" in line]
    assert len(installs) == 3
    for line in installs:
        assert "--require-hashes" in line or ("--no-deps --no-build-isolation" in line and line.endswith(" ."))
    environment = yaml.safe_load((paths.REPOSITORY / "environment.yml").read_text())
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.txt"]}
