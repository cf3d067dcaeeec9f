"""The report: a front page, and every executed notebook as a page of its own; all read without a network.

Sphinx makes the pages, configured by ``pages/conf.py``; here it is told what there is.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jinja2
import nbformat
import yaml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import docutils_namespace, patch_docutils

from .. import stages
from ..engine import checksums, origin, paths, provenance, store
from ..engine.foreign_text import in_markdown
from . import findings
from .pages import claims, sources
from .tables import data_set, markdown, read, words

TITLE = "Does dataset condensation protect the people in the training data?"
CONFIGURATION = Path(__file__).with_name("pages")
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(CONFIGURATION), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
)
TEMPLATES.filters["md"] = in_markdown
AUTHORS = paths.FIGURES / "authors"  # what the paper's own models say, on MNIST: of no run but that one
PARTS = {  # the last numbers of their notebooks
    "The whole in one lecture": 0,
    "I. The experiment": 5,
    "II. The doubt": 8,
    "III. Further": 99,
}
LECTURE = "00_one_lecture"
BUILT = "pages.txt"  # beside the pages: the files of the last build
BELL_CURVES = CONFIGURATION / "bell_curves"  # an interactive picture, a page of its own with a policy of its own
# These notebooks need no file of another one: their pages offer to launch them, once the repository has an address.
SELF_CONTAINED = (LECTURE,)
REPOSITORY = ""  # "https://github.com/OWNER/NAME"
LAUNCH = {"colab_url": "https://colab.research.google.com", "binderhub_url": "https://mybinder.org"}
# The picture of the front page: its committed copy, and what is seen there.
ACCUSED, ACCUSED_ALT, ACCUSED_CAPTION = (
    paths.FIGURES / "paper/accused.png",
    "Two rows of ten handwritten digits, each marked by a tick for a member or a cross for a false accusation: ten "
    "ticks for the original model, seven for the condensed one.",
    "The ten people whom an attacker is surest of, among 15,000 members and 15,000 others. Above, the attacker asked a "
    "model that was trained as usual: all ten were members. Below, a model of a hundred condensed images: seven were, "
    "where chance gives five.",
)


def build(profile: str) -> Path:
    """Write ``results/<profile>/report/`` from what was run so far, and return its front page."""
    folder = paths.results(profile)
    findings.keep(folder)
    front_page = write(folder / "report", folder / "notebooks", folder / "tables", folder / "figures", run=True)
    beside = [folder / "tables" / name for name in (findings.NAME, "arithmetic.json")]
    files = {path for path in front_page.parent.rglob("*") if path.is_file()} - {front_page, checksums.of(front_page)}
    checksums.write(front_page, [*sorted(files), *filter(Path.is_file, beside)])
    return front_page


def site() -> Path:
    """Write ``site/`` from the committed, executed notebooks, and return its front page."""
    committed = paths.FIGURES / "quick"
    return write(paths.REPOSITORY / "site", paths.NOTEBOOKS, committed, committed)


def write(folder: Path, notebooks: Path, tables: Path, figures: Path, run: bool = False) -> Path:
    """Write the pages.

    Parameters
    ----------
    folder : where to write them.
    notebooks, tables, figures : the folders of the executed notebooks, the tables and the figures;
        what is not there yet is left out.
    run : whether the front page begins with what these tables say, and not with what the committed ones do.

    Returns
    -------
    The path of the front page.
    """
    with tempfile.TemporaryDirectory() as place:
        source, built = Path(place) / "source", Path(place) / "built"
        options = prepare(source, notebooks, tables, figures, run)
        sphinx(source, built, options)
        _replace(folder, built)
    return folder / "index.html"


def prepare(source: Path, notebooks: Path, tables: Path, figures: Path, run: bool = False) -> dict:
    """Write what Sphinx makes the pages of, and return the options that only this call knows.

    The arguments are those of `write`.
    """
    committed = {stage.name: as_committed(stage.name) for stage in stages.PAGES}
    there = {stage: notebook for stage in committed if (notebook := executed(stage, notebooks))}
    if (paths.NOTEBOOKS / f"{LECTURE}.ipynb").exists():
        committed = {LECTURE: as_committed(LECTURE)} | committed
        there = {LECTURE: executed(LECTURE, notebooks) or committed[LECTURE]} | there
    solutions = {
        path.stem: nbformat.read(path, 4)
        for path in sorted(paths.NOTEBOOKS.glob("solutions/*.ipynb"))
        if any(name.startswith(path.stem[:3]) for name in there)
    }
    for name, notebook in (there | solutions).items():
        own = (AUTHORS, "data/authors") if name == stages.APART.name else (tables, "data")
        page = sources.page(notebook, name, source, own[0], set(solutions), own[1])
        store.write(source / f"{name}.ipynb", nbformat.writes(page).encode())
        store.write(source / f"extra/notebooks/{name}.ipynb", nbformat.writes(notebook).encode())
    for path in sorted(CONFIGURATION.glob("*.md")):
        store.write(source / path.name, sources.linked_here(path.read_text()).encode())
    context = _context(source, committed, there, tables, figures, run) | {"solutions": list(solutions)}
    for path in sorted(CONFIGURATION.glob("*.md.j2")):
        store.write(source / path.stem, TEMPLATES.get_template(path.name).render(context).encode())
    _data(source / "extra/data", tables)
    for path in sorted(BELL_CURVES.glob("*.*")):
        store.write(source / "extra/bell_curves" / path.name, path.read_bytes())
    store.write(source / "extra/LICENSE.txt", (paths.REPOSITORY / "LICENSE").read_bytes())
    footer = TEMPLATES.get_template("footer.html.j2").render(context | {"said": context["run"].partition(". ")[0]})
    options = {"html_theme_options.extra_footer": footer, "version": context["citation"]["version"]}
    options |= {"release": options["version"], "html_extra_path": [str(source / "extra")]}
    options |= {"exclude_patterns": ["extra"], "dcpriv_notebooks": [*there, *solutions]}
    if REPOSITORY:
        options |= {"html_theme_options.repository_url": REPOSITORY, "html_theme_options.path_to_docs": "notebooks"}
        options |= {"html_theme_options.launch_buttons": LAUNCH, "dcpriv_self_contained": list(SELF_CONTAINED)}
    return options


def sphinx(source: Path, built: Path, options: dict) -> str:
    """Make pages of sources, and return what Sphinx warns of."""
    warnings = io.StringIO()
    with patch_docutils(str(CONFIGURATION)), docutils_namespace():
        how = {"status": None, "warning": warnings, "freshenv": True, "parallel": _processes()}
        app = Sphinx(source, CONFIGURATION, built, source.parent / "doctrees", "html", options, **how)
        app.build()
    return warnings.getvalue()


def _processes() -> int:
    return min(4, int(os.environ.get("LOKY_MAX_CPU_COUNT") or os.cpu_count() or 1))


def _replace(folder: Path, built: Path) -> None:
    """Put what was built into a folder, the front page last, and remove what only the build before had put there."""
    new = {path.relative_to(built) for path in built.rglob("*") if path.is_file() and path.name != ".buildinfo"}
    for path in sorted(new, key=lambda path: (path == Path("index.html"), path)):
        store.write(folder / path, (built / path).read_bytes())
    listed = folder / BUILT
    before = {Path(line) for line in listed.read_text().splitlines()} if listed.is_file() else set()
    for path in before - new:
        if not path.is_absolute() and ".." not in path.parts:
            (folder / path).unlink(missing_ok=True)
    store.write(listed, "".join(f"{path}\n" for path in sorted(new)).encode())


def _data(place: Path, tables: Path) -> None:
    """Copy the numbers of a run's tables, and of all committed ones, each profile in a folder of its own.

    Their records go with them, which say where they come from.
    """
    for path in sorted(tables.glob("*.csv")):
        with contextlib.suppress(store.ArtefactError):  # damaged, which `run` says
            store.read_exported(path)
            for file in (path, store.sidecar(path)):
                store.write(place / file.name, store.read(file))
    for path in sorted(paths.FIGURES.glob("*/*.csv")):
        for file in (path, store.sidecar(path)):
            store.write(place / file.parent.name / file.name, file.read_bytes())


def as_committed(stage: str):
    """Return a notebook as it is committed."""
    return nbformat.read(paths.NOTEBOOKS / f"{stage}.ipynb", 4)


def executed(stage: str, notebooks: Path):
    """Return a notebook as it was run; None if it was not run, or if it is damaged, which is said.

    `stages.APART` is run for all profiles at once, beside them; without such a run it is shown as committed, and says
    so. `stages.ALONE` is of no profile and always shown as committed.
    """
    for folder in [notebooks] + [notebooks.parent.parent / "authors/notebooks"] * (stage == stages.APART.name):
        if os.path.lexists(folder / f"{stage}.ipynb"):
            try:
                return checksums.executed(folder / f"{stage}.ipynb", f"notebooks/{stage}.ipynb")
            except store.ArtefactError as error:
                print(f"{error}; until then the report leaves it out", file=sys.stderr)
    if stage not in (stages.APART.name, stages.ALONE.name):
        return None
    notebook = as_committed(stage)
    if stage == stages.ALONE.name:
        return notebook
    title, _, text = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n*As committed with the report; `make authors` runs it here.*\n{text}"
    return notebook


def _context(source: Path, committed: dict, there: dict, tables: Path, figures: Path, run_: bool) -> dict:
    """Return what the templates are given; a picture is written to the sources."""
    notebooks = [
        {
            "name": name,
            "number": name[:2].lstrip("0"),
            "title": heading(notebook),
            "question": question(notebook),
            "there": name in there,
        }
        for name, notebook in committed.items()
    ]
    ends = [-1, *PARTS.values()]
    parts = [
        (part, own)
        for part, last, before in zip(PARTS, ends[1:], ends)
        if (own := [one for one in notebooks if before < int(one["name"][:2]) <= last])
    ]
    by_name = {one["name"]: one for one in notebooks}
    kept = findings.kept(tables)
    return {
        "title": TITLE,
        "findings": kept if run_ else [],
        "run": run(tables),
        "sentences": [
            {
                "begins": one.begins,
                "text": one.text.format(*(number.short() for number in one.numbers)),
                "table": one.numbers[0].table,
            }
            for one in claims.ANSWER
        ],
        "picture": _picture(source, figures, kept if run_ else []),
        "first": by_name[stages.STAGES[0].name],
        "bell_curves": (BELL_CURVES / "index.html").is_file(),
        "lecture": by_name.get(LECTURE),
        "meanings": claims.MEANING,
        "claims": [_card(one, there) for one in claims.CLAIMS],
        "parts": parts,
        "apart": by_name[stages.APART.name],
        "paper": markdown(read(AUTHORS / "authors_claims.csv")),
        "verdicts": [row | {"there": row["name"] in there} for row in verdicts(tables)],
        "citation": yaml.safe_load((paths.REPOSITORY / "CITATION.cff").read_text()),
        "commit": origin.short(provenance.git_commit()),
    }


def _picture(source: Path, figures: Path, found: list[str]) -> dict | None:
    """Return the front page's picture of the ten most accused people: the run's own, or else the committed one."""
    own = figures / "accused.png"
    said = next((one for one in found if one.startswith("Of the ten people")), "")
    if found and own.is_file() and said:
        store.write(source / "pictures/accused.png", own.read_bytes())
        return {"file": "pictures/accused.png", "alt": f"The people as images in two rows. {said}", "caption": said}
    store.write(source / "pictures/accused.png", ACCUSED.read_bytes())
    return {"file": "pictures/accused.png", "alt": ACCUSED_ALT, "caption": ACCUSED_CAPTION}


def _card(claim: claims.Claim, there: dict) -> dict:
    """Return what the front page shows of a claim."""
    shown = vars(claim) | {"there": claim.page in there, "number": claim.page[:2].lstrip("0")}
    shown |= {"found": claim.found.format(*(number.words() for number in claim.numbers))}
    shown |= {"detectable": claim.detectable.format(*(one.words().rpartition("detectable: ")[2] for one in claim.told))}
    shown |= {"tables": list(dict.fromkeys(number.table for number in claim.numbers))}
    shown |= {"anchor": f"table-{shown['tables'][0].rpartition('/')[2]}"}
    return shown if claim.holds() else shown | {"state": "in doubt: the table has changed"}


def verdicts(tables: Path) -> Iterator[dict]:
    """Yield what the judging notebooks found, one dict a row of their tables."""
    for stage in (stage for stage in stages.STAGES if stage.verdict):
        name, asked, answered = stage.verdict
        with contextlib.suppress(store.ArtefactError):  # not there yet, or damaged, which `run` says
            for row in words(read(tables / f"{name}.csv")).to_dict("records"):
                about = row.get("target", "")
                asks = row[asked] if about in row[asked] else f"{row[asked]} ({about})"
                yield {
                    "notebook": stage.number,
                    "name": stage.name,
                    "question": asks,
                    "found": row["this run"],
                    "answer": row[answered],
                }


def run(tables: Path) -> str:
    """Return which run the tables of a folder are of.

    That is its profile, data, dates, processors and commits, and how much code it mixes. Damaged tables are left out,
    and named on stderr.
    """
    records = []
    for path in sorted(tables.glob("*.csv")):
        try:
            records.append(store.read_exported(path)[1])
        except store.ArtefactError as error:
            print(f"{error}; until then the report leaves it out", file=sys.stderr)
    if not records:
        return ""
    inputs = records[0]["inputs"]
    return f"Profile {inputs['profile']} on {data_set(inputs['dataset'])}, {origin.of_run(records)}"


def heading(notebook) -> str:
    """Return the first line of a notebook's text without its hashes."""
    return notebook.cells[0].source.splitlines()[0].strip("# ")


def question(notebook) -> str:
    """Return the question that a notebook begins with, as plain text."""
    found = re.search(r"\*\*Question\.\*\*\s+(.+?)(?:\n\s*\n|$)", notebook.cells[0].source, flags=re.S)
    return re.sub(r"\s+", " ", found[1].replace("*", "")) if found else ""


if __name__ == "__main__":
    try:
        build(sys.argv[1]) if len(sys.argv) > 1 else print(site())
    except (store.ArtefactError, ValueError, OSError, SphinxError) as error:
        place = paths.all_results() / sys.argv[1] if len(sys.argv) > 1 else paths.REPOSITORY
        sys.exit(paths.with_what_to_do(str(error), tempfile.gettempdir(), place))
