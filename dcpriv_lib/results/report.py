"""The report: a front page, and every executed notebook as a page of its own; all read without a network."""

import base64
import contextlib
import os
import re
import sys
from html import escape, unescape
from pathlib import Path
from typing import ClassVar

import jinja2
import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from .. import stages
from ..engine import checksums, origin, paths, store
from . import findings
from .tables import data_set, read, words

TITLE = "Does dataset condensation protect the people in the training data?"
CLAIMS = (
    paths.FIGURES / "authors/authors_claims.csv"
)  # what the paper's own models say, on MNIST: of no run but that one
# The front page's figures: the first of these names that was drawn, and what it shows.
FIGURES = {
    (
        "figure4_condensed_10_ipc",
        "figure4_*",
    ): "Synthetic images, from the first to the final ones: all that the condensed model was trained on.",
    (
        "roc_log",
        "roc",
    ): "How many members an attack finds (up) for how many people wrongly accused (right), both on logarithmic axes.",
    (
        "leak_and_accuracy",
        "attack_accuracy",
    ): "How much models leak (up) and how accurate they are (right): condensed ones beside those of real images.",
    (
        "two_doors_compared",
    ): "How well members are recognised by whoever may ask one model, and by whoever holds the images.",
}
TEMPLATES = jinja2.FileSystemLoader(Path(__file__).parent)


class _MathMLRenderer(IPythonRenderer):
    """Turns LaTeX into MathML, which browsers draw themselves; nbconvert would load MathJax.

    Of HTML in markdown only `HTML` passes, the rest is shown as text; so are addresses of scripts, and pictures that
    are not in the page.
    """

    HTML = ("<br>", "<span>", "</span>")

    def __init__(self):
        super().__init__(escape=True, allow_harmful_protocols=False)

    def text(self, text: str) -> str:
        return escape(unescape(text), quote=False)  # "&#60;" is a "<", as where HTML passes

    def inline_html(self, html: str) -> str:
        return html if html in self.HTML else super().inline_html(html)

    def block_mermaidjs(self, code: str) -> str:
        return f"<pre>{escape(code)}</pre>"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super().image(text, url, title) if url.startswith("data:image/png;") else escape(text)

    def inline_math(self, body: str) -> str:
        return _equation(body, "inline")

    def block_math(self, body: str) -> str:
        return f'<div class="equation">{_equation(body, "block")}</div>'


def _equation(body: str, display: str) -> str:
    """Return LaTeX as MathML, or as it is written where it is none."""
    try:
        return convert(body, display=display)
    except Exception:  # latex2mathml raises many kinds, IndexError among them
        return f"<code>{escape(body)}</code>"


class OfflineExporter(HTMLExporter):
    """nbconvert's HTML exporter with MathML for equations and no address to load anything from."""

    embed_images = True
    preprocessors: ClassVar = ["nbconvert.preprocessors.CoalesceStreamsPreprocessor"]  # progress bars: last state only

    def markdown2html(self, source: str) -> str:
        """Return the HTML of one markdown cell."""
        return MarkdownWithMath(renderer=_MathMLRenderer()).render(source)

    def default_filters(self):
        """Yield nbconvert's filters, with ours for markdown."""
        yield from super().default_filters()
        yield "markdown2html", self.markdown2html


def build(profile: str) -> Path:
    """Write ``results/<profile>/report/`` from what was run so far, and return its front page."""
    folder = paths.results(profile)
    findings.keep(folder)
    front_page = write(folder / "report", folder / "notebooks", folder / "tables", folder / "figures")
    beside = [folder / "tables" / name for name in (findings.NAME, "arithmetic.json")]
    pages = {*front_page.parent.glob("*.html")} - {front_page}
    checksums.write(front_page, [*sorted(pages), *filter(Path.is_file, beside)])
    return front_page


def site() -> Path:
    """Write ``site/`` from the committed, executed notebooks, and return its front page."""
    committed = paths.FIGURES / "quick"
    return write(paths.REPOSITORY / "site", paths.NOTEBOOKS, committed, committed)


