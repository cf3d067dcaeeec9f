"""``python tests/notebooks/on_a_device.py NAME...`` runs notebooks and solutions on the pretended device, one after the
other in this process.

Without names it runs all, in order; each reads what those before it left in ``DCPRIV_RESULTS``. A line says how each
ended. Sizes are those of the tiny profile, and smaller: each operation takes Python some time here.
"""

import dcpriv_lib  # noqa: F401  before anything imports numpy: it sets the switches

# isort: split
import contextlib
import io
import os
import sys
import time
import traceback
from pathlib import Path

import jupytext
import matplotlib

sys.path.insert(0, str(Path(__file__).parents[1]))

import pretended_device as pretended
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot as plt

from dcpriv_lib import profiles, stages
from dcpriv_lib.attacks.released import unmixing
from dcpriv_lib.engine import paths
from dcpriv_lib.models import training

SMALLER = {"iterations": 1, "outer": 1, "epochs": 1, "n_runs": 1}
SMALLER_SOLUTIONS = {
    "02": {"iterations": 1, "epochs": 1, "n_networks": 2, "steps": 2, "width": 4},
    "03": {"epochs": [1, 2], "ds": 150},
    "09": {"training_steps": 3},
    "10": {"n_pictures": 1, "pgd_steps": 2, "queries": 5},
    "12": {"training_steps": 3},
}
NOTEBOOKS = [stage.name for stage in stages.PAGES if stage != stages.ALONE]  # that one knows nothing of devices
SOLUTIONS = [path.stem for path in sorted((paths.NOTEBOOKS / "solutions").glob("*.py"))]
OF_THE_AUTHORS = "08_"  # need what they published


def run(name: str, parameters: dict) -> pretended.Counter:
    """Run the code cells of a notebook; `parameters` replace its own. Returns what the device did."""
    folder = paths.NOTEBOOKS / "solutions" if name in SOLUTIONS else paths.NOTEBOOKS
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    cells = [cell for cell in jupytext.read(folder / f"{name}.py").cells if cell.cell_type == "code"]
    with pretended.entered() as device:
        for number, cell in enumerate(cells, 1):
            exec(compile(shell.transform_cell(cell.source), f"{name}, code cell {number}", "exec"), shell.user_ns)
            if "parameters" in cell.metadata.get("tags", []):
                own = {one: value for one, value in parameters.items() if one in shell.user_ns}
                shell.user_ns.update(own)
    plt.close("all")
    return device.counts


def main(names: list[str]) -> None:
    """Run what is named, or all."""
    os.environ["TQDM_DISABLE"] = "1"
    matplotlib.use("agg")
    training.device = lambda name="auto": pretended.DEVICE
    unmixing.ROUNDS = 2  # of up to 400, all alike
    profile = profiles.read("tiny")
    both = {"profile": "tiny", "dataset": profile["01_data_split"]["dataset"]}
    for name in names or NOTEBOOKS + SOLUTIONS:
        begun, told = time.process_time(), io.StringIO()
        try:
            own = profile.get(name, {})
            smaller = {one: SMALLER[one] for one in SMALLER if one in own} | (
                SMALLER_SOLUTIONS.get(name[:2], {}) if name in SOLUTIONS else {}
            )
            with contextlib.redirect_stdout(told):
                counts = run(name, own | smaller | both)
            print(name, "ok", round(time.process_time() - begun), "s", dict(counts), flush=True)
        except BaseException:
            print(name, "FAILED", traceback.format_exc(limit=-14).replace("\n", "\n  "), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
