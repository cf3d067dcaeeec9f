"""Where the time of a finished run went: ``python benchmarks/steps.py results/quick``.

Papermill records how long every cell took; what a notebook took beyond its cells is the start and the
end of papermill and of the kernel. A cell that imports counts as imports, one that draws as
plotting, and all others as compute, whatever else they do. The pages' time is what the engine
recorded for the last step of its last whole run.
"""

import json
import re
import sys
from pathlib import Path

import nbformat
import pandas as pd

from dcpriv_lib import stages
from dcpriv_lib.engine.progress import RECORD

RULES = {"imports": r"^(import|from) \w", "plotting": r"\bplt\.|\bplots\.|study\.figure\("}  # else compute


def kind(source: str) -> str:
    """Return what a cell is counted as."""
    return next((name for name, pattern in RULES.items() if re.search(pattern, source, flags=re.M)), "compute")


def seconds(notebook) -> dict[str, float]:
    """Return the seconds of each kind in an executed notebook, with its "start" and "total"."""
    spent = dict.fromkeys(("start", *RULES, "compute"), 0.0)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            spent[kind(cell.source)] += cell.metadata.papermill.duration or 0.0
    total = notebook.metadata.papermill.duration
    return spent | {"start": total - sum(spent.values()), "total": total}


def main(folder: Path) -> None:
    """Print a table of seconds, one row a notebook."""
    rows = {
        stage.name: seconds(nbformat.read(folder / f"notebooks/{stage.name}.ipynb", 4))
        for stage in stages.STAGES
        if (folder / f"notebooks/{stage.name}.ipynb").exists()
    }
    table = pd.DataFrame(rows).T
    table.loc["sum"] = table.sum()
    print(table.round(1).to_markdown())
    if (folder / RECORD).exists():
        print(f"\npages: {json.loads((folder / RECORD).read_text())['report']:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
