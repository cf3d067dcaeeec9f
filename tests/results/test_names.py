"""Names of classes and files on their way through tables, pages and figures: shown as they are, and doing nothing."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import example, given, settings, strategies as st
from markdown_it import MarkdownIt
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from dcpriv_lib.audit import card
from dcpriv_lib.engine import foreign_text, store
from dcpriv_lib.results import findings, plots, report, tables
from dcpriv_lib.results.pages import extension
from nasty import KNOWN, names
from support import rendered

CARD = {"default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'"}
PAGES = {
    "default-src 'none'",
    "img-src 'self' file: data:",
    "style-src 'self' file: 'unsafe-inline'",
    "font-src 'self' file:",
    "base-uri 'none'",
    "form-action 'self' file:",
}


class Structure(HTMLParser):
    """The elements of a page with their attributes, without the spans that have none."""

    def __init__(self, page: str):
        super().__init__()
        self.elements = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        if (tag, attributes) != ("span", []):
            self.elements.append((tag, tuple(attributes)))


def html(markdown: str) -> str:
    """Return markdown as Jupyter shows it: HTML passes."""
    return MarkdownIt("commonmark").enable("table").render(markdown)


def frame(name: str) -> pd.DataFrame:
    """A table that has a name in a header, as a text, in a sentence with numbers, and where there is no number."""
    return pd.DataFrame(
        {
            "target": ["original", name],
            f"of {name}": [1, 2],
            "AUC": [tables.percent(0.5, 0.4, 0.6), name],
            "worst": [tables.sentence("{}: {}", name, tables.percent(0.5, 0.4, 0.6)), f"class {name}"],
        }
    )


def collapsed(text: str) -> str:
    return " ".join(text.split())


def outputs(markdowns) -> list:
    """Return a notebook's cells, each with one output in markdown."""
    shown = [nbformat.v4.new_output("display_data", {"text/markdown": one}) for one in markdowns]
    return [nbformat.v4.new_markdown_cell("# A notebook"), *(nbformat.v4.new_code_cell("", outputs=[o]) for o in shown)]


@settings(deadline=None, max_examples=2)
@given(st.lists(names, min_size=20, max_size=60))
@example([*KNOWN, "a\u00a0b"])
@example(["\n".join(KNOWN), "|".join(KNOWN)])
def test_a_table_with_any_name_has_the_elements_of_a_table_with_a_harmless_one(tmp_path_factory, given_names):
    written = [tables.markdown(frame(name), "what luck gives") for name in ["mine", *given_names]]
    page, _ = rendered(outputs(written), tmp_path_factory.mktemp("pages"))
    harmless, *shown = page.find_all("div", class_="cell_output")
    assert len(shown) == len(given_names)
    for name, cell in zip(given_names, shown):
        assert Structure(str(cell)).elements == Structure(str(harmless)).elements, name
        texts = [collapsed(one.text) for one in cell.find_all(["th", "td"])]
        own, rate = foreign_text.plain(name, None), "50.0 % [40.0, 60.0]"
        expected = ["target", f"of {own}", "AUC", "worst", "original", "1", rate, f"{own}: {rate}"]
        assert texts == [collapsed(one) for one in [*expected, own, "2", own, f"class {own}"]]


@settings(deadline=None, max_examples=20)
@given(names)
@example("1e5")
@example("NA")
def test_a_kept_table_shows_the_same_names_after_it_was_read(tmp_path_factory, name):
    path, own = tmp_path_factory.mktemp("t") / "t.csv", foreign_text.plain(name)
    tables.keep(path, frame(own), {})
    assert tables.markdown(tables.read(path)) == tables.markdown(frame(own))


@settings(deadline=None)
@given(names)
def test_markdown_in_jupyter_has_no_formula_for_mathjax(name):
    """MathJax reads the texts of a rendered page, one element at a time: each may hold one delimiter at most."""
    for text in BeautifulSoup(html(foreign_text.in_markdown(name)), "html.parser").find_all(string=True):
        assert text in ("$", "\\") or not set(text) & set("$\\")
    raw = re.sub("&#[0-9]+;", "", foreign_text.in_markdown(name))
    assert not set(raw.replace("<span>", "").replace("</span>", "")) & set("$\\<>|`*")


