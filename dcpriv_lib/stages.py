"""The notebooks in the order in which the engine runs them: what each waits for, and what it leaves for the others.

This is the only list of them: the engine's rules, the profiles, the report and the checks of the notebooks follow from
it.
"""

import contextlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .engine import checksums, origin, paths, store
from .engine.errors import as_list


@dataclass(frozen=True)
class Stage:
    """One notebook.

    Attributes
    ----------
    name : of its file, without suffix; its number is its place among the report's pages.
    message : what it does, for the screen.
    reads : what it loads, among what earlier ones leave, and so waits for. The engine's rules follow from it; a test
        compares it with the notebook.
    leaves : the names under which `Results.save` keeps what it leaves for later ones.
    ahead : whether it trains models that need nothing of what it reads but the split. On a cluster these are trained
        as soon as there is one, see `run_notebook`.
    beside : whether it runs beside another one, unless its parameter `processes` asks for more. It goes first where
        both could begin, so that the first pages are there early.
    page_early : whether the report is written after it too, as far as it goes.
    needs_own_sets : whether it condenses as notebook 2 did, which nobody here can if that took sets made elsewhere.
    verdict : a table that ends in answers, and its columns with the question and the answer; None if it has none.
    """

    name: str
    message: str
    reads: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    ahead: bool = False
    beside: bool = False
    page_early: bool = False
    needs_own_sets: bool = False
    verdict: tuple[str, str, str] | None = None

    @property
    def number(self) -> int:
        """The number that its name begins with."""
        return int(self.name[:2])

    @property
    def rule(self) -> str:
        """The engine's name of it: its own without the number."""
        return self.name[3:]


STAGES = (
    Stage("01_data_split", "dividing the images among owner, others and attacker", leaves=("split",)),
    Stage(
        "02_condensation",
        "condensing the members, training the targets",
        reads=("split",),
        leaves=("targets", "condensed_sets"),
    ),
    Stage("03_shadow_training", "training the shadow models", reads=("split",), leaves=("shadows",), beside=True),
    Stage(
        "04_attack",
        "attacking every target as the paper does",
        reads=("targets", "shadows"),
        leaves=("attacks",),
        beside=True,
    ),
    Stage(
        "05_results",
        "comparing with the paper, writing the pages of 1 to 5",
        reads=("targets", "attacks"),
        beside=True,
        page_early=True,
        verdict=("claims", "claim", "verdict"),
    ),
    Stage(
        "06_stronger_attacks",
        "training reference models, attacking with LiRA and RMIA",
        reads=("targets", "shadows"),
        leaves=("references", "every_model"),
        ahead=True,
    ),
    Stage(
        "07_controls",
        "checking what protects: controls of equal size and accuracy",
        reads=("targets", "every_model"),
        leaves=("controls",),
        ahead=True,
        needs_own_sets=True,
        verdict=("verdict", "question", "answer"),
    ),
    Stage(
        "09_methods",
        "comparing methods of condensation: accuracy and leak",
        reads=("every_model",),
        leaves=("methods", "leaks"),
        ahead=True,
    ),
    Stage(
        "10_robustness_and_fairness",
        "fooling every model, class by class, and all four properties",
        reads=("targets", "shadows", "references", "every_model", "leaks"),
        leaves=("properties",),
        verdict=("chen_claims", "Chen et al. say", "verdict"),
    ),
    Stage(
        "11_formal_privacy",
        "training and condensing with guarantees, auditing them",
        reads=("targets", "every_model"),
        leaves=("formal_privacy",),
        ahead=True,
        needs_own_sets=True,
        verdict=("formal_verdict", "question", "answer"),
    ),
    Stage(
        "12_released_images",
        "attacking what is handed over: the images themselves",
        reads=("split",),
        leaves=("released",),
        verdict=("released_verdict", "question", "answer"),
    ),
)
# It reads what others made and none of the above, so it is no part of a profile: `make authors` runs it.
APART = Stage("08_the_authors_models", "judging what the paper's authors published")
# It stands alone: it reads nothing, leaves nothing and imports nothing of this library. It is shown as it is committed.
ALONE = Stage("00_one_lecture", "one lecture")
PAGES = sorted((*STAGES, APART, ALONE), key=lambda stage: stage.number)
MADE_BY = {name: stage.name for stage in STAGES for name in stage.leaves}

