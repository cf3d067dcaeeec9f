"""``python -m dcpriv_lib.engine.run_notebook`` runs one notebook for the engine, and says in few lines what goes wrong.

SIGTERM and SIGHUP stop it as Ctrl-C does: papermill that is interrupted interrupts its kernel, which saves
its state (see `checkpoint`); papermill that is terminated leaves the kernel to be killed. Clusters
terminate.

With ``--ahead`` a notebook that has to wait for others' results is run as far as it comes without them: what it trains
until then is kept, and found when it is run as a whole. No cell that fails is an error then, and nothing is kept but
models and sets.
"""

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

# Half of papermill's import time is this grammar of addresses, which the check of notebooks can do without.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

import nbformat  # noqa: E402
import yaml  # noqa: E402
from jupyter_core.paths import jupyter_runtime_dir  # noqa: E402
from nbclient.exceptions import DeadKernelError  # noqa: E402
from papermill import execute_notebook  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402
from traitlets.config import Config  # noqa: E402

from . import ahead as ahead_, checksums, paths, stopping, store  # noqa: E402
from .foreign_text import plain  # noqa: E402

EVERY = "60"  # seconds between two lines of a progress bar
# A kernel is told which ports are free, and seconds later, when it wants them, another process may have one of them. No
# cell has run by then, so it is simply started again.
UNBORN = "Kernel died before replying to kernel_info"
ATTEMPTS = 3


class Screen:
    """Where a notebook's stderr goes: its progress bars, each state in a line of its own, and its warnings."""

    def __init__(self, name: str):
        self.name = name

    def write(self, text: str) -> None:
        """Print the lines of `text`, each with the notebook's name."""
        text = text.replace("\x1b[A", "")  # where several bars move, each goes up to its line
        for line in text.replace("\r", "\n").splitlines():
            if line.strip():
                print(f"  {self.name}: {plain(line, None)}")

    def flush(self) -> None:
        """Let nothing wait."""
        sys.stdout.flush()


def run(notebook: Path, output: Path, parameters: dict, ahead: bool = False) -> None:
    """Execute a notebook; `output` exists only once all of it has been executed.

    With `ahead` that is as far as it comes: a cell that fails, for want of what others leave, is left out.

    Raises
    ------
    Exception
        Whatever stopped it; the notebook as far as it came then lies at `unfinished` (`output`).
    """
    # What the kernel itself says helps nobody: that it does not encrypt, that it was interrupted to end it.
    config = Config(NotebookClient={"extra_arguments": ["--log-level=CRITICAL"], "allow_errors": ahead})
    os.environ.setdefault("TQDM_MININTERVAL", EVERY)
    how = {"progress_bar": False, "stderr_file": Screen(notebook.stem), "config": config}
    place = unfinished(output)
    place.parent.mkdir(parents=True, exist_ok=True)
    if wrong := store.misplaced(place):
        raise wrong
    place.unlink(missing_ok=True)  # a named pipe there would have no reader
    if ahead:
        os.environ[ahead_.VARIABLE] = "yes"
    else:
        checksums.begin(output)
    # papermill takes braces for the places of parameters
    source, target = (Path(str(path).replace("{", "{{").replace("}", "}}")) for path in (notebook, place))
    for attempt in range(ATTEMPTS):
        try:
            execute_notebook(source, target, parameters, **how)
            break
        except PapermillExecutionError:
            if not ahead:
                raise
            break
        except RuntimeError as error:
            if UNBORN not in str(error) or attempt == ATTEMPTS - 1:
                raise
    if not ahead:
        checksums.end(output, place)
    os.replace(place, output)


def unfinished(output: Path) -> Path:
    """Return where the notebook lies while it is being executed."""
    return output.with_name(f"unfinished-{output.name}")


def failure(notebook: Path, output: Path, error: Exception) -> str:
    """Return what went wrong: the notebook, its cell, the error, and where to read all of it."""
    place, message, where = unfinished(output), f"{type(error).__name__}: {error}", []
    try:
        cells = nbformat.read(place, 4).cells
    except Exception:  # not begun, or cut off by what went wrong, a full disk: there is still an error to tell
        cells = []
    code = enumerate((cell for cell in cells if cell.cell_type == "code"), 1)
    begun = [one for one in code if one[1].metadata.get("papermill", {}).get("status", "pending") != "pending"]
    for number, cell in begun[-1:]:  # the one that failed, or in which the kernel died
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#")]
        where = [f"in code cell {number}, which begins: {lines[0]}"]
        for out in cell.outputs:
            message = f"{out.ename}: {out.evalue}" if out.output_type == "error" else message
    if isinstance(error, DeadKernelError):
        message = f"Kernel died: it {stopping.KILLED}"
    message = paths.with_what_to_do(message, place.parent, tempfile.gettempdir(), jupyter_runtime_dir())
    if message.startswith("KeyboardInterrupt:"):
        message = "its kernel was told to stop (KeyboardInterrupt); what it was computing is saved"
    said = [plain(line, 300) for line in message.strip().splitlines()[-20:]]
    rest = [f"as far as it came: {paths.shown(place)}"] * bool(cells)
    return "\n  ".join([f"FAILED: {paths.shown(notebook)}", *where, *said, *rest])


def main() -> None:
    """Run the notebook that the command line names; exit with 1 and a few lines if that fails."""
    parser = argparse.ArgumentParser(prog="python -m dcpriv_lib.engine.run_notebook")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("-y", "--yaml", default="{}", type=yaml.safe_load, help="parameters, as YAML")
    parser.add_argument("--ahead", action="store_true", help="run what needs no other notebook's results")
    given = parser.parse_args()
    logging.getLogger(
        "asyncio"
    ).disabled = True  # of a cell that is interrupted it prints the way through all libraries
    stopping.end_with_the_parent()
    try:
        with stopping.interrupted_once():
            run(given.notebook, given.output, given.yaml, given.ahead)
    except KeyboardInterrupt:
        print(f"{given.notebook.stem} was stopped; what it was computing is saved", flush=True)
        sys.exit(1)
    except Exception as error:
        print(failure(given.notebook, given.output, error), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
