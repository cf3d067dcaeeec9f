"""``python -m dcpriv_lib.results.committed`` copies what runs found to ``figures/``, and writes RESULTS.md: every table, whole.

The README quotes from these tables; here nothing is left out. Results of code that is in no commit are refused: nobody
else could make them again.
"""

import json
import shutil
import sys
from pathlib import Path

from ..engine import origin, paths, store
from . import findings

PAGE = paths.REPOSITORY / "RESULTS.md"
RUNS = {  # in the order of the page; others follow
    "authors": "The models and images that the paper's authors published, judged by this report's attacks on MNIST.",
    "paper": "The paper's experiment on MNIST, with the condensation cut to what two cores can do.",
    "digits": "The digits with 40 models of every recipe, for notebook 7's questions.",
    "mnist-small": "MNIST at a reduced scale, all notebooks but the eighth, 12 models of every recipe, 20 of every method.",
    "mnist-small-raw": "The same with raw pixels, 0 to 255, as the authors fed them.",
    "cifar-small": "4,000 images of CIFAR-10, JPEG copy, in colour: 1,000 members, whom the original knows by heart.",
    "published": "Methods of condensation by their authors' protocol: the whole training file, ConvNet-3-128, the test file.",
    "quick": "1,797 small scans of digits: what `make report` runs, and the notebooks as they are committed.",
}
TABLES = {  # likewise
    "findings": "What the run found, in sentences.",
    "authors_claims": "What the paper concluded, and what its own models say.",
    "authors_models": "Every attack on the paper's own models.",
    "authors_table1": "The paper's Table 1, three ways.",
    "authors_table2": "The paper's Table 2, three ways.",
    "authors_retrained": "The paper's own condensed images against as many real ones.",
    "table1": "Table 1: how accurate the target models are.",
    "table2": "Table 2: the paper's attacks.",
    "summary": "Accuracies and AUCs in one table.",
    "claims": "The paper's claims, one by one.",
    "strong_attacks": "Stronger attacks, at low false positive rates.",
    "every_model": "The same attacks with every reference model as a target.",
    "verdict": "What the controls say.",
    "controls": "The average person: every recipe, every model a target.",
    "equal_accuracy": "Condensed images beside real ones at equal accuracy.",
    "canaries": "The worst-off person: images with a wrong label.",
    "dose_and_response": "How the leak depends on how many people share a training image.",
    "real_start": "Do models give away whom the condensation started from?",
    "formal_verdict": "What a guarantee costs, and whether guarantees hold.",
    "formal_privacy": "Methods with a guarantee: accuracy, guaranteed epsilon, audited epsilon.",
    "formal_promises": "What each guarantee allows any attack: epsilon, mu and the whole curve of errors.",
    "formal_outputs": "What an attacker finds who only sees outputs of models with a guarantee.",
    "nearest_images": "How near the synthetic images are to real ones.",
    "methods": "Methods of condensation: accuracy and leak.",
    "methods_at_equal_accuracy": "Every method against random real images at equal accuracy.",
    "methods_shown": "Whom the images show, and everybody else.",
    "methods_ipc": "The best methods with other numbers of images per class.",
    "two_evaluations": "How much better than random images? By our training and by the methods' authors'.",
    "methods_seconds": "How long one core worked on one synthetic set.",
    "methods_start": "One method from several starts.",
    "methods_crowds": "One method with fewer people, and fewer classes.",
    "methods_claims": "What Chen et al. say of the leak, and what this run says.",
    "published_protocol": "What the methods reach, and what their authors published.",
    "step_sizes": "The step size of every method, chosen on the attacker's images.",
    "across_networks": "Images made with one network, used by another.",
    "four_properties": "Accuracy, leak, robustness and fairness of every training set.",
    "chen_claims": "What Chen et al. say, and what this run says.",
    "chen_claims_by_set": "The same for every training set.",
    "robustness": "How many images withstand an attack that changes their pixels.",
    "gradient_checks": "Did the attacks on pixels work?",
    "fairness": "How alike the classes are treated, and what of it is luck.",
    "rank_correlations": "Is the hardest class the one that leaks most?",
}
HEAD = """# All results

Every table of the runs whose results are committed, row by row, as `make figures` copied them. Beside each csv
lies a `.json` that says what it was made from. Brackets are 95 % intervals.
"""


