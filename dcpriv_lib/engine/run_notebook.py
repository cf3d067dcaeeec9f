"""``python -m dcpriv_lib.engine.run_notebook`` runs one notebook for the engine, and says in few lines what goes wrong.

SIGTERM stops it as Ctrl-C does: papermill that is interrupted interrupts its kernel, which saves
its state (see `checkpoint`); papermill that is terminated leaves the kernel to be killed. Clusters
terminate.
"""

import argparse
import logging
import os
import re
import signal
import sys
import time
from pathlib import Path

# Half of papermill's import time is this grammar of addresses, which the check of notebooks can do without.
sys.modules["rfc3987_syntax"] = None

import nbformat  # noqa: E402
import yaml  # noqa: E402
from papermill import execute_notebook  # noqa: E402
from traitlets.config import Config  # noqa: E402

from .paths import shown  # noqa: E402

EVERY = 60  # seconds between two lines of progress
# A kernel is told which ports are free, and seconds later, when it wants them, another process may have one of them. No
# cell has run by then, so it is simply started again.
UNBORN = "Kernel died before replying to kernel_info"
ATTEMPTS = 3
BAR = re.compile(r"(?P<what>[^\r\n]*?):? +\d+%\|.*?\| (?P<done>\S+)/(?P<total>\S+) \[\S+?<(?P<left>[^,\]]+)")


class Progress(logging.Handler):
    """Prints the newest of a notebook's progress bars, once in a while.

    Parameters
    ----------
    name : of the notebook, to begin the lines with.
    """

    def __init__(self, name: str):
        super().__init__()
        self.name, self.printed = name, time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line if `record` holds a progress bar and the last line is old enough."""
        bars = list(BAR.finditer(record.getMessage()))
        if bars and time.monotonic() - self.printed >= EVERY:
            self.printed = time.monotonic()
            print(
                "           {}: {what}, {done} of {total}, {left} left".format(self.name, **bars[-1].groupdict()),
                flush=True,
            )


def run(notebook: Path, output: Path, parameters: dict) -> None:
    """Execute a notebook; `output` exists only once all of it has been executed.

    Raises
    ------
    Exception
        Whatever stopped it; the notebook as far as it came then lies at `unfinished` (`output`).
    """
    log = logging.getLogger("papermill")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(Progress(notebook.stem))
    # What a kernel itself says concerns nobody: that it does not encrypt, that it was interrupted to end it.
    config = Config(NotebookClient={"extra_arguments": ["--log-level=CRITICAL"]})
    place = unfinished(output)
    place.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            execute_notebook(notebook, place, parameters, progress_bar=False, log_output=True, config=config)
            break
        except RuntimeError as error:
            if UNBORN not in str(error) or attempt == ATTEMPTS - 1:
                raise
    output.parent.mkdir(parents=True, exist_ok=True)
    os.replace(place, output)


def unfinished(output: Path) -> Path:
    """Return where the notebook lies while it is being executed."""
    return output.with_name(f"unfinished-{output.name}")


def failure(notebook: Path, output: Path, error: Exception) -> str:
    """Return what went wrong: the notebook, its cell, the error, and where to read all of it."""
    lines = [f"FAILED: {shown(notebook)}"]
    place, message = unfinished(output), f"{type(error).__name__}: {error}"
    cells = nbformat.read(place, 4).cells if place.exists() else []
    for cell in cells:
        if cell.metadata.get("papermill", {}).get("status") in ("running", "failed"):
            source = [c.source for c in nbformat.read(notebook, 4).cells if c.cell_type == "code"]
            number = source.index(cell.source) + 1 if cell.source in source else "with the parameters"
            code = [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#")]
            lines.append(f"  in code cell {number}, which begins: {code[0]}")
            errors = [out for out in cell.outputs if out.output_type == "error"]
            message = f"{errors[0].ename}: {errors[0].evalue}" if errors else message
    lines += [f"  {line[:300]}" for line in message.strip().splitlines()[-2:]]
    return "\n".join(lines + [f"  as far as it came: {shown(place)}"] * bool(cells))


def main() -> None:
    """Run the notebook that the command line names; exit with 1 and a few lines if that fails."""
    parser = argparse.ArgumentParser(prog="python -m dcpriv_lib.engine.run_notebook")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("-y", "--yaml", default="{}", type=yaml.safe_load, help="parameters, as YAML")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(given.notebook, given.output, given.yaml)
    except KeyboardInterrupt:
        sys.exit(f"{given.notebook.stem} was stopped; what it was computing is saved")
    except Exception as error:
        print(failure(given.notebook, given.output, error), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
