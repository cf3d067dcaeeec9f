"""What several files of tests need: the engine as a process, and something that must never be unpickled."""

import ast
import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pandas as pd
from bs4 import BeautifulSoup
from IPython.display import display

from dcpriv_lib import profiles
from dcpriv_lib.condensation import method
from dcpriv_lib.engine import paths, store
from dcpriv_lib.engine.standing import Standing

TESTS = Path(__file__).parent
SOON = 180  # seconds, on a machine that does other things

SETTINGS = method.Settings(ipc=1, iterations=1, outer=2, inner=1, width=4, real_batch=16, image_lr=1.0)


class Bomb:
    """Creates a file when it is unpickled: what an attacker's pickle could do."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def engine(folder, profile="tiny", targets=(), tools=(), config=(), cores=2, **popen):
    """Start the engine with its results in `folder`; its own state stays in `folder` too. Without targets: all of
    it. `tools` are folders whose programs take the place of others; `config` more of --config."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "DCPRIV_RESULTS": str(folder),
        "PATH": os.pathsep.join([*map(str, tools), os.path.dirname(sys.executable), os.environ["PATH"]]),
    }
    return subprocess.Popen(
        [
            "snakemake",
            "--cores",
            str(cores),
            "--directory",
            str(folder),
            "--snakefile",
            str(paths.REPOSITORY / "Snakefile"),
            "--config",
            f"profile={profile}",
            *config,
            "--",
            *map(str, targets),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **popen,
    )


def passed_on(path):
    """Return a table that notebooks pass on, read without the library's own reader."""
    with np.load(path) as file:
        return pd.read_csv(io.BytesIO(file["table"]))


def run_cells(stage, **changes):
    """Run a notebook as the profile tiny does, with other parameters, in this process: a kernel would begin with
    seconds of imports. Results are those of DCPRIV_RESULTS; only what is printed is shown."""
    namespace = {"__name__": "__main__", "display": display}
    for number, cell in enumerate(jupytext.read(paths.NOTEBOOKS / f"{stage}.py").cells):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{stage}, cell {number}", "exec"), namespace)
        if "parameters" in cell.metadata.get("tags", []):
            namespace |= profiles.read("tiny")[stage] | changes


def in_this_process(data, wanted):
    """Do jobs as `workers.run` does, without workers."""
    for done, job in enumerate(wanted, 1):
        job.result(data)
        yield Standing(done, 0, len(wanted) - done, 1)


def artefacts_in(folder):
    """Return every artefact below `folder` as relative path -> bytes (provenance left out, and the table of
    seconds)."""
    files = sorted(folder.rglob("*.npz")) + sorted(
        set(folder.rglob("*.csv")) - set(folder.rglob("methods_seconds.csv"))
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def cluster_process(folder: Path, *command, **popen) -> subprocess.Popen:
    """Start a scheduler or a worker of the profile tiny, with its results below `folder`."""
    path = os.pathsep.join([str(TESTS), str(paths.REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "dcpriv_lib.engine.cluster", *command],
        env=os.environ | {"DCPRIV_RESULTS": str(folder), "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **popen,
    )


def wait_for(what, seconds=SOON):
    """Return what a function returns once that is true."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def cluster(folder: Path, n_workers: int):
    """Run a scheduler and some workers; yields the folder of results and all of these processes."""
    (folder / "tiny").mkdir(parents=True, exist_ok=True)
    processes = [cluster_process(folder, "scheduler", "tiny")]
    try:
        assert "waits for workers" in processes[0].stdout.readline()
        processes += [cluster_process(folder, "worker", "tiny") for _ in range(n_workers)]
        for process in processes[1:]:
            assert "is ready" in process.stdout.readline()
        yield folder / "tiny", processes
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def rendered(cells, folder, name="06_page", **options):
    """Return the page that the report's own Sphinx makes of a notebook's cells, and what it warned of.

    `options` are more of Sphinx's, with "__" for ".".
    """
    from dcpriv_lib.results import report
    from dcpriv_lib.results.pages import sources

    page = sources.page(nbformat.v4.new_notebook(cells=cells), name, folder / "source", folder / "tables", set())
    store.write(folder / f"source/{name}.ipynb", nbformat.writes(page).encode())
    store.write(folder / "source/index.md", f"# Index\n\n```{{toctree}}\n{name}\n```\n".encode())
    options = {key.replace("__", "."): value for key, value in options.items()}
    warnings = report.sphinx(folder / "source", folder / "built", options)
    return BeautifulSoup((folder / f"built/{name}.html").read_text(), "html.parser"), warnings


def sentences_of_figures(cell) -> list[str | None]:
    """Return what a cell's code says of each figure that it shows, where it is a text and nothing computed."""
    code = "\n".join(line for line in cell.source.splitlines() if not line.startswith(("%", "!")))
    calls = [one for one in ast.walk(ast.parse(code)) if isinstance(one, ast.Call) and len(one.args) == 3]
    shown = [one for one in calls if isinstance(one.func, ast.Attribute) and one.func.attr in ("figure", "show")]
    return [one.args[2].value if isinstance(one.args[2], ast.Constant) else None for one in shown]


def described_pictures(cell) -> list[str]:
    """Return the alternative texts of the pictures among a cell's outputs, "" where there is none."""
    pictures = [one for one in cell.get("outputs", []) if "image/png" in one.get("data", {})]
    return [one.metadata.get("image/png", {}).get("alt", "") for one in pictures]