LISTS_SINCE = "2026-12"  # every step leaves a list of checksums
FILES = ("synthetic_sets", "extra_targets")  # the parameters that name files of what was made elsewhere


def file_of(name: str) -> str:
    """Return the file, in a profile's folder, of what a notebook leaves under a name."""
    return f"{name}.npz"


def made_with(path: Path) -> dict:
    """Return the parameters that what a notebook left was made with; nothing if they are not on record."""
    inputs = store.inputs_of(path)
    return inputs.get("parameters", inputs)


def in_profile(profile: dict) -> list[Stage]:
    """Return the stages that a profile, stage to parameters, can run: all, or those that need no sets of its own."""
    return [stage for stage in STAGES if not (stage.needs_own_sets and profile["02_condensation"]["synthetic_sets"])]


def made_elsewhere(parameters: dict) -> list[Path]:
    """Return the files that a notebook's parameters name in `FILES`."""
    return [paths.REPOSITORY / paths.of_user(file) for name in FILES for file in as_list(parameters.get(name, []))]


def to_run_first(notebook: Path, folder: Path) -> list[Stage]:
    """Return the stages, in order, that must run before a notebook: what they leave and it needs is not in a folder.

    Parameters
    ----------
    notebook : a stage's, or its solutions, which need what the stage itself leaves, too.
    folder : of a profile's results.
    """
    of = [stage for stage in STAGES if stage.number == int(notebook.stem[:2])]
    waiting = of if notebook.parent.name == "solutions" else _before(of)
    needed: list[Stage] = []
    while waiting:
        needed += waiting
        waiting = [stage for stage in _before(waiting) if stage not in needed]
    return [
        stage
        for stage in STAGES
        if stage in needed and not all((folder / file_of(one)).exists() for one in stage.leaves)
    ]


def _before(some: list[Stage]) -> list[Stage]:
    """Return the stages that leave what some of them read."""
    return [stage for stage in STAGES if any(set(one.reads) & set(stage.leaves) for one in some)]


@contextlib.contextmanager
def naming_all_that_is_missing(folder: Path):
    """Let a MissingError name all notebooks that have to run before the one that runs, a command that runs them, and
    where committed results are.

    These are outputs, tables and figures only. The models that notebooks 3 to 7 read are some 9 MB at the quick scale,
    and are refused by other code than that which made them: a committed copy would be made anew with each change.
    """
    try:
        yield
    except store.MissingError as error:
        notebook = origin.running_notebook()
        first = to_run_first(notebook, folder) if notebook else []
        if not first:
            raise
        lines = [
            str(error),
            f"{paths.shown(notebook)} needs what these leave, which is not there: "
            f"{origin.listed([f'{stage.name}.ipynb' for stage in first])}.",
        ]
        if (profile := paths.PROFILES / f"{folder.name}.yaml").exists():
            rules = " ".join(stage.rule for stage in first)
            lines.append(
                f"With the parameters of {paths.shown(profile)}, this makes it: "
                f"snakemake {rules} --cores all --config profile={folder.name}"
            )
        lines.append(
            f"To read without running: {paths.shown(notebook)} is committed with its outputs of the profile quick, "
            f"whose tables and figures are in {paths.shown(paths.FIGURES / 'quick')}; make site makes pages of them."
        )
        raise store.MissingError("\n".join(lines)) from error


