"""The README is short where it must be, and every number that it or the full list of claims quotes is in a committed
table."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dcpriv_lib.engine import paths
from dcpriv_lib.results import report, tables
from dcpriv_lib.results.pages import sources
from dcpriv_lib.results.voice.wording import detectable_difference

IN_FULL = report.CONFIGURATION / "claims_in_full.md"
TEXTS = {path: path.read_text() for path in (paths.REPOSITORY / "README.md", IN_FULL)}
README = TEXTS[paths.REPOSITORY / "README.md"]
BRACKETED = re.compile(r"[-+]?[\d.]+ (?:%|points) \[[-\d., ]+\]")
QUOTED = sorted({number for text in TEXTS.values() for number in BRACKETED.findall(" ".join(text.split()))})
FIRST_SCREEN = README[: README.index("| claim |")]
LINKS = sorted({(path, link) for path, text in TEXTS.items() for link in re.findall(r"\]\(([^)#:]+)\)", text)})
NUMBER_WORDS = re.compile(
    r"\b(?:none|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|"
    r"sixty|seventy|eighty|ninety|dozen|hundred|thousand|million|half|third|quarter|once|twice)\b",
    re.IGNORECASE,
)


def claims(path: Path) -> list[tuple[Path, str]]:
    """Return the rows of the table of claims in a file, without its head."""
    table = TEXTS[path][TEXTS[path].index("| claim |") :].partition("\n\n")[0]
    return [(path, row) for row in table.splitlines()[2:]]


CLAIMS = claims(paths.REPOSITORY / "README.md")
ALL_CLAIMS = CLAIMS + claims(IN_FULL)


def read_aloud(markdown: str) -> str:
    """Return what a reader meets: titles, texts of links, and of pictures what stands for them; no addresses."""
    return re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", markdown)


def numbers(text: str) -> list[str]:
    """Return all numbers of a text, in digits and in words; an interval belongs to the number before it."""
    text = re.sub(r" \[[-\d., ]+\]", "", text)
    return re.findall(r"\d+(?:[.,]\d+)*", text) + NUMBER_WORDS.findall(text)


@functools.cache
def words(path: Path) -> str:
    """Return what a reader of a file sees: of a table its words."""
    return tables.markdown(tables.read(path)) if path.suffix == ".csv" else path.read_text()


def sources_of(path: Path, text: str) -> str:
    """Return the words of all files that a text links to."""
    return "".join(words((path.parent / link).resolve()) for link in re.findall(r"\]\(([^)#:]+)\)", text))


def test_the_answer_is_short_and_has_few_numbers_however_one_counts():
    shown = read_aloud(FIRST_SCREEN)
    assert len([word for word in shown.split() if re.search(r"\w", word)]) <= 120, shown
    assert len(numbers(shown)) <= 5, numbers(shown)
    assert not re.search(r"\b[A-Z]{2,}\b", shown), "an abbreviation, before anything explains it"


@pytest.mark.parametrize("text", ["Half of ten are seven", "chance: 5 of a hundred, 3.2 %", "1. one", "15,000 of two"])
def test_numbers_in_words_are_counted_as_well(text):
    assert len(numbers(text)) >= 2
    assert numbers("55.1 % [54.5, 55.7]") == ["55.1"] and read_aloud("![ten](a/2.png) [6](b)") == "ten 6"


@pytest.mark.parametrize(("path", "claim"), CLAIMS)
def test_a_claim_is_one_sentence_or_two_with_two_numbers_at_most(path, claim):
    said, number, attacker, _ = (cell.strip() for cell in read_aloud(claim).strip("|").split(" | "))
    assert len(numbers(number)) <= 2 and not re.search(r"\d", said + attacker), claim
    assert len(said) <= 115 and len(number) <= 90, "too long for a phone"


def test_no_table_is_kept_a_second_time_in_words():
    """What a run found in sentences is no table."""
    assert {file.name for file in paths.FIGURES.glob("*/*.md")} <= {"findings.md"}


@pytest.mark.parametrize("number", QUOTED)
def test_every_number_with_an_interval_is_in_a_committed_table(number):
    committed = [*paths.FIGURES.glob("*/*.csv"), *paths.NOTEBOOKS.glob("solutions/*.ipynb")]
    assert any(number in words(file) for file in committed), number


@pytest.mark.parametrize(("path", "claim"), ALL_CLAIMS)
def test_the_numbers_of_a_claim_are_in_the_files_that_it_names(path, claim):
    """Those with an interval as they stand; a bare one, as of what was detectable, is some number there, or was
    computed from the intervals."""
    there, number = sources_of(path, claim), claim.split(" | ")[1]
    assert there and all(one in there for one in BRACKETED.findall(claim)), claim
    bare = re.findall(r"(?<![\w.,])\d+\.\d+(?![\w.]*\])|(?<=detectable: )\d+", BRACKETED.sub("", read_aloud(number)))
    there += computed_of_the_authors_models()
    assert all(re.search(rf"(?<![\d.]){re.escape(one)}(?!\d)", there) for one in bare), (bare, claim)


def computed_of_the_authors_models() -> str:
    """Return how far apart condensed and real images had to be for their intervals to lie apart: "1.7 points"."""
    table = tables.read(paths.FIGURES / "authors/authors_models.csv")
    found = table[table["attack"] == "LiRA, few"].set_index("target")["AUC"]
    return max(detectable_difference(found[f"condensed-{ipc}"], found[f"subset-{ipc}"]) for ipc in (10, 50))


def test_what_would_have_been_seen_between_the_authors_models():
    (claim,) = (claim for _, claim in CLAIMS if "models of random real images found" in claim)
    assert f"(detectable: {computed_of_the_authors_models()})" in claim and "not known" not in README


@pytest.mark.parametrize(("number", "link"), re.findall(r"\[([\d.]+ %)\]\((\S+)\)", README))
def test_a_number_that_is_a_link_is_in_the_table_that_it_leads_to(number, link):
    assert re.search(rf"(?<![\d.]){number} \[", words(paths.REPOSITORY / link)), number


@pytest.mark.parametrize(
    ("begins", "table", "column"),
    [
        ("on average:** at most", "mnist-small/methods", "average person: AUC"),
        ("tell more:** up to", "mnist-released/two_doors", "the images: AUC"),
    ],
)
def test_what_is_called_the_most_is_the_highest_of_its_column(begins, table, column):
    (said,) = re.findall(re.escape(begins) + r" \[([\d.]+) %", README)
    assert float(said) == max(
        float(str(cell).split()[0]) for cell in tables.read(paths.FIGURES / f"{table}.csv")[column]
    )


def test_the_captions_count_the_ticks_of_their_picture():
    """By the colours of `plots.ticks_and_crosses`, in the upper and in the lower row."""
    picture = np.asarray(Image.open(report.ACCUSED).convert("RGB")).astype(int)

    def marks(row, colour):
        near = np.abs(row - colour).max(axis=2) < 40
        return ndimage.label(ndimage.binary_dilation(near, iterations=3))[1]

    rows = np.array_split(picture, 2)
    ticks, crosses = ([marks(row, colour) for row in rows] for colour in ((0, 158, 115), (213, 94, 0)))
    assert (ticks, crosses) == ([10, 7], [0, 3])
    assert "ten ticks for the original model, seven for the condensed one" in " ".join(report.ACCUSED_ALT.split())
    assert "all ten were members" in report.ACCUSED_CAPTION and "seven were" in report.ACCUSED_CAPTION
    assert "above, all are ticked; below, fewer" in README
    asked = tables.read(paths.FIGURES / "paper/strong_attacks.csv")["TPR at 1 % FPR"]
    members = {int(number) for cell in asked for number in cell.numbers[3:]}
    assert members == {15_000} and "15,000 members and 15,000 others" in report.ACCUSED_CAPTION


@pytest.mark.parametrize(("path", "link"), LINKS)
def test_every_link_leads_somewhere(path, link):
    assert (path.parent / link).exists()


def test_the_links_of_the_full_list_lead_to_the_pages_copies():
    linked = sources.linked_here(TEXTS[IN_FULL])
    assert "](file-of-site:data/paper/equal_accuracy.csv)" in linked and "](07_controls.ipynb)" in linked
    assert "../" not in linked
