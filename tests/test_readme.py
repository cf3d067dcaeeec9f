"""RESULTS.md is what figures/ holds, and so is every number with an interval that the README quotes."""

import re

import pytest

from dcpriv_lib.engine import paths
from dcpriv_lib.results import committed

README = (paths.REPOSITORY / "README.md").read_text()
BRACKETED = re.compile(r"[\d.]+ (?:%|points) \[[-\d., ]+\]")
QUOTED = BRACKETED.findall(" ".join(README.split()))
CLAIMS = README[README.index("| claim |") : README.index("## The notebooks")].splitlines()[2:-1]
LINKS = sorted(set(re.findall(r"\]\(([^)#:]+)\)", README)))


def test_results_are_the_committed_tables():
    assert committed.PAGE.read_text() == committed.page(), "run `make figures`"


def test_results_leave_no_table_and_no_figure_out():
    text = committed.PAGE.read_text()
    for file in paths.FIGURES.glob("*/*.md"):
        assert file.read_text() in text, file
    for file in paths.FIGURES.glob("*/*.png"):
        assert f"({file.relative_to(paths.REPOSITORY)})" in text, file


@pytest.mark.parametrize("number", QUOTED)
def test_every_number_with_an_interval_is_in_a_committed_table(number):
    committed_texts = [*paths.FIGURES.glob("*/*.md"), *paths.NOTEBOOKS.glob("solutions/*.ipynb")]
    assert any(number in file.read_text() for file in committed_texts), number


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_numbers_of_a_claim_are_in_the_tables_that_it_names(claim):
    """Those with an interval; a claim that rests on a notebook or a proof names that."""
    where = [paths.REPOSITORY / link for link in re.findall(r"\]\(([^)]+)\)", claim)]
    sources = "".join(file.read_text() for file in where)
    assert where and all(number in sources for number in BRACKETED.findall(claim)), claim


@pytest.mark.parametrize("link", LINKS)
def test_every_link_leads_somewhere(link):
    assert (paths.REPOSITORY / link).exists()
