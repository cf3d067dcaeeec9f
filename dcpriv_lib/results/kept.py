"""What one notebook keeps under a name, and the notebooks that follow find: models, tables, arrays, figures.

A notebook that runs ahead of what it reads keeps nothing here: it runs again, as a whole.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..engine import ahead, checksums, paths, store
from ..models.trained import Models
from ..stages import MADE_BY, naming_all_that_is_missing
from . import tables


@dataclass(frozen=True)
class Results:
    """The results of one profile, by their names.

    Attributes
    ----------
    folder : where they are kept.
    inputs : what identifies the data set and the split. What is loaded must have the same.
    parameters : those of the notebook, recorded with all that it keeps.
    files : name to SHA-256 of every file made elsewhere that the notebook read, recorded likewise.
    """

    folder: Path
    inputs: dict
    parameters: dict
    files: dict

    def save(self, name: str, content: Models | pd.DataFrame | dict[str, np.ndarray], **settings) -> None:
        """Keep models, a table or a dict of arrays for the notebooks that follow; `settings` are recorded with it."""
        if ahead.running():
            return
        inputs, path = self._recorded(settings), self._file(name)
        if isinstance(content, dict):
            store.save_arrays(path, content, inputs)
        else:
            store.save_table(path, content.table if isinstance(content, Models) else content, inputs)
        checksums.add(path)

    def load_models(self, name: str) -> Models:
        """Return models that were kept; the inputs of their record are in `settings`.

        Raises
        ------
        ArtefactError
            If they do not exist yet, naming the notebook that makes them.
        """
        table = self.load_table(name)
        folder, made_by = self.folder / "models", _made_by(name)
        answers = [store.load_arrays(folder / file, self.inputs, made_by) for file in table["file"]]
        return Models.of(table, answers, self.record_of(name)["inputs"])

    def load_table(self, name: str) -> pd.DataFrame:
        """Return a table that was kept; ArtefactError as `load_models`."""
        with naming_all_that_is_missing(self.folder):
            return store.load_table(self._file(name), self.inputs, _made_by(name))

    def load_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Return arrays that were kept; ArtefactError as `load_models`."""
        with naming_all_that_is_missing(self.folder):
            return store.load_arrays(self._file(name), self.inputs, _made_by(name))

    def record_of(self, name: str) -> dict:
        """Return the inputs and the provenance of models or a table that were kept."""
        with naming_all_that_is_missing(self.folder):
            return store.read_record(self._file(name), _made_by(name))

    def table(self, frame: pd.DataFrame, name: str, note: str = ""):
        """Keep the numbers of a report's table, and return it in words to be shown, with a note and what it says
        (`voice`)."""
        from . import voice  # here, because worker processes have nothing to say

        path = self.folder / "tables" / f"{name}.csv"
        if not ahead.running():
            tables.keep(path, frame, self._recorded({}), note)
            checksums.add(path)
        return tables.shown(frame, note, voice.markdown(name, frame))

    def figure(self, figure, name: str, alt: str) -> None:
        """Keep a figure of the report as .png, and show it with a sentence for those who do not see it.

        Parameters
        ----------
        alt : what is seen there, in one sentence. It is the picture's alternative text in the notebook, and its caption
            on the report's page.

        Raises
        ------
        ValueError
            If `alt` is empty; then nothing is kept.
        """
        if ahead.running():
            return
        from . import plots  # here, because worker processes would wait for matplotlib

        plots.check_alt(name, alt)
        plots.save(figure, self.folder, name)
        checksums.add(self.folder / "figures" / f"{name}.png")
        plots.show(figure, name, alt)

    def _recorded(self, settings: dict) -> dict:
        """Return the inputs that are recorded with what is kept."""
        return self.inputs | {"parameters": self.parameters} | settings | ({"files": self.files} if self.files else {})

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npz"


def committed(profile: str, name: str) -> tuple[pd.DataFrame, dict]:
    """Return a table of a run whose results are committed with this report, and its provenance."""
    path = paths.FIGURES / profile / f"{name}.csv"
    _, record = store.read_exported(path, f"make {profile} figures")
    return tables.read(path), record["provenance"]


def committed_figure(profile: str, name: str, alt: str):
    """Return a figure of a run whose results are committed with this report, to be shown; `alt` says what is seen."""
    from IPython.display import Image  # here, because only notebooks have it to show anything
    from PIL.Image import open as read

    from . import plots

    with read(paths.FIGURES / profile / f"{name}.png") as drawn:
        width = min(drawn.width, 1000)  # as wide as a page
        small = drawn.convert("RGB").resize((width, round(drawn.height * width / drawn.width)))
    return Image(plots.palette(small), alt=alt)


def _made_by(name: str) -> str:
    return f"notebooks/{MADE_BY[name]}.ipynb"
