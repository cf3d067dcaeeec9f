"""RESULTS.md is what figures/ holds, and so is every table that the README quotes."""

import re

import pytest

from dcpriv_lib import committed, paths

README = (paths.REPOSITORY / "README.md").read_text()
TABLES = re.findall(r"<!-- (figures/\S+\.md) -->\n\n((?:\|.*\n)+)", README)


def cells(text: str) -> list[list[str]]:
    """The rows of a markdown table as lists of cells, without the line below the head."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [row for row in rows if not re.fullmatch(r"[:-]+", row[0])]


def test_results_are_the_committed_tables():
    assert committed.PAGE.read_text() == committed.page(), "run `make figures`"


def test_results_leave_no_table_and_no_figure_out():
    text = committed.PAGE.read_text()
    for file in paths.FIGURES.glob("*/*.md"):
        assert file.read_text() in text, file
    for file in paths.FIGURES.glob("*/*.png"):
        assert f"({file.relative_to(paths.REPOSITORY)})" in text, file


def test_the_readme_quotes_tables_where_it_says_so():
    assert len(TABLES) == README.count("<!-- figures/")


@pytest.mark.parametrize(("source", "table"), TABLES, ids=[source for source, _ in TABLES])
def test_every_row_is_a_row_of_the_committed_table(source, table):
    shown, made = cells(table), cells((paths.REPOSITORY / source).read_text())
    assert shown[0] == made[0]
    assert [row for row in shown if row not in made] == []