def test_tables_of_pandas_start_no_mathjax():
    assert "mathjax_ignore" in pd.DataFrame({"a": ["$5$"]}).to_html()


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=3))
def test_a_finding_about_any_name_is_kept_and_read_as_it_was(tmp_path_factory, given_names):
    folder = tmp_path_factory.mktemp("run")
    sentences = [f"Of ten, five were members of {foreign_text.plain(name)}." for name in given_names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "sentences", lambda _: sentences)
        findings.keep(folder)
    assert findings.kept(folder / "tables") == sentences
    kept = html((folder / "tables" / findings.NAME).read_text())
    assert {tag for tag, _ in Structure(kept).elements} == {"ol", "li"}


# ---------------------------------------------------------------- pages


MARKUP = {
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    "a <script>alert(1)</script> b": "a <script>alert(1)</script> b",
    "<div onclick=alert(1)>\na\n</div>": "<div onclick=alert(1)> a </div>",
    "![p](https://evil.example/p.png)": "p",
    "![p](/etc/passwd)": "p",
    "![p](../../../../etc/passwd)": "p",
    "<span onclick=alert(1)>a</span>": "<span onclick=alert(1)>a",
    "```mermaid\n<img src=x>\n```": "<img src=x>",
    "```{raw} html\n<img src=x>\n```": "<img src=x>",
    "[c](/etc/passwd)": "c",
}
ADDRESSES = ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "JaVaScript:x"]
NO_EQUATIONS = ["\\frac{", "\\left(", "^", "{", "\\begin{array}"]
OURS = "*a* **b** `c` <br> $\\varepsilon$ [d](https://a.b/)\n\n> e\n\n| f |\n|---|\n| 1 |"


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """Return the section of a page that some markdown became; all are in one notebook, as cells and as outputs."""
    texts = [*MARKUP, *(f"[c]({one}) <{one}>" for one in ADDRESSES), "[c](../figures/paper/table1.csv)"]
    texts += [f"Before ${body}$ after.\n\n$${body}$$\n\n$x^2$" for body in NO_EQUATIONS] + [OURS]
    cells = [nbformat.v4.new_markdown_cell(f"## {number}\n\n{text}") for number, text in enumerate(texts)]
    page, _ = rendered([nbformat.v4.new_markdown_cell("# A notebook"), *cells], tmp_path_factory.mktemp("sections"))
    heads = {one.text.rstrip("#"): one.parent for one in page.article.find_all("h2")}
    found = {text: heads[str(number)] for number, text in enumerate(texts)}
    for section in found.values():
        section.find("h2").decompose()
    return found


@pytest.mark.parametrize("markdown", MARKUP)
def test_markup_that_is_not_ours_is_text_on_a_page(markdown, sections):
    section = sections[markdown]
    assert collapsed(section.text) == MARKUP[markdown]
    assert not section.find(["img", "script"]) and not section.find(onclick=True)
    assert not [one for one in section.find_all("a", href=True) if not one["href"].startswith("#")]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_link_runs_nothing(address, sections):
    for link in sections[f"[c]({address}) <{address}>"].find_all("a", href=True):
        assert not re.match("(?i)(javascript|data|vbscript):", link["href"])
    assert sections["[c](../figures/paper/table1.csv)"].find("a")["href"] == "data/paper/table1.csv"


@pytest.mark.parametrize("body", NO_EQUATIONS)
def test_an_equation_that_is_none_is_shown_as_it_is_written_and_the_report_goes_on(body, sections):
    section = sections[f"Before ${body}$ after.\n\n$${body}$$\n\n$x^2$"]
    assert section.find("math") and "Before" in section.text and "after" in section.text
    if code := section.find("code"):
        assert code.text == body
    assert extension.equation("\\frac{") == "<code>\\frac{</code>"
    assert extension.equation("<b>\\frac{") == "<code>&lt;b&gt;\\frac{</code>"


