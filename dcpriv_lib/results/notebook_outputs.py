"""What is done to an executed notebook before it is kept: its pictures become palettes, as those in `figures/` are."""

import base64
import io

from nbconvert.preprocessors import Preprocessor
from PIL import Image

from .plots import palette


class PalettePreprocessor(Preprocessor):
    """Makes the pictures in the outputs of a notebook small (`plots.palette`); nbconvert runs it after the notebook."""

    def preprocess_cell(self, cell, resources, index):
        """Return a cell with its pictures as palettes. The arguments are those of nbconvert."""
        for output in cell.get("outputs", []):
            pictures = output.get("data", {})
            if "image/png" in pictures:
                with Image.open(io.BytesIO(base64.b64decode(pictures["image/png"]))) as drawn:
                    if drawn.mode != "P":
                        pictures["image/png"] = base64.b64encode(palette(drawn)).decode()
        return cell, resources
