"""Executed notebooks as Sphinx's sources: folded, with captions, anchors and links, and clean of what others wrote."""

import ast
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import bleach
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pybtex.database import parse_file

from ...engine import paths, store
from ...engine.foreign_text import in_markdown, plain

BIBLIOGRAPHY = Path(__file__).with_name("references.bib")
TABLE = {"tags": {"table", "thead", "tbody", "tr", "th", "td", "p"}, "attributes": {"*": ["rowspan", "colspan"]}}
DIAGRAMS = paths.FIGURES / "diagrams"  # these depend on no data
PNG = "image/png"
PROGRESS = re.compile(r"[^|]*\d+%\|.*\| *\d+/\d+ \[")  # tqdm's bars
IMPORTS = re.compile(r"(from|import) ")
ITALIC = re.compile(r"\*([^*]{4,})\*")
LINK = re.compile(r"\]\((?!https?:|#|page:)([^)\s]+)\)")


def page(
    notebook: NotebookNode, name: str, folder: Path, tables: Path, solutions: set[str], place: str = "data"
) -> NotebookNode:
    """Return a notebook as Sphinx is given it; its pictures are written to ``folder/pictures``.

    Parameters
    ----------
    notebook : as it was executed; a copy is changed.
    name : of its page.
    folder : of Sphinx's sources.
    tables : where the numbers of its tables are, as .csv.
    solutions : the names of the pages with solutions.
    place : where the site has these numbers.
    """
    own = _Page(name, folder, {path.stem for path in tables.glob("*.csv")}, solutions, place)
    cells = [one for cell in fold(notebook).cells for one in own.cells(cell)]
    metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info") if key in notebook.metadata}
    return new_notebook(cells=cells + own.end(), metadata=metadata)


def fold(notebook: NotebookNode) -> NotebookNode:
    """Return a copy in which what a reader need not see is marked: the code of parameters, imports, and "plumbing", and
    of "appendix" the outputs too."""
    notebook = NotebookNode(notebook | {"cells": [NotebookNode(cell) for cell in notebook.cells]})
    begun = False  # until the first text after the title, there are only parameters and imports
    for number, cell in enumerate(notebook.cells):
        begun = begun or (cell.cell_type == "markdown" and number > 0)
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and (not begun or {"plumbing", "appendix"} & {*tags}):
            what = (
                "all tables"
                if "appendix" in tags
                else "parameters"
                if "parameters" in tags
                else "parameters of this run"
                if "injected-parameters" in tags
                else "code"
                if begun
                else "imports"
                if IMPORTS.match(cell.source)
                else "set-up"
            )
            cell.metadata = NotebookNode(folded=what, tags=tags)
    return notebook


class _Page:
    """What is counted and collected on one page."""

    def __init__(self, name: str, folder: Path, tables: set[str], solutions: set[str], place: str = "data"):
        self.name, self.folder, self.tables, self.solutions = name, folder, tables, solutions
        self.number = name[:2].lstrip("0") if name[:2].isdigit() else ""
        self.place = place
        self.figures, self.kept = 0, []  # how many figures; the tables that it keeps

    def cells(self, cell: NotebookNode) -> Iterator[NotebookNode]:
        """Yield the cells that are shown for one."""
        if cell.cell_type == "markdown":
            yield new_markdown_cell(self.linked(cell.source))
        elif cell.cell_type == "code":
            yield from self.code(cell)

    def code(self, cell: NotebookNode) -> Iterator[NotebookNode]:
        """Yield a cell's code with its outputs; each picture becomes a numbered figure, each table gets a link to its
        numbers."""
        names = [name for name in _tables(cell.source) if "/" in name or name in self.tables - {*self.kept}]
        self.kept += names
        metadata = {"anchors": [f"table-{name.replace('/', '-')}" for name in names]}
        if folded := cell.metadata.get("folded"):
            prompts = {f"code_prompt_{verb.lower()}": f"{verb} {folded}" for verb in ("Show", "Hide")}
            whole = "appendix" in cell.metadata["tags"]
            metadata |= {"tags": ["hide-cell" if whole else "hide-input"], "mystnb": prompts}
        source, outputs, caption = cell.source.removeprefix("# NBVAL_CHECK_OUTPUT\n"), [], ""
        for output in _joined(cell.get("outputs", [])):
            picture = output.get("data", {}).get(PNG)
            if picture is None and output.get("data", {}).get("text/markdown") == f"*{caption}*":
                continue  # the picture before it has the same caption here
            if picture is None:
                outputs += [one for one in [_clean(output)] if one.get("text", "x").strip()]
                continue
            yield from _code(source, outputs, metadata)
            source, outputs, metadata = "", [], {}
            told = output.metadata.get(PNG, {})
            caption = told.get("alt", "")
            yield self.figure(picture, told)
        yield from _code(source, outputs, metadata)
        if names:
            yield new_markdown_cell(f"```{{div}} data\nNumbers: {self.data_links(names)}\n```")

    def figure(self, picture: str, told: dict) -> NotebookNode:
        """Return a picture with its number, its caption, and a link to the numbers behind it."""
        self.figures += 1
        number = f"{self.number}.{self.figures}" if self.number else str(self.figures)
        alt, name = plain(told.get("alt", ""), None), plain(told.get("name", ""))
        file = f"pictures/{self.name}_{self.figures}.png"
        store.write(self.folder / file, base64.b64decode(picture))
        numbers = self.data_links([name]) if name in self.tables else "[tables of this page](page:#data-of-this-page)"
        whose = "" if (DIAGRAMS / f"{name}.png").exists() else f" <span></span>Numbers: {numbers}"
        what = json.dumps(alt or f"Figure {number}, which has no description")
        place = re.sub(r"[^A-Za-z0-9-]", "-", name) or f"{self.name}-{self.figures}"
        return new_markdown_cell(
            f"```{{figure}} {file}\n:alt: {what}\n:name: figure-{place}\n\n"
            f"**Figure {number}.** {in_markdown(alt)}{whose}\n```"
        )

    def data_links(self, names: list[str]) -> str:
        places = ["data" if "/" in name else self.place for name in names]  # the first are of other runs
        return ", ".join(f"[{name}.csv](file-of-site:{place}/{name}.csv)" for name, place in zip(names, places))

    def linked(self, text: str) -> str:
        """Return markdown of our own in which what is named is linked: works, solutions, files."""
        if "## References" in text:
            begins, title, works = text.partition("## References")
            text = begins + title + ITALIC.sub(_cited, works)
        if self.name.replace("_", " ")[:2].isdigit() and (mine := f"{self.name[:2]}_solutions") in self.solutions:
            text = text.replace(f"`solutions/{mine}.ipynb`", f"[each worked out]({mine}.ipynb)")
            if "## Exercises" in text:
                begins, title, rest = text.partition("## Exercises")
                link = f"[solution](page:{mine}.html#exercise-\\1)"
                rest = re.sub(r"(?m)^(\d+)\. \((\w+)\)", f"\\1. (\\2, {link})", rest)
                text = begins + title + rest
        return linked_here(text)

    def end(self) -> list[NotebookNode]:
        """Return what stands below a notebook: the numbers of all its tables."""
        if not (self.kept or self.figures):
            return []
        listed = self.data_links(self.kept) if self.kept else "this page keeps no table"
        return [new_markdown_cell(f"## Data of this page\n\nAs fractions, in plain text: {listed}.")]