def copy(*profiles: str) -> None:
    """Replace what is in ``figures/`` of some runs, or of all that have tables.

    Raises
    ------
    RefusedError
        If one of them was made by code that is in no commit; then nothing is deleted or copied.
    """
    runs = sorted(folder.parent for folder in paths.all_results().glob("*/tables"))
    if unknown := set(profiles) - {run.name for run in runs}:
        raise RefusedError(f"{', '.join(sorted(unknown))}: no such run with tables in {paths.shown(paths.all_results())}")
    runs = [run for run in runs if run.name in profiles or not profiles]
    if refused := [text for run in runs if (text := refusal(run.name, _to_copy(run)))]:
        raise RefusedError("\n".join(refused))
    for run in runs:
        place = paths.FIGURES / run.name
        place.mkdir(parents=True, exist_ok=True)
        for old in filter(Path.is_file, list(place.iterdir())):
            old.unlink()
        for file in _to_copy(run):
            shutil.copyfile(file, _place(file, run))


class RefusedError(RuntimeError):
    """Results that must not be committed."""


def refusal(run: str, files: list[Path]) -> str:
    """Return why a run must not be committed, and what to do; "" if it may."""
    kept = [file for file in files if file.suffix in (".csv", ".npz")]
    why = [(file.name, found) for file in kept if (found := uncommitted(store.sidecar(file)))]
    if not why:
        return ""
    again = (f"make {run}" if run in ("authors", "published") else f"make fresh PROFILE={run}")
    return (f"figures/{run} stays as it is: {origin.listed(sorted({found for _, found in why}))} made "
            f"{origin.listed([name for name, _ in why])}, so nobody could make them again from a commit. Commit your changes, then "
            f"`{again}` and `make figures` again.")


def uncommitted(record: Path) -> str:
    """Return which code that is in no commit made what a record is of, or what this was made from; "" if all is in commits."""
    if not record.exists():
        return origin.UNKNOWN
    content = json.loads(record.read_text())
    if "+changes" in json.dumps(content):  # wherever it stands: in the provenance, or in that of something that was read
        return "changed code that was not committed"
    commits = [content["provenance"].get("git_commit") or origin.NONE] if "provenance" in content else []
    commits += [one for whose in content.get("other_code", {}).values() for one in whose]
    return "code without a commit" if any(origin.NONE in one for one in commits) else ""


def _to_copy(run: Path) -> list[Path]:
    """Return the files of a run that are committed: figures, condensed images, tables."""
    return [file for pattern in ("figures/*.png", "condensed_sets.npz*", "tables/*") for file in sorted(run.glob(pattern))
            if file.is_file()]


def _place(file: Path, run: Path) -> Path:
    """Return where a file is committed: a figure that depends on no data has one place for all runs."""
    diagram = paths.FIGURES / "diagrams" / file.name
    return diagram if diagram.exists() else paths.FIGURES / run.name / file.name


def page() -> str:
    """Return RESULTS.md as it should be for what is in ``figures/``."""
    folders = _in_order([folder.name for folder in paths.FIGURES.iterdir() if list(folder.glob("*.csv"))], RUNS)
    return "\n".join([HEAD, *map(_run, folders)])


def _run(name: str) -> str:
    """Return the section about one run: what it is, links to its figures, its tables."""
    folder = paths.FIGURES / name
    tables = _in_order([file.stem for file in folder.glob("*.md")], TABLES)
    figures = " · ".join(f"[{file.stem}]({_link(file)})" for file in sorted(folder.glob("*.png")))
    lines = [f"## {name}\n", f"{RUNS.get(name, '')} {_made(folder)}".strip() + "\n"]
    if figures:
        lines.append(f"Figures: {figures}\n")
    for table in tables:
        source = folder / f"{table}.md"
        title = TABLES.get(table, table.replace("_", " ").capitalize() + ".")
        lines += [f"### {name}: {title}\n", source.read_text()]
        lines += [f"As [csv]({_link(source.with_suffix('.csv'))}).\n"] if source.name != findings.NAME else []
    return "\n".join(lines)


def _made(folder) -> str:
    """Return when, on what and by which commits the tables of a run were made."""
    maker = (f"Profile [{folder.name}](profiles/{folder.name}.yaml)" if (paths.PROFILES / f"{folder.name}.yaml").exists()
             else f"By `make {folder.name}`")
    return f"{maker}, {origin.of_run([store.read_exported(file)[1] for file in sorted(folder.glob('*.csv'))])}"


def _in_order(names: list[str], order: dict) -> list[str]:
    return sorted(names, key=lambda name: (list(order).index(name) if name in order else len(order), name))


def _link(path) -> str:
    return str(path.relative_to(paths.REPOSITORY))


if __name__ == "__main__":
    try:
        copy(*sys.argv[1:])
    except RefusedError as error:
        sys.exit(str(error))
    store.write(PAGE, page().encode())