def write(folder: Path, notebooks: Path, tables: Path, figures: Path) -> Path:
    """Write the pages.

    Parameters
    ----------
    folder : where to write them.
    notebooks, tables, figures : the folders of the executed notebooks, the tables and the figures;
        what is not there yet is left out.

    Returns
    -------
    The path of the front page.
    """
    sources = {stage.name: as_committed(stage.name) for stage in stages.PAGES}
    ran = {stage: notebook for stage in sources if (notebook := executed(stage, notebooks))}
    pages = {"index.html": "Overview"} | {f"{stage}.html": heading(source) for stage, source in sources.items()}
    there = {"index.html"} | {f"{stage}.html" for stage in ran}
    common = {"pages": pages, "there": there, "code_css": HtmlFormatter(style="friendly").get_style_defs(".highlight")}
    exporter = OfflineExporter(template_file="report_page.html.j2", extra_loaders=[TEMPLATES])
    for stage, notebook in ran.items():
        name = f"{stage}.html"
        html, _ = exporter.from_notebook_node(fold(notebook), common | {"current": name, "title": pages[name]})
        store.write(folder / name, html.encode())
    questions = [(f"{stage}.html", pages[f"{stage}.html"], question(source)) for stage, source in sources.items()]
    html = front(common | {"current": "index.html", "title": TITLE}, questions, tables, figures)
    store.write(folder / "index.html", html.encode())
    return folder / "index.html"


def as_committed(stage: str):
    """Return a notebook as it is committed."""
    return nbformat.read(paths.NOTEBOOKS / f"{stage}.ipynb", 4)


def executed(stage: str, notebooks: Path):
    """Return a notebook as it was run; None if it was not run, or if it is damaged, which is said.

    `stages.APART` is run for all profiles at once, beside them; without such a run it is shown as committed, and says
    so.
    """
    for folder in [notebooks] + [notebooks.parent.parent / "authors/notebooks"] * (stage == stages.APART.name):
        if os.path.lexists(folder / f"{stage}.ipynb"):
            try:
                return checksums.executed(folder / f"{stage}.ipynb", f"notebooks/{stage}.ipynb")
            except store.ArtefactError as error:
                print(f"{error}; until then the report leaves it out", file=sys.stderr)
    if stage != stages.APART.name:
        return None
    notebook = as_committed(stage)
    title, _, text = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n*As committed with the report; `make authors` runs it here.*\n{text}"
    return notebook


def front(resources: dict, notebooks: list[tuple[str, str, str]], tables: Path, figures: Path) -> str:
    """Return the front page as HTML.

    Parameters
    ----------
    resources : "pages", file name to name; "there", which of them exist; "current"; "title"; "code_css".
    notebooks : file name, name and question of each, in reading order.
    tables, figures : the folders to look for them.
    """
    drawn = [(_first(figures, names), caption) for names, caption in FIGURES.items()]
    environment = jinja2.Environment(loader=TEMPLATES, autoescape=True)
    return environment.get_template("report_front.html.j2").render(
        resources=resources,
        notebooks=notebooks,
        run=run(tables),
        findings=findings.kept(tables),
        verdicts=list(verdicts(tables)),
        claims=words(read(CLAIMS)).to_dict("records"),
        figures=[(_embedded(path), caption) for path, caption in drawn if path],
    )


def verdicts(tables: Path):
    """Yield what the judging notebooks found, one dict a row of their tables."""
    for stage in (stage for stage in stages.STAGES if stage.verdict):
        name, asked, answered = stage.verdict
        with contextlib.suppress(store.ArtefactError):  # not there yet, or damaged, which `run` says
            for row in words(read(tables / f"{name}.csv")).to_dict("records"):
                about = row.get("target", "")
                asks = row[asked] if about in row[asked] else f"{row[asked]} ({about})"
                yield {
                    "notebook": stage.number,
                    "page": f"{stage.name}.html",
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


def fold(notebook):
    """Mark the code that a reader of the page need not see: parameters, imports, and cells tagged "plumbing"."""
    begun = False  # until the first text after the title, there are only parameters and imports
    for number, cell in enumerate(notebook.cells):
        begun = begun or (cell.cell_type == "markdown" and number > 0)
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and (not begun or "plumbing" in tags):
            cell.metadata.folded = (
                "parameters"
                if "parameters" in tags
                else "parameters of this run"
                if "injected-parameters" in tags
                else "code"
                if begun
                else "imports and set-up"
            )
    return notebook


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the first figure with one of these names; None if there is none."""
    return next((path for name in names for path in sorted(folder.glob(f"{name}.png"))), None)


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


if __name__ == "__main__":
    try:
        build(sys.argv[1]) if len(sys.argv) > 1 else print(site())
    except (store.ArtefactError, ValueError, OSError) as error:
        sys.exit(str(error))
