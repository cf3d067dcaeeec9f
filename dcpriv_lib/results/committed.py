"""``python -m dcpriv_lib.results.committed`` copies what runs found to ``figures/``.

The README quotes from these tables; there nothing is left out. Results of code that is in no commit are refused: nobody
else could make them again.
"""

import json
import sys
from pathlib import Path

from ..engine import checksums, origin, paths, store


def copy(*profiles: str) -> None:
    """Replace what is in ``figures/`` of some runs, or of all that have tables.

    Raises
    ------
    RefusedError
        If one of them was made by code that is in no commit, or is damaged; then nothing is deleted or copied.
    """
    runs = sorted(folder.parent for folder in paths.all_results().glob("*/tables"))
    if unknown := set(profiles) - {run.name for run in runs}:
        raise RefusedError(
            f"{', '.join(sorted(unknown))}: no such run with tables in {paths.shown(paths.all_results())}"
        )
    runs = [run for run in runs if run.name in profiles or not profiles]
    if refused := [text for run in runs if (text := _damage(run) or refusal(run.name, _to_copy(run)))]:
        raise RefusedError("\n".join(refused))
    for run in runs:
        place = paths.FIGURES / run.name
        place.mkdir(parents=True, exist_ok=True)
        copied = {_place(file, run): file for file in _to_copy(run)}
        for to, file in copied.items():
            store.write(to, file.read_bytes())
        for old in set(filter(Path.is_file, place.iterdir())) - copied.keys():
            old.unlink()


class RefusedError(RuntimeError):
    """Results that must not be committed."""


def _damage(run: Path) -> str:
    """Return what is damaged of what a run left, and what to do; "" if nothing is."""
    wrong = {}
    for notebook in sorted(run.glob("notebooks/*.ipynb")):
        if checksums.of(notebook).exists():
            wrong |= checksums.damaged(notebook)
    told = [f"{path.name} {what}" for path, what in wrong.items()]
    again = f"`{paths.again(run)}` and `make figures` again"
    return f"figures/{run.name} stays as it is: {origin.listed(told)}. Run {again}." if told else ""


def refusal(run: str, files: list[Path]) -> str:
    """Return why a run must not be committed, and what to do; "" if it may."""
    kept = [file for file in files if file.suffix in (".csv", ".npz")]
    why = [(file.name, found) for file in kept if (found := uncommitted(store.sidecar(file)))]
    if not why:
        return ""
    again = f"make {run}" if run in ("authors", "published") else f"make fresh PROFILE={run}"
    return (
        f"figures/{run} stays as it is: {origin.listed(sorted({found for _, found in why}))} made "
        f"{origin.listed([name for name, _ in why])}, so nobody could make them again from a commit. Commit your "
        f"changes, then `{again}` and `make figures` again."
    )


def uncommitted(record: Path) -> str:
    """Return which code that is in no commit made what a record is of, or what this was made from.

    "" if all is in commits.
    """
    try:
        content = json.loads(store.read(record))
    except (store.ArtefactError, ValueError):
        return origin.UNKNOWN
    if "+changes" in json.dumps(content):  # wherever it stands: of what was read too
        return "changed code that was not committed"
    nowhere = "provenance" in content and not content["provenance"].get("git_commit")
    for versions in content.get("other_code", {}).values():
        # A state that work went on from has no commit beside the hash of its code; another result of that code may.
        committed = {one.partition(" of ")[0] for one in versions if origin.NONE not in one}
        nowhere |= any(origin.NONE in one and one.partition(" of ")[0] not in committed for one in versions)
    return "code without a commit" if nowhere else ""


def _to_copy(run: Path) -> list[Path]:
    """Return the files of a run that are committed: figures, condensed images, tables."""
    return [
        file
        for pattern in ("figures/*.png", "condensed_sets.npz*", "tables/*")
        for file in sorted(run.glob(pattern))
        if file.is_file()
    ]


def _place(file: Path, run: Path) -> Path:
    """Return where a file is committed: a figure that depends on no data has one place for all runs."""
    diagram = paths.FIGURES / "diagrams" / file.name
    return diagram if diagram.exists() else paths.FIGURES / run.name / file.name


if __name__ == "__main__":
    try:
        copy(*sys.argv[1:])
    except (RefusedError, store.ArtefactError, OSError) as error:
        sys.exit(str(error))
