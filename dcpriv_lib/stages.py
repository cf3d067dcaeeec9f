"""The notebooks in the order in which the engine runs them: what each waits for, and what it leaves for the others.

This is the only list of them: the engine's rules, the profiles, the report and the checks of the notebooks follow from
it.
"""

from dataclasses import dataclass
from pathlib import Path

from .engine import paths, store
from .engine.errors import as_list


@dataclass(frozen=True)
class Stage:
    """One notebook.

    Attributes
    ----------
    name : of its file, without suffix; its number is its place among the report's pages.
    message : what it does, for the screen.
    reads : what it waits for, among what earlier ones leave.
    leaves : the names under which `Results.save` keeps what it leaves for later ones.
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
    ),
    Stage(
        "07_controls",
        "checking what protects: controls of equal size and accuracy",
        reads=("targets", "references", "every_model"),
        leaves=("controls",),
        needs_own_sets=True,
        verdict=("verdict", "question", "answer"),
    ),
    Stage(
        "09_methods",
        "comparing methods of condensation: accuracy and leak",
        reads=("every_model",),
        leaves=("methods", "leaks"),
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
        reads=("targets", "every_model", "controls"),  # the last trains some of the same models
        leaves=("formal_privacy",),
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
PAGES = sorted((*STAGES, APART), key=lambda stage: stage.number)
MADE_BY = {name: stage.name for stage in STAGES for name in stage.leaves}

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


def remove_other(folder: Path, profile: dict) -> list[Stage]:
    """Remove what the stages left in a folder with other settings than a profile's, and return whose it was.

    Whoever runs a notebook by hand with other settings replaces what it leaves to the next ones. It runs again, and
    finds the models that it had trained as they were.
    """
    removed = []
    for stage in STAGES:
        wanted = profile[stage.name].items()
        for path in (folder / file_of(name) for name in stage.leaves):
            if path.exists():
                found = made_with(path)
                if any(found.get(name) != value for name, value in wanted):
                    path.unlink()
                    removed.append(stage)
    return list(dict.fromkeys(removed))
