"""Every number with an interval that the README quotes is in the words of a committed table."""

import functools
import re
from pathlib import Path

import pytest

from dcpriv_lib.engine import paths
from dcpriv_lib.results import tables

README = (paths.REPOSITORY / "README.md").read_text()
BRACKETED = re.compile(r"[\d.]+ (?:%|points) \[[-\d., ]+\]")
QUOTED = BRACKETED.findall(" ".join(README.split()))
CLAIMS = re.findall(r"^\| .*\|$", README[README.index("| claim |") : README.index("## Cite")], re.MULTILINE)[1:]
FIRST_SCREEN = re.sub(r"!\[.*?\]\(.*?\)", "", README[README.index("\n") : README.index("## Claims")])
LINKS = sorted(set(re.findall(r"\]\(([^)#:]+)\)", README)))


@functools.cache
def words(path: Path) -> str:
    """Return what a reader of a file sees: of a table its words."""
    return tables.markdown(tables.read(path)) if path.suffix == ".csv" else path.read_text()


def test_no_table_is_kept_a_second_time_in_words():
    """What a run found in sentences is no table."""
    assert {file.name for file in paths.FIGURES.glob("*/*.md")} <= {"findings.md"}


@pytest.mark.parametrize("number", QUOTED)
def test_every_number_with_an_interval_is_in_a_committed_table(number):
    committed = [*paths.FIGURES.glob("*/*.csv"), *paths.NOTEBOOKS.glob("solutions/*.ipynb")]
    assert any(number in words(file) for file in committed), number


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_numbers_of_a_claim_are_in_the_tables_that_it_names(claim):
    """Those with an interval; a claim that rests on a notebook or a proof names that."""
    where = [paths.REPOSITORY / link for link in re.findall(r"\]\(([^)]+)\)", claim)]
    sources = "".join(map(words, where))
    assert where and all(number in sources for number in BRACKETED.findall(claim)), claim


@pytest.mark.parametrize(("number", "link"), re.findall(r"\[([\d.]+ %)\]\((\S+)\)", README))
def test_a_number_that_is_a_link_is_in_the_table_that_it_leads_to(number, link):
    assert re.search(rf"(?<![\d.]){number} \[", words(paths.REPOSITORY / link)), number


def test_the_answer_is_short_and_each_claim_has_few_numbers():
    shown = re.sub(r"\]\(.*?\)", "]", FIRST_SCREEN)
    assert len(re.findall(r"[A-Za-z]+", shown)) <= 120 and len(re.findall(r"\d[\d.,]*(?= %)", shown)) <= 5
    assert all(len(BRACKETED.findall(claim)) <= 2 for claim in CLAIMS) and len(CLAIMS) > 20


@pytest.mark.parametrize("link", LINKS)
def test_every_link_leads_somewhere(link):
    assert (paths.REPOSITORY / link).exists()