def test_our_own_markup_still_passes(sections):
    for element in ("em", "strong", "code", "br", "math", "a", "blockquote", "table"):
        assert sections[OURS].find(element), element


def policy(page: str) -> set[str]:
    """Return what a page's policy says; it has to stand before anything that it is about."""
    head = BeautifulSoup(page, "html.parser").head
    found = head.find("meta", {"http-equiv": "Content-Security-Policy"})
    assert not found.find_previous(["style", "script", "link", "img"]) and page.count("Content-Security-Policy") == 1
    return {rule.strip() for rule in found["content"].split(";")}


def test_every_page_of_the_report_lets_browsers_run_nothing_but_its_theme(tmp_path):
    notebooks, name = tmp_path / "notebooks", "<img src=x onerror=alert(1)>"
    cells = [
        nbformat.v4.new_markdown_cell("# 1. A notebook"),
        nbformat.v4.new_code_cell(
            "shown",
            outputs=[
                nbformat.v4.new_output("display_data", {"text/markdown": tables.markdown(frame(name))}),
                nbformat.v4.new_output("stream", name="stdout", text=f"{name}\x1b[2J\x07"),
                nbformat.v4.new_output("display_data", {"text/html": pd.DataFrame({"a": [name]}).to_html()}),
                nbformat.v4.new_output("display_data", {"text/html": "<script>alert(1)</script><b onclick=x>c</b>"}),
                nbformat.v4.new_output("display_data", {"application/javascript": "alert(1)", "text/plain": "d"}),
                nbformat.v4.new_output("error", ename="DataError", evalue=name, traceback=[f"{name}\x1b[31m"]),
            ],
        ),
    ]
    notebooks.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebooks / "01_data_split.ipynb")
    store.write(tmp_path / "tables" / findings.NAME, f"1. {foreign_text.in_markdown(name)}\n".encode())
    tables.keep(tmp_path / "tables/t.csv", frame(name), {"profile": "mine", "dataset": f"/data/{name}\x1b"})
    front = report.write(tmp_path / "report", notebooks, tmp_path / "tables", tmp_path / "figures", run=True)
    pages = sorted(front.parent.glob("*.html"))
    assert {"index.html", "01_data_split.html", "01_solutions.html", "verdicts.html", "search.html"} <= {
        page.name for page in pages
    }
    for page in pages:
        text = page.read_text()
        said = policy(text)
        assert said - PAGES == {one for one in said if one.startswith("script-src 'self' file: 'sha256-")}, page.name
        assert PAGES <= said and "\x1b" not in text and "\x07" not in text and name not in text
        soup = BeautifulSoup(text, "html.parser")
        allowed = next(one for one in said if one.startswith("script-src"))
        for script in soup.find_all("script"):
            if not script.get("src"):
                digest = base64.b64encode(hashlib.sha256(script.string.encode()).digest()).decode()
                assert digest in allowed and extension.THEME.fullmatch(script.string), page.name
            else:
                assert re.match(r"_static/|searchindex\.js", script["src"]), page.name
        assert not soup.find(["iframe", "object", "embed", "base"])
        assert not [one for one in soup.find_all(True) if any(key.startswith("on") for key in one.attrs)], page.name
    for page, least in (("index.html", 1), ("01_data_split.html", 4)):
        assert front.with_name(page).read_text().count("&lt;img src=x") >= least
    assert not BeautifulSoup(front.with_name("01_data_split.html").read_text(), "html.parser").article.find("script")


def test_a_script_that_is_not_the_themes_gets_no_leave_to_run():
    page = (
        "<html><head></head><body><script>alert(1)</script><script>let searchInput = 1; alert(1)</script></body></html>"
    )
    assert "sha256" not in extension.with_policy(page) and "script-src 'self' file:;" in extension.with_policy(page)
    known = page.replace("alert(1)", "DOCUMENTATION_OPTIONS.pagename = 'a';", 1)
    assert extension.with_policy(known).count("'sha256-") == 1


def test_the_card_of_an_audit_has_the_same_policy():
    template = Path(card.__file__).with_name("card.html.j2").read_text()
    assert policy(re.sub("{[{%#].*?[}%#]}", "", template, flags=re.S)) == CARD


