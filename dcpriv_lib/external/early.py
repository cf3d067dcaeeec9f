"""Read the files of models that a profile names before anything is trained: ``python -m dcpriv_lib.external.early X``.

Notebook 4 is the first that needs them, after hours. What is wrong with one is said now, in one sentence.
"""

import sys
import warnings

import torch

from .. import profiles
from ..data.dataset import DataError
from ..data.split import load_split
from ..engine import paths
from ..engine.errors import as_list
from ..engine.store import ArtefactError
from . import files


def main(name: str) -> int:
    """Read every file of ``extra_targets`` of a profile, warn of what is doubted, and return the exit status."""
    chosen = profiles.read(name)
    named = [file for parameters in chosen.values() for file in as_list(parameters.get("extra_targets", []))]
    who = {key: chosen["01_data_split"][key] for key in ("dataset", "seed")}
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            split = load_split(paths.results(name), profile=name, **who)
            files.targets(list(dict.fromkeys(named)), split, torch.device("cpu"))
    except (DataError, ArtefactError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for one in caught:
        print(f"warning: {one.message}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
