"""RESULTS.md is what figures/ holds, and so is every number with an interval that the README quotes."""

import re

import pytest

from dcpriv_lib import committed, paths

README = (paths.REPOSITORY / "README.md").read_text()
QUOTED = re.findall(r"[\d.]+ (?:%|points) \[[-\d., ]+\]", " ".join(README.split()))
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
    assert any(number in file.read_text() for file in paths.FIGURES.glob("*/*.md")), number


@pytest.mark.parametrize("link", LINKS)
def test_every_link_leads_somewhere(link):
    assert (paths.REPOSITORY / link).exists()


def test_the_readme_fits_its_screen():
    assert len(README.splitlines()) <= 150
    assert README.index("make report") < README.index("## The answer")
