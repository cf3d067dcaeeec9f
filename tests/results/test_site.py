"""The pages of the committed notebooks, all of them: they load from nowhere else, lead nowhere else, and are whole."""

import posixpath
import re
import urllib.parse

import pytest
from bs4 import BeautifulSoup

from dcpriv_lib import stages
from dcpriv_lib.engine import paths
from dcpriv_lib.results import report
from support import described_pictures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the built site, its pages by name, and what Sphinx warned of."""
    place, committed = tmp_path_factory.mktemp("site"), paths.FIGURES / "quick"
    options = report.prepare(place / "source", paths.NOTEBOOKS, committed, committed)
    warnings = report.sphinx(place / "source", place / "built", options)
    pages = {
        str(path.relative_to(place / "built")): BeautifulSoup(path.read_text(), "html.parser")
        for path in (place / "built").rglob("*.html")
    }
    return place / "built", pages, warnings


def test_sphinx_has_nothing_to_say(site):
    assert site[2] == ""


def test_every_link_inside_leads_to_a_place_that_is_there(site):
    folder, pages, _ = site
    ids = {name: {one["id"] for one in page.find_all(id=True)} for name, page in pages.items()}
    broken, found = set(), 0
    for name, page in pages.items():
        for link in page.find_all("a", href=True):
            file, _, place = urllib.parse.unquote(link["href"]).partition("#")
            if re.match(r"https?:", link["href"]):
                continue
            found += 1
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), file)) if file else name
            if not (folder / target).is_file() or (place and target in ids and place not in ids[target]):
                broken.add((name, link["href"]))
    assert not broken and found > 1000


def test_nothing_is_loaded_from_elsewhere_and_no_page_is_heavy(site):
    folder, pages, _ = site
    for name, page in pages.items():
        if name.endswith("webpack-macros.html"):  # templates that the themes leave there
            continue
        for one in page.find_all(["script", "link", "img", "iframe", "source"]):
            source = one.get("src") or one.get("href")
            assert source in (None, "#") or (folder / name).parent.joinpath(source.partition("?")[0]).is_file(), (
                name,
                source,
            )
        assert (folder / name).stat().st_size < 1e6, name
    for style in folder.rglob("*.css"):
        assert not re.search(r"@import\s+[\"']?http|url\([\"']?(?:https?:)?//", style.read_text()), style.name


def test_every_picture_has_an_alternative_text_and_a_described_one_its_sentence(site):
    for stage in stages.PAGES:
        shown = {one.get("alt", "").strip() for one in site[1][f"{stage.name}.html"].article.find_all("img")}
        told = {alt for cell in report.as_committed(stage.name).cells for alt in described_pictures(cell)}
        assert all(shown) and told <= shown and not any("no description" in alt for alt in shown)


def test_a_reader_finds_the_way(site):
    _, pages, _ = site
    for stage in (*stages.STAGES, stages.APART):
        page = pages[f"{stage.name}.html"]
        captions = [one.text.strip() for one in page.select("nav.bd-links p.caption, nav.bd-docs-nav p.caption")]
        assert captions[-4:] == ["I. The experiment", "II. The doubt", "III. Further", "To look up"]
        assert page.find("nav", class_="page-toc") and page.find(class_="prev-next-area").find_all("a")
        assert "MIT licence" in page.find(class_="bd-footer-content").text
        assert page.find("a", href=f"notebooks/{stage.name}.ipynb")
        assert page.find("a", href=f"{stage.name[:2]}_solutions.html#exercise-1")
    assert not pages["06_stronger_attacks.html"].find("a", href=re.compile("colab|mybinder"))
    works = pages["bibliography.html"].article.find_all("a", href=re.compile(r"https://(doi\.org|arxiv\.org)"))
    assert len(works) > 40


def test_no_equation_or_markup_is_left_as_it_was_written(site):
    for name, page in site[1].items():
        if name.startswith("bell_curves"):
            continue  # no page of Sphinx's
        article = BeautifulSoup(str(page.article), "html.parser")
        for one in article.find_all(["pre", "code"]):
            one.decompose()
        assert not re.search(r"\$\$|\\frac|\{cite\}|\{download\}|<br|\]\(", article.text), name


def test_the_search_knows_the_words_of_the_pages(site):
    index = (site[0] / "searchindex.js").read_text()
    assert index.startswith("Search.setIndex(") and "canari" in index and "06_stronger_attacks" in index