def linked_here(text: str) -> str:
    """Return markdown that links to pages here instead of notebooks, and to the site's copies of committed tables."""
    return LINK.sub(_target, text)


def _target(found: re.Match) -> str:
    if found[1].endswith(".ipynb"):
        return f"]({Path(found[1]).stem}.ipynb)"
    committed = re.fullmatch(r"(?:\.\./)*figures/([\w-]+/\w+\.csv)", found[1])
    return f"](file-of-site:data/{committed[1]})" if committed else found[0]


def _tables(source: str) -> list[str]:
    """Return the names of the tables that code keeps, and of the committed ones that it shows: "paper/table1"."""
    try:
        calls = [one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.Call)]
    except SyntaxError:  # a line of IPython's
        return []
    found = []
    for call in calls:
        called = getattr(call.func, "attr", getattr(call.func, "id", ""))
        texts = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if called == "table" and texts:
            found.append(texts[0])
        elif called == "committed" and len(texts) == 2:
            found.append("/".join(texts))
    return list(dict.fromkeys(found))


def _code(source: str, outputs: list, metadata: dict) -> Iterator[NotebookNode]:
    if not source.strip():  # myst-nb leaves out cells without code, and their outputs with them
        source, metadata = "...", metadata | {"tags": ["remove-input"]}
    if outputs or source != "...":
        yield new_code_cell(source, outputs=outputs, metadata=metadata)


def _joined(outputs: list) -> Iterator[NotebookNode]:
    """Yield outputs, those to the same stream as one; of a progress bar the last state."""
    last = None
    for output in outputs:
        if last and output.output_type == "stream" == last.output_type and output.name == last.name:
            last = NotebookNode(last | {"text": last.text + output.text})
            continue
        if last:
            yield last
        last = NotebookNode(output)
    if last:
        yield last


def _clean(output: NotebookNode) -> NotebookNode:
    """Return an output without what moves a terminal's cursor, and with no HTML but tables."""
    output = NotebookNode(output)
    if output.output_type == "stream":
        lines = strip_ansi(output.text).split("\n")
        last = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
        output.text = _printable("\n".join(line for line in last if not PROGRESS.match(line)))
    elif output.output_type == "error":
        output.update(ename=plain(output.ename), evalue=plain(output.evalue, None))
        output.traceback = [_printable(strip_ansi(line)) for line in output.traceback]
    elif "data" in output:
        output.data = NotebookNode({kind: output.data[kind] for kind in SHOWN if kind in output.data})
        if HTML in output.data:
            inside = re.sub(r"(?s)<style.*?</style>", "", output.data[HTML])
            table = bleach.clean(inside, **TABLE, strip=True)
            output.data[HTML] = _printable(table.replace("<th></th>", "<td></td>"))  # a corner heads nothing
        for kind in {"text/plain", "text/markdown"} & output.data.keys():
            output.data[kind] = _printable(strip_ansi(output.data[kind]))
    return output


HTML = "text/html"
SHOWN = (HTML, "text/markdown", "text/plain")


def _printable(text: str) -> str:
    return "".join(one for one in text if one.isprintable() or one in "\n\t\N{NO-BREAK SPACE}")


def works() -> dict[str, str]:
    """Return the titles of the bibliography, letters and digits only, to their keys."""
    return {_letters(entry.fields["title"]): key for key, entry in parse_file(BIBLIOGRAPHY).entries.items()}


def _letters(text: str) -> str:
    return re.sub(r"\W", "", text).lower()


def _cited(found: re.Match, known: dict[str, str] = works()) -> str:  # noqa: B008, read once
    title = _letters(found[1])
    key = next((key for own, key in known.items() if own.startswith(title)), None)
    return f"{found[0]} {{cite}}`{key}`" if key else found[0]
