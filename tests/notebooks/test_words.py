"""The words of the field stand everywhere, and not those that somebody would have to learn for this report alone."""

import re

import jupytext
import pytest

from dcpriv_lib.engine import paths

SAY_INSTEAD = {
    r"(?<!\")cannot be told": "no difference detected (detectable: ...)",
    r"(?:would have been|could be|can be) told": "detectable",
    r"\btold from\b": "distinguishable from, recognised among",
    r"\bin question\b": "query image, asked about",
    r"as (?:accurate|useful) (?:real )?(?:images|ones|as)": "at equal accuracy",
    r"all (?:who were )?left out": "every non-member canary",
    r"\bexams?\b": "evaluation set, examination",
    r"after 1 iterations\b": "iteration 1",
}
OLD_COLUMNS = '"AUC above that of as accurate real images"', '"would have been told"'  # of tables that were made before
TEXTS = [
    *sorted(paths.NOTEBOOKS.glob("**/*_*.py")),
    *(paths.REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted(paths.REPOSITORY.glob("dcpriv_lib/results/**/*.py")),
]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_no_home_made_term_stands_in(path):
    text = path.read_text()
    if path.is_relative_to(paths.NOTEBOOKS):
        text = "\n".join(cell.source for cell in jupytext.reads(text, fmt="py:percent").cells)
    text = " ".join(text.split())
    for column in OLD_COLUMNS:
        text = text.replace(column, "")
    found = {text[max(0, one.start() - 40) : one.end() + 20]: word for term, word in SAY_INSTEAD.items()
             for one in re.finditer(term, text)}  # fmt: skip
    assert not found, found