# ---------------------------------------------------------------- figures


@pytest.mark.filterwarnings("ignore:Font")
@settings(deadline=None)
@given(names)
@example("\\frac{$ $ \\$ $")
@example("$ $" * 20)
@example(" " * 50)
def test_matplotlib_sees_no_formula_in_a_name_and_shows_all_of_it(name):
    lines = [Text()._preprocess_math(line) for line in plots.in_figure(name).split("\n")]
    drawn, shown = "".join(line for line, _ in lines), foreign_text.plain(name, foreign_text.LONGEST_IN_FIGURE)
    assert not any(formula for _, formula in lines), "matplotlib draws each line by itself"
    assert "".join(drawn.split()) == "".join(shown.split())
    most = foreign_text.LINE_IN_FIGURE if len(lines) == 1 else foreign_text.BROKEN
    assert all(len(line.strip()) <= most for line, _ in lines)
    beside = f"{plots.in_figure(name)}: $p_y$"
    assert Text(0, 0, beside)._preprocess_math(beside) == (beside, True), "our own formula beside it is one"
    MathTextParser("path").parse(beside)


@settings(deadline=None)
@given(names)
@example("\U00020000")
def test_a_sign_is_a_formula_of_letters_and_digits(name):
    assert re.fullmatch(r"\$(\?|[^\W_]|-){1,2}\$", plots.sign(name))
    MathTextParser("path").parse(plots.sign(name))
    assert plots.sign("cat") == "$ca$" and plots.sign("0") == "$0$"


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_a_figure_draws_any_name():
    figure, ax = plt.subplots(figsize=(9, 9))
    odd = ["$5$ note $x_$", "$\\frac{$", "_hidden", "a\nb\x1b", "\\(a\\)"]
    numbers = np.arange(1.0, len(odd) + 1)
    plots.intervals(ax, numbers, numbers - 0.5, numbers + 1, odd, "C0")
    plots.name_rows(ax, odd)
    plots.name_points(ax, [(1.0, 0.0)] * len(odd), odd, ["C0"] * len(odd))
    for name in odd:
        ax.plot([0], [0], marker=plots.sign(name), label=plots.in_figure(name))
    assert len(ax.legend().get_texts()) == len(odd), "a name that begins with _ has its legend too"
    figure.draw_without_rendering()
    plt.close(figure)


@pytest.mark.parametrize("draw", [plots.roc, plots.above_chance, plots.roc_log])
def test_the_legend_of_a_curve_shows_any_name(draw):
    figure, ax = plt.subplots()
    draw(ax, np.arange(40.0), np.arange(40) % 2 == 0, "_$5$ note $x_$")
    (label,) = ax.get_legend_handles_labels()[1]
    assert label == " _\\$5\\$ note \\$x_\\$"
    plt.close(figure)


def test_a_long_name_leaves_room_for_the_curves():
    """As in notebook 4, whose rows are targets, files of others among them, with what is doubted of them."""
    width = {}
    for name in ("condensed-50", f"{'condensed_set_of_the_hospital' * 5}.npz (rows in another order?)", "a" * 255):
        figure, ax = plt.subplots(figsize=(7, 3.4))
        plots.intervals(ax, [1.0, 2.0], [0.5, 1.0], [2.0, 3.0], ["original", name], "C0", label="SVM per class")
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
        figure.draw_without_rendering()
        width[name] = ax.get_position().width
        plt.close(figure)
        figure, axes = plots.panels(2, 4)  # as in notebook 10, whose rows are classes
        for one in axes:
            plots.intervals(one, [1.0, 2.0], [0.5, 1.0], [2.0, 3.0], ["NA", name], "C0")
        figure.draw_without_rendering()
        assert axes[0].get_position().width > 0.25, name
        plt.close(figure)
    usual, *long = width.values()
    assert usual > 0.55 and min(long) > 0.75 * usual, width


@pytest.mark.parametrize("name", ["mean embedding, a tenth of the noise", "condensed from real on ConvNet"])
def test_the_names_of_this_report_stand_in_one_line(name):
    assert plots.in_figure(name) == name
