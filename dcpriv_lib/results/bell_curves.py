"""The data of the interactive picture `pages/bell_curves`, from the committed lecture.

The lecture's cell that is tagged "bell_curves" chose the people and asked the models; here its output becomes a script,
which a page may load from a disk, too, where browsers let it read no other file.

    python -m dcpriv_lib.results.bell_curves
"""

import json
import subprocess
from pathlib import Path

import nbformat

from .. import stages
from ..engine import paths, store

PAGE = Path(__file__).with_name("pages") / "bell_curves"
NOTEBOOK = paths.NOTEBOOKS / f"{stages.ALONE.name}.ipynb"
DATA = PAGE / "people.js"
BEGIN, END = '"use strict";\nconst BELL_CURVES = ', ";\n"


def from_notebook(notebook: Path = NOTEBOOK) -> dict:
    """Return what the executed lecture says of its twelve people.

    Returns
    -------
    dict of "seed", of "of", the number of people among whom they were chosen, and of "people", each a dict: "label",
    the class; "image", 64 grey levels from 0 to 16, row by row; "inside" and "outside", phi of the reference models
    with and without the person; "target", that of the target; "member", whether they were one of its members.

    Raises
    ------
    ValueError
        If the notebook was not executed.
    """
    cells = [cell for cell in nbformat.read(notebook, 4).cells if "bell_curves" in cell.metadata.get("tags", [])]
    found = [
        out.data["application/json"]
        for cell in cells
        for out in cell.outputs
        if "application/json" in out.get("data", {})
    ]
    if len(found) != 1:
        raise ValueError(f"{paths.shown(notebook)} has no people for the picture: run `make notebooks` first")
    return found[0]


def read(script: Path = DATA) -> dict:
    """Return what the page's script holds: what `from_notebook` returns, and "commit", that of the notebook."""
    return json.loads(script.read_text().removeprefix(BEGIN).removesuffix(END))


def write(script: Path = DATA) -> None:
    """Write the page's script from the committed lecture, with the last commit that changed it."""
    asked = ["git", "log", "-1", "--format=%H", "--", str(NOTEBOOK)]
    commit = subprocess.run(asked, cwd=paths.REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
    store.write(
        script, (BEGIN + json.dumps(from_notebook() | {"commit": commit}, separators=(",", ":")) + END).encode()
    )


if __name__ == "__main__":
    write()
