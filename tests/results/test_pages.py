"""What becomes of a notebook on its page: folded code, numbered figures and equations, links, and sentences."""

import base64
import io

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from dcpriv_lib.engine import checksums
from dcpriv_lib.results import kept, report, tables
from dcpriv_lib.results.pages import claims, extension, sources
from support import described_pictures, rendered, sentences_of_figures

NOTEBOOKS = [
    path
    for folder in (report.paths.NOTEBOOKS, report.paths.NOTEBOOKS / "solutions")
    for path in sorted(folder.glob("*.ipynb"))
]
ALT = 'Two "curves" of <b>: one $rises$, one_falls_.'


def picture(metadata):
    content = io.BytesIO()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(content, "png")
    return new_output("display_data", {"image/png": base64.b64encode(content.getvalue()).decode()}, metadata=metadata)


CELLS = [
    new_markdown_cell("# 6. A notebook\n\n**Question.** Why?"),
    new_code_cell("seed = 0", metadata={"tags": ["parameters"]}),
    new_markdown_cell("## Curves\n\n$$a = b$$\n\nand\n\n$$c = d$$\n\nSee [those](../figures/paper/table1.csv)."),
    new_code_cell(
        '# NBVAL_CHECK_OUTPUT\nstudy.figure(figure, "curves", alt)',
        outputs=[
            new_output("stream", name="stdout", text="before\n"),
            picture({"image/png": {"alt": ALT, "name": "curves"}}),
            new_output("display_data", {"text/markdown": f"*{ALT}*"}),
            new_output("display_data", {"text/markdown": "*And so it goes.*"}),
            new_output("stream", name="stdout", text="after"),
            picture({}),
        ],
    ),
    new_code_cell(
        'study.table(frame, "curves")',
        outputs=[
            new_output("stream", name="stderr", text="10%|# | 1/9 [0:01]\rsets: 100%|##| 9/9 [0:09]\nbeware"),
            new_output("display_data", {"text/html": "<style>x</style>" + pd.DataFrame({"a": [1]}).to_html()}),
        ],
    ),
    new_markdown_cell(
        "## Exercises\n\n1. (easy) Do.\n2. (hard) Do more.\n\nSolutions: `solutions/06_solutions.ipynb`.\n\n"
        "## References\n\n- R. Shokri, *Membership inference attacks against machine\n  learning models*, 2017.\n"
        "- *Another work of ours*."
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    tables.keep(folder / "tables/curves.csv", pd.DataFrame({"a": [1]}), {})
    options = {"html_theme_options__repository_url": "https://github.com/o/r", "dcpriv_self_contained": ["06_page"]}
    options |= {"html_theme_options__launch_buttons": report.LAUNCH, "dcpriv_notebooks": ["06_page"]}
    page, warnings = rendered(CELLS, folder, **options)
    return page, warnings, folder


def test_a_figure_says_what_is_seen_to_those_who_do_not_see_it_and_below_it(built):
    first, second = built[0].article.find_all("figure")
    assert first.img["alt"] == ALT and "Figure 6.2" in second.img["alt"]
    caption = first.figcaption.text.strip()
    assert caption.startswith(f"Figure 6.1. {ALT}") and not first.figcaption.find(["b", "math"])
    assert (
        first.figcaption.find("a", string="curves.csv")["href"] == "data/curves.csv" and first["id"] == "figure-curves"
    )
    assert (built[2] / "built" / first.img["src"]).is_file()


def test_what_a_notebook_writes_below_its_picture_is_not_there_twice(built):
    text = built[0].article.text
    assert text.count("_falls_") == 1 and text.count("And so it goes.") == 1


def test_what_a_cell_prints_before_and_after_its_picture_stays_there(built):
    text = built[0].article.text
    assert text.index("before") < text.index("Figure 6.1") < text.index("after") < text.index("Figure 6.2")
    assert "NBVAL" not in text and "0%|#" not in text and "beware" in text


def test_equations_are_numbered_and_can_be_linked_to(built):
    numbers = built[0].article.select("div.equation")
    assert [one.find("a").text for one in numbers] == ["(6.1)", "(6.2)"] and numbers[1]["id"] == "equation-6-2"


def test_a_table_has_a_place_to_link_to_and_its_numbers(built):
    assert built[0].find(id="table-curves").find("table").find("td").text.strip() == ""  # a corner, no empty heading
    assert [one["href"] for one in built[0].select("div.data a")] == ["data/curves.csv"]
    assert built[0].find("section", id="data-of-this-page").find("p").find("a")["href"] == "data/curves.csv"
    assert built[0].article.find("a", string="those")["href"] == "data/paper/table1.csv"


def test_folded_code_is_there_and_named(built):
    folds = built[0].article.find_all("summary")
    assert ["parameters" in one.text for one in folds] == [True] and "aria-label" not in folds[0].attrs


def test_of_an_appendix_the_outputs_are_folded_too():
    told = [new_output("stream", text="a table")]
    cells = [new_code_cell("show()", outputs=told, metadata={"tags": [tag]}) for tag in ("plumbing", "appendix")]
    code = sources.fold(new_notebook(cells=[new_markdown_cell("#"), *cells])).cells[1:]
    page = sources._Page("06_page", None, set(), set())
    assert [one.metadata["tags"] for cell in code for one in page.cells(cell)] == [["hide-input"], ["hide-cell"]]


def test_a_work_is_linked_to_the_bibliography_and_one_that_is_not_there_is_left(built):
    assert len(built[0].find("section", id="references").find_all("a", class_="internal")) <= 1
    assert "shokri2017" in sources._cited(sources.ITALIC.match("*Membership inference attacks against*"))
    other = sources.ITALIC.match("*Another work of ours*")
    assert sources._cited(other) == "*Another work of ours*"


def test_a_page_offers_its_notebook_and_to_launch_it_where_that_is_possible(built):
    page = built[0]
    assert page.find("a", href="notebooks/06_page.ipynb")
    assert page.find("a", href=lambda one: one and one.startswith("https://colab.research.google.com/github/o/r"))
    buttons = [{"label": "launch-buttons"}, {"label": "x"}]

    class App:
        class config:
            dcpriv_notebooks, dcpriv_self_contained = ["07_other"], ["06_page"]

    context = {"header_buttons": buttons}
    extension._buttons(App, "07_other", "", context, None)
    assert [one["label"] for one in context["header_buttons"]] == ["download-notebook", "x"]


def test_exercises_are_linked_to_their_solutions():
    page = sources._Page("06_page", None, set(), {"06_solutions"})
    text = page.linked(CELLS[-1].source)
    assert "1. (easy, [solution](page:06_solutions.html#exercise-1)) Do." in text
    assert "[each worked out](06_solutions.ipynb)" in text
    assert "solution" not in sources._Page("06_page", None, set(), set()).linked("## Exercises\n\n1. (easy) Do.")


def test_every_work_has_a_way_to_it_and_every_notebook_finds_its_works():
    entries = sources.parse_file(sources.BIBLIOGRAPHY).entries
    without = {key for key, entry in entries.items() if not {"doi", "eprint", "url"} & set(entry.fields)}
    assert not without
    missing = set()
    for stage in report.stages.PAGES:
        text = report.as_committed(stage.name).cells[-1].source.partition("## References")[2]
        missing |= {one[1] for one in sources.ITALIC.finditer(text) if "{cite}" not in sources._cited(one)}
    assert not missing


# ---------------------------------------------------------------- the sentence under a figure


@pytest.mark.parametrize("alt", ["", "  \n", None, 3])
def test_a_figure_without_a_sentence_is_refused_and_not_kept(alt, tmp_path):
    figure = report.sources  # anything: it must not be drawn
    with pytest.raises(ValueError, match=r"figure\(figure, 'roc', alt\).*write what is seen in the figure"):
        kept.Results(tmp_path, {}, {}, {}).figure(figure, "roc", alt)
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="alt"):
        kept.Results(tmp_path, {}, {}, {}).figure(figure, "roc")


def test_a_kept_figure_is_shown_once_with_its_sentence_and_as_jupyter_shows_others(tmp_path, monkeypatch):
    monkeypatch.delenv(checksums.LIST, raising=False)
    draw = "figure, ax = plt.subplots(figsize=(2, 1)); ax.plot([1, 2])\n"
    imports = (
        "from pathlib import Path\nimport matplotlib.pyplot as plt\nfrom dcpriv_lib.results import kept, plots\n"
        f"results = kept.Results(Path({str(tmp_path)!r}), {{}}, {{}}, {{}})"
    )
    cells = [imports, f"{draw}results.figure(figure, 'line', 'A line\\nrises.')\nprint('end')", draw + "None"]
    notebook = nbformat.v4.new_notebook(cells=[new_code_cell(one) for one in cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    ours, plain = ([one for one in cell.outputs if "data" in one] for cell in notebook.cells[1:])
    assert len(ours) == len(plain) == 1
    assert ours[0].metadata["image/png"] == {"alt": "A line\\nrises.", "name": "line"}
    assert ours[0].data["image/png"] == plain[0].data["image/png"]
    assert (tmp_path / "figures/line.png").is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_committed_picture_has_the_sentence_of_its_code(path):
    """One that is computed is not known here, but it is there."""
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            said, shown = sentences_of_figures(cell), described_pictures(cell)
            assert all(shown) and bool(shown) >= bool(said), f"{path.name}: run it again: {cell.source[-99:]}"
            assert {text for text in said if text} <= set(shown), (said, shown)


# ---------------------------------------------------------------- the front page


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda one: one.claim)
def test_what_a_card_says_follows_from_its_numbers(claim):
    assert claim.holds() and claim.state in claims.MEANING
    card = report._card(claim, {claim.page: None})
    assert "{" not in card["found"] + card["detectable"]
    assert bool(card["detectable"]) == (claim.state == claims.INCONCLUSIVE)
    assert all((report.paths.FIGURES / f"{table}.csv").is_file() for table in card["tables"])


def test_a_card_whose_table_says_otherwise_is_in_doubt(monkeypatch):
    claim = claims.CLAIMS[0]
    monkeypatch.setattr(claims.Number, "interval", lambda _: (0.4, 0.6))
    assert not claim.holds() and report._card(claim, {})["state"].startswith("in doubt")


def test_a_number_that_is_in_no_row_is_no_number():
    with pytest.raises(ValueError, match="has 0 rows"):
        claims.number("authors/authors_models", "AUC", target="original", attack="none").cell()


def test_a_page_that_is_there_no_more_is_removed_and_the_front_page_written_last(tmp_path, monkeypatch):
    folder, old, new, written = tmp_path / "report", tmp_path / "old", tmp_path / "new", []
    for path in ("a.html", "old/b.html", "index.html"):
        report.store.write(old / path, b"old")
    for path in ("a.html", "index.html", "z.html"):
        report.store.write(new / path, b"new")
    report._replace(folder, old)
    report.store.write(folder / "slides.html", b"somebody's own")
    write = report.store.write
    monkeypatch.setattr(report.store, "write", lambda path, content: (written.append(path.name), write(path, content)))
    report._replace(folder, new)
    assert written == ["a.html", "z.html", "index.html", report.BUILT]
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"a.html", "z.html", "index.html", report.BUILT, "slides.html"}


def test_screen_readers_hear_what_a_fold_holds_and_where_they_are(built):
    page = (
        '<summary aria-label="Toggle hidden content">a</summary><summary><span class="toctree-toggle"></span></summary>'
    )
    first, second = BeautifulSoup(extension.readable(page), "html.parser").find_all("summary")
    assert "aria-label" not in first.attrs and second["aria-label"]
    assert built[0].find(role="navigation", attrs={"aria-label": "Site"}).find("a", class_="logo")
    about = built[0].find("meta", attrs={"name": "description"})["content"]
    assert about.startswith("6. A notebook (dcpriv: does dataset")