def remove_damaged(folder: Path, profile: dict) -> list[str]:
    """Remove what stages left in a folder and what was damaged since, and return a line for each.

    A stage of which anything is damaged runs again, because its executed notebook and what it leaves to others are
    removed. It finds the models that it had trained, and trains again what is damaged of them. Other settings than
    those of the profile, stage to parameters, are no damage (`remove_other`).

    Raises
    ------
    ArtefactError
        If there is a folder in a file's place, or a file that cannot be read: only its owner knows what to do. Then
        nothing is removed.
    """
    lines, removed = [], []
    for stage in STAGES:
        notebook, own = folder / "notebooks" / f"{stage.name}.ipynb", [folder / file_of(name) for name in stage.leaves]
        wrong, as_in_profile = _damaged(own), all(not _differs(path, profile[stage.name]) for path in own)
        if os.path.lexists(notebook) and (wrong or as_in_profile):
            wrong = _damaged_pages(notebook, stage) | wrong
        removed += [notebook, *own] if wrong else []
        lines += _told(wrong, f", left by notebook {stage.number},", "the notebook runs again")
    front = folder / "report/index.html"
    if os.path.lexists(front) and (wrong := _damaged_since(front)):
        removed.append(front)
        lines += _told(wrong, "", "the report is written again")
    for path in removed:
        path.unlink(missing_ok=True)
    return lines


def _told(wrong: dict[Path, str], by: str, then: str) -> list[str]:
    return [f"{paths.shown(path)}{by} {what}: {then}" for path, what in wrong.items()]


def _damaged(own: list[Path]) -> dict[Path, str]:
    """Return what is damaged of what a stage leaves to others, and of the models that it names: path to what is
    wrong."""
    wrong = {}
    for path in filter(os.path.lexists, own):
        try:
            arrays = store.check(path)
        except store.DamagedError as error:
            wrong[error.path] = error.wrong
            continue
        table = pd.read_csv(io.BytesIO(arrays[store.TABLE].tobytes())) if arrays.keys() == {store.TABLE} else {}
        for model in {path.parent / "models" / file for file in table.get("file", ())}:
            try:
                store.check(model, beside=False)
            except store.DamagedError as error:
                wrong[model] = error.wrong
            except store.MissingError:
                wrong[model] = "is gone"
    return wrong


def _damaged_since(output: Path) -> dict[Path, str]:
    """Return `checksums.damaged`, where no list is a damage."""
    return checksums.damaged(output) if os.path.lexists(checksums.of(output)) else {checksums.of(output): "is gone"}


def _damaged_pages(notebook: Path, stage: Stage) -> dict[Path, str]:
    """Return what is damaged of an executed notebook and of what it kept, path to what is wrong.

    Before 2026-12 there were no lists: then the notebook must be one, and each table that its source names be whole.
    """
    place = checksums.of(notebook)
    if os.path.lexists(place):
        return checksums.damaged(notebook)
    wrong, source = {}, (paths.NOTEBOOKS / f"{stage.name}.py").read_text()
    tables = [path for path in notebook.parents[1].glob("tables/*.csv") if f'"{path.stem}"' in source]
    checks: list[tuple[Callable[[Path], object], Path]] = [(checksums.executed, notebook)]
    for check, path in checks + [(store.check, path) for path in tables]:
        try:
            check(path)
        except store.DamagedError as error:
            wrong[error.path] = error.wrong
    if not wrong and _begun(notebook) >= LISTS_SINCE:
        wrong[place] = "is gone"
    return wrong


def _begun(notebook: Path) -> str:
    """Return when an executed notebook was begun, in UTC, as papermill notes it: "2026-12-01T09:00:00"; "" if it is not
    on record."""
    return str(checksums.executed(notebook).metadata.get("papermill", {}).get("start_time") or "")


def _differs(path: Path, wanted: dict) -> bool:
    """Return whether what a notebook left was made with other parameters than those wanted."""
    if not os.path.lexists(path):
        return False
    found = made_with(path)
    return any(found.get(name) != value for name, value in wanted.items())


def remove_other(folder: Path, profile: dict) -> list[Stage]:
    """Remove what the stages left in a folder with other settings than a profile's, and return whose it was.

    Whoever runs a notebook by hand with other settings replaces what it leaves to the next ones. It runs again, and
    finds the models that it had trained as they were.
    """
    removed = []
    for stage in STAGES:
        for path in (folder / file_of(name) for name in stage.leaves):
            if _differs(path, profile[stage.name]):
                path.unlink()
                removed.append(stage)
    return list(dict.fromkeys(removed))
