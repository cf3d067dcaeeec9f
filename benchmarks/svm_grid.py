"""The grid search of notebook 04: GridSearchCV on all rows of a class against merged rows.

    python benchmarks/svm_grid.py paper mnist

needs the shadow models of notebook 03. At the paper's 30,000 rows a class (`--rows 30000
--repeats 1`) the plain side alone takes an hour or so on a slow core; `--C 10 --gamma 0.1`
tries one choice only, in a few minutes.
"""

import argparse

import numpy as np
import side_by_side
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import SVC

from dcpriv_lib.attacks import attack, svm
from dcpriv_lib.attacks.shadow_models import shadow_split
from dcpriv_lib.study import Study

FOLDS = 5  # the paper's, and so are the defaults of --C and --gamma


def load(profile: str, dataset: str, label: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return softmax [rows, classes] and membership [rows] of a class, in notebook 04's order.

    If there are more rows, evenly spaced ones are kept; if fewer, all of them.
    """
    study = Study(profile, dataset, seed=0)
    shadows = study.results.load_models("shadows")
    splits = [
        shadow_split(study.attacker, shadows.settings["parameters"]["ds"], number) for number in shadows.table["model"]
    ]
    known = attack.Rehearsal.of(shadows.logits, study.labels, splits)
    own = np.flatnonzero(known.labels == label)
    kept = own[np.unique(np.linspace(0, len(own) - 1, rows).round().astype(int))]
    return known.softmax[kept], known.is_member[kept]


def merged_problem(features, is_member, arguments) -> tuple[int, float]:
    """Return the rows of a training fold after merging (mean), and the kernel values needed.

    Every value between two rows of a training fold, or of a training and a test row, counts once
    per gamma; the values of C share them.
    """
    merged, values = [], 0
    for train, test in StratifiedKFold(FOLDS).split(features, is_member):
        merged.append(len(svm.merge_rows(features[train], is_member[train], arguments.step)[0]))
        values += len(arguments.gamma) * merged[-1] * ((merged[-1] + 1) / 2 + len(test))
    return int(np.mean(merged)), values


def plain(features, is_member, arguments) -> dict:
    """Return the choice, the accuracies and the final SVM's predictions without merging."""
    found = GridSearchCV(SVC(), {"C": arguments.C, "gamma": arguments.gamma}, cv=FOLDS, n_jobs=arguments.processes).fit(
        features, is_member
    )
    return found.best_params_ | {
        "accuracy": found.cv_results_["mean_test_score"],
        "predictions": found.predict(features),
    }


def fast(features, is_member, arguments) -> dict:
    """Return the same from merged rows."""
    found = svm.grid_search(
        features, is_member, arguments.C, arguments.gamma, FOLDS, arguments.processes, arguments.step
    )
    final = svm.MergedSVC(found["C"], found["gamma"], arguments.step).fit(features, is_member)
    return found | {"predictions": final.predict(features)}


def compare(label: int, arguments) -> tuple[str, str]:
    """Return a class's row of the table of times, and of the table of answers."""
    features, is_member = load(arguments.profile, arguments.dataset, label, arguments.rows)
    answers = {}
    times = side_by_side.alternate(
        lambda: answers.update(plain=plain(features, is_member, arguments)),
        lambda: answers.update(fast=fast(features, is_member, arguments)),
        arguments.repeats,
    )
    merged, values = merged_problem(features, is_member, arguments)
    floor = values * 2 * features.shape[1] / side_by_side.matmul_rate(arguments.processes)
    a, b = answers["plain"], answers["fast"]
    same = "yes" if (a["C"], a["gamma"]) == (b["C"], b["gamma"]) else "NO"
    name = f"class {label}, {len(features):,} rows"
    return side_by_side.row(name, *times, floor), (
        f"| {name} | {len(features) * (FOLDS - 1) // FOLDS:,} | {merged:,} | {a['C']}, {a['gamma']} | {same} | "
        f"{np.abs(a['accuracy'] - b['accuracy']).max():.1e} | {np.mean(a['predictions'] == b['predictions']):.3%} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", help="name of a run that has its shadow models, such as paper")
    parser.add_argument("dataset", help="its data set, such as mnist")
    parser.add_argument("--classes", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", type=int, default=6000, help="rows of each class (default 6000)")
    parser.add_argument("--C", type=float, nargs="+", default=[0.1, 1, 10])
    parser.add_argument("--gamma", type=float, nargs="+", default=[0.001, 0.01, 0.1])
    parser.add_argument("--repeats", type=int, default=3, help="times each side runs (default 3)")
    parser.add_argument("--step", type=float, default=1e-4, help="rows that agree to this merge (default 1e-4)")
    parser.add_argument("--processes", type=int, default=1, help="on both sides (default 1)")
    arguments = parser.parse_args()
    times, answers = zip(*[compare(label, arguments) for label in arguments.classes])
    print(
        f"Grid search, final fit and its predictions; C {arguments.C}, gamma {arguments.gamma}, {FOLDS} folds, "
        f"{arguments.processes} process(es), {arguments.repeats} time(s) in turns, step {arguments.step}\n"
    )
    print(side_by_side.HEADER, *times, sep="\n")
    print(
        "\n| what | rows of a training fold | merged | plain chooses C, gamma | fast too? | accuracies differ by | "
        "equal predictions |\n|---|---|---|---|---|---|---|",
        *answers,
        sep="\n",
    )
    print(f"\nFloor: the merged problem's kernel values at the rate of matrix products.\n{side_by_side.hardware()}")


if __name__ == "__main__":
    main()
