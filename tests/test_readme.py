"""The README's tables are those of figures/, row by row."""

import re

import pytest

from dcpriv_lib import paths

README = (paths.REPOSITORY / "README.md").read_text()
TABLES = re.findall(r"<!-- (figures/\S+\.md) -->\n\n((?:\|.*\n)+)", README)


def cells(text: str) -> list[list[str]]:
    """The rows of a markdown table as lists of cells, without the line below the head."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [row for row in rows if not re.fullmatch(r"[:-]+", row[0])]


def test_there_are_tables():
    assert len(TABLES) == README.count("<!-- figures/") >= 2


@pytest.mark.parametrize(("source", "table"), TABLES, ids=[source for source, _ in TABLES])
def test_every_row_is_a_row_of_the_committed_table(source, table):
    shown, made = cells(table), cells((paths.REPOSITORY / source).read_text())
    assert shown[0] == made[0]
    assert [row for row in shown if row not in made] == []
