"""Names of classes and files on their way through tables, pages and figures: shown as they are, and doing nothing."""

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
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from dcpriv_lib.audit import card
from dcpriv_lib.engine import foreign_text, store
from dcpriv_lib.results import findings, plots, report, tables
from nasty import KNOWN, names

POLICY = {"default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'"}


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
    return report.OfflineExporter().markdown2html(markdown)


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


@settings(deadline=None)
@given(names)
@example("\n".join(KNOWN))
@example("|".join(KNOWN))
def test_a_table_with_any_name_has_the_elements_of_a_table_with_a_harmless_one(name):
    page = html(tables.markdown(frame(name), "what luck gives"))
    assert Structure(page).elements == Structure(html(tables.markdown(frame("mine"), "what luck gives"))).elements
    texts = [collapsed(cell.text) for cell in BeautifulSoup(page, "html.parser").find_all(["th", "td"])]
    shown, rate = foreign_text.plain(name, None), "50.0 % [40.0, 60.0]"
    expected = ["target", f"of {shown}", "AUC", "worst", "original", "1", rate, f"{shown}: {rate}"]
    assert texts == [collapsed(one) for one in [*expected, shown, "2", shown, f"class {shown}"]]


@settings(deadline=None, max_examples=20)
@given(names)
@example("1e5")
@example("NA")
def test_a_kept_table_shows_the_same_names_after_it_was_read(tmp_path_factory, name):
    path, own = tmp_path_factory.mktemp("t") / "t.csv", foreign_text.plain(name)
    tables.keep(path, frame(own), {})
    assert html(tables.markdown(tables.read(path))) == html(tables.markdown(frame(own)))


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


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("a <script>alert(1)</script> b", "a <script>alert(1)</script> b"),
        ("<div onclick=alert(1)>\na\n</div>", "<div onclick=alert(1)>\na\n</div>"),
        ("![p](https://evil.example/p.png)", "p"),
        ("![p](/etc/passwd)", "p"),
        ("<span onclick=alert(1)>a</span>", "<span onclick=alert(1)>a"),
        ("```mermaid\n<img src=x>\n```", "<img src=x>"),
    ],
)
def test_markup_that_is_not_ours_is_text_on_a_page(markdown, text):
    page = BeautifulSoup(html(markdown), "html.parser")
    assert page.text.strip() == text and not page.find(["img", "script", "div"]) and not page.find(onclick=True)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "JaVaScript:x"])
def test_a_link_runs_nothing(address):
    for link in BeautifulSoup(html(f"[c]({address}) <{address}>"), "html.parser").find_all("a"):
        assert not re.match("(?i)(javascript|data|vbscript):", link["href"])
    kept = "../figures/paper/table1.csv"
    assert f'href="{kept}"' in html(f"[c]({kept})") and 'href="https://a.b/"' in html("[c](https://a.b/)")


@pytest.mark.parametrize("body", ["\\frac{", "\\left(", "^", "{", "\\begin{array}"])
def test_an_equation_that_is_none_is_shown_as_it_is_written_and_the_report_goes_on(body):
    page = html(f"Before ${body}$ after.\n\n$${body}$$\n\n$x^2$")
    assert page.count("<math") >= 1 and "Before" in page and "after" in page
    if "<code>" in page:
        assert BeautifulSoup(page, "html.parser").code.text == body
    assert "<code>\\frac{</code>" in html("$\\frac{$") and "<code>&lt;b&gt;\\frac{</code>" in html("$<b>\\frac{$")


def test_our_own_markup_still_passes():
    page = html("*a* **b** `c` <br> $\\varepsilon$ [d](https://a.b/)\n\n> e\n\n| f |\n|---|\n| 1 |")
    for element in ("em", "strong", "code", "br", "math", "a", "blockquote", "table"):
        assert f"<{element}" in page


def policy(page: str) -> set[str]:
    """Return what a page's policy says; it has to stand before anything that it is about."""
    head = BeautifulSoup(page, "html.parser").head
    found = head.find("meta", {"http-equiv": "Content-Security-Policy"})
    assert not found.find_previous(["style", "script", "link", "img"]) and page.count("Content-Security-Policy") == 1
    return {rule.strip() for rule in found["content"].split(";")}


def test_every_page_of_the_report_lets_browsers_run_nothing(tmp_path):
    notebooks, name = tmp_path / "notebooks", "<img src=x onerror=alert(1)>"
    cells = [
        nbformat.v4.new_markdown_cell("# 1. A notebook"),
        nbformat.v4.new_code_cell(
            "shown",
            outputs=[
                nbformat.v4.new_output("display_data", {"text/markdown": tables.markdown(frame(name))}),
                nbformat.v4.new_output("stream", name="stdout", text=name),
                nbformat.v4.new_output("display_data", {"text/html": pd.DataFrame({"a": [name]}).to_html()}),
                nbformat.v4.new_output("error", ename="DataError", evalue=name, traceback=[name]),
            ],
        ),
    ]
    notebooks.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebooks / "01_data_split.ipynb")
    store.write(tmp_path / "tables" / findings.NAME, f"1. {foreign_text.in_markdown(name)}\n".encode())
    tables.keep(tmp_path / "tables/t.csv", frame(name), {"profile": "mine", "dataset": f"/data/{name}\x1b"})
    front = report.write(tmp_path / "report", notebooks, tmp_path / "tables", tmp_path / "figures")
    for page in (front, front.with_name("01_data_split.html")):
        text = page.read_text()
        assert policy(text) == POLICY
        assert "\x1b" not in text and name not in text and text.count("&lt;img src=x") >= 2
        assert not BeautifulSoup(text, "html.parser").find(["script", "img", "iframe", "object", "link"])


def test_the_card_of_an_audit_has_the_same_policy():
    template = Path(card.__file__).with_name("card.html.j2").read_text()
    assert policy(re.sub("{[{%#].*?[}%#]}", "", template, flags=re.S)) == POLICY


# ---------------------------------------------------------------- figures


@pytest.mark.filterwarnings("ignore:Font")
@settings(deadline=None)
@given(names)
@example("\\frac{$ $ \\$ $")
def test_matplotlib_sees_no_formula_in_a_name_and_shows_all_of_it(name):
    text = Text(0, 0, plots.in_figure(name))
    drawn, formula = text._preprocess_math(text.get_text())
    assert drawn.strip() == foreign_text.plain(name).strip() and not formula
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
