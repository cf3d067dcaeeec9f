"""``python tests/run_on_a_device.py PROFILE NOTEBOOK...`` runs notebooks in this process on the pretended device."""

import sys
import time
import traceback

import jupytext
import matplotlib

matplotlib.use("agg")

import pretended_device as pretended
from IPython.core.interactiveshell import InteractiveShell

from dcpriv_lib import profiles
from dcpriv_lib.engine import paths
from dcpriv_lib.models import training


def run(name: str, parameters: dict) -> None:
    """Run the code cells of a notebook; `parameters` replace its own."""
    training.device = lambda name="auto": pretended.DEVICE
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    source = jupytext.read(paths.NOTEBOOKS / f"{name}.py")
    begun = time.perf_counter()
    with pretended.entered() as device:
        for number, cell in enumerate(cell for cell in source.cells if cell.cell_type == "code"):
            exec(compile(cell.source, f"{name} cell {number + 1}", "exec"), shell.user_ns)
            if "parameters" in cell.metadata.get("tags", []):
                shell.user_ns.update(parameters)
    print(name, "ok", round(time.perf_counter() - begun), "s", dict(device.counts), flush=True)


if __name__ == "__main__":
    profile = profiles.read(sys.argv[1])
    for name in profile:
        if not sys.argv[2:] or name[:2] in sys.argv[2:]:
            try:
                run(name, profile[name])
            except BaseException:
                print(name, "FAILED", flush=True)
                traceback.print_exc(limit=-14)
