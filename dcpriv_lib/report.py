"""The HTML report: every executed notebook as a page that reads without a network."""

import json
import sys
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from . import artefacts, paths, profiles


class _MathMLRenderer(IPythonRenderer):
    """Turns LaTeX into MathML, which browsers draw themselves; nbconvert would load MathJax."""

    def inline_math(self, body: str) -> str:
        return convert(body)

    def block_math(self, body: str) -> str:
        return convert(body, display="block")


class OfflineExporter(HTMLExporter):
    """nbconvert's HTML exporter with MathML for equations and no address to load anything from."""

    raw_template = Path(__file__).with_name("report.html.j2").read_text()
    embed_images = True
    preprocessors = ["nbconvert.preprocessors.CoalesceStreamsPreprocessor"]  # progress bars: last state only

    def markdown2html(self, source: str) -> str:
        """Return the HTML of one markdown cell."""
        return MarkdownWithMath(renderer=_MathMLRenderer(escape=False)).render(source)

    def default_filters(self):
        """Yield nbconvert's filters, with ours for markdown."""
        yield from super().default_filters()
        yield "markdown2html", self.markdown2html


def page(notebook, current: str, pages: dict[str, str]) -> str:
    """Return one executed notebook as HTML.

    Parameters
    ----------
    notebook : path of the executed notebook.
    current : its key in `pages`.
    pages : file name to title of every page, for the navigation bar.
    """
    content = nbformat.read(notebook, as_version=4)
    content.metadata.title = pages[current]
    html, _ = OfflineExporter().from_notebook_node(
        content, {"pages": pages, "current": current, "metadata": {"name": pages[current]}})
    return html


def title(notebook) -> str:
    """Return the heading of a notebook: its first markdown line without the hashes."""
    return json.loads(Path(notebook).read_text())["cells"][0]["source"][0].strip("# \n")


def build(profile: str) -> Path:
    """Write ``results/<profile>/report/`` and return its first page, the results."""
    folder = paths.results(profile)
    sources = {f"{stage}.html": folder / "notebooks" / f"{stage}.ipynb" for stage in profiles.STAGES}
    sources["index.html"] = sources.pop("05_results.html")
    pages = {name: title(notebook) for name, notebook in sources.items()}
    for name, notebook in sources.items():
        artefacts.write(folder / "report" / name, page(notebook, name, pages).encode())
    return folder / "report" / "index.html"


if __name__ == "__main__":
    build(sys.argv[1])
