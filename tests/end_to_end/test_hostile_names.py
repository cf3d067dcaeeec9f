"""Names of classes and of a file that would run, load, break a table or stop a figure: through notebooks and page."""

import re

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from dcpriv_lib import profiles, stages
from dcpriv_lib.data import catalogue
from dcpriv_lib.engine import foreign_text, paths, run_notebook
from dcpriv_lib.results import report
from dcpriv_lib.results.pages import extension

pytestmark = pytest.mark.slow

CLASSES = [
    "<img src=x onerror=alert(1)>",
    "$5$ note $x_$",
    "a|b",
    "[c](javascript:alert(1))",
    "NA",
    "None",
    "_hidden",
    "line\nbreak\x1b[2J",
    "w" * 200 + " <b>",
]
FILE = "condensed <svg onload=alert(2)> $x_|[d](javascript:alert(3)) \\frac.npz"
RUN = [
    *("01_data_split", "02_condensation", "03_shadow_training", "04_attack", "05_results", "06_stronger_attacks"),
    *("09_methods", "10_robustness_and_fairness", "11_formal_privacy"),
]
SMALL = {"ds": 100, "crowds": [90], "dm_batch": 4, "n_canaries": 8, "real_sizes": [2], "real_batch": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The results of a run on images of such classes, with a target from such a file."""
    place, rng = tmp_path_factory.mktemp("names"), np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (place / "images" / name).mkdir(parents=True)
        for number in range(60):
            pixels = rng.integers(0, 128, (14, 14), dtype=np.uint8)
            pixels[label : label + 3] += 100
            Image.fromarray(pixels).save(place / "images" / name / f"{number}.png")
    own = {"dataset": str(place / "images"), "extra_targets": [str(place / FILE)]} | SMALL
    chosen = profiles.read("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCPRIV_RESULTS", str(place))
        results = paths.results("tiny")
        for stage in RUN:
            given = chosen[stage] | {name: value for name, value in own.items() if name in chosen[stage]}
            run_notebook.run(paths.NOTEBOOKS / f"{stage}.ipynb", results / f"notebooks/{stage}.ipynb", given)
            if stage == RUN[0]:
                with np.load(results / "split.npz") as split:
                    p = {part: rng.dirichlet(np.ones(len(CLASSES)), len(split[part])) for part in split.files}
                np.savez(place / FILE, kind="softmax", **p)
        report.build("tiny")
    return results


def test_nothing_that_a_name_says_is_live_on_a_page(folder):
    pages = {path.stem: BeautifulSoup(path.read_text(), "html.parser") for path in folder.glob("report/*.html")}
    assert {"index", "verdicts", *RUN, stages.APART.name, stages.ALONE.name} <= set(pages)
    for stage, page in pages.items():
        assert not page.find(["iframe", "object", "embed", "base"]), stage
        assert not page.article or not page.article.find(["script", "svg", "form"]), stage
        assert all("src" in one.attrs or extension.THEME.fullmatch(one.string) for one in page.find_all("script")), (
            stage
        )
        assert all(one["src"].startswith("_images/") for one in page.find_all("img")), stage
        assert not [one for one in page.find_all(True) if any(name.startswith("on") for name in one.attrs)], stage
        for link in page.find_all("a", href=True):
            assert re.match(r"(https?://|#|[\w./-]+(#[\w./-]*)?$)", link["href"]) and "alert" not in link["href"], stage
        assert "\x1b" not in str(page)


def test_names_stand_on_the_pages_as_they_are(folder):
    pages = {path.stem: BeautifulSoup(path.read_text(), "html.parser") for path in folder.glob("report/*.html")}
    header = [cell.text for cell in pages["01_data_split"].find("table").find_all("th")]
    own = catalogue.load(str(folder.parent / "images")).classes
    assert set(own) == {foreign_text.plain(name) for name in CLASSES} <= set(header)
    for stage in ("04_attack", "05_results"):
        cells = [" ".join(cell.text.split()) for cell in pages[stage].find_all(["td", "th"])]
        assert any(cell.startswith(foreign_text.plain(FILE)) for cell in cells), stage  # a doubt may follow
    for page in pages.values():  # a "|" or a line break would make a cell more
        for table in page.find_all("table"):
            rows = [
                [int(cell.get("colspan", 1)) for cell in row.find_all(["td", "th"])] for row in table.find_all("tr")
            ]
            assert len({sum(row) for row in rows}) == 1 or table.find(rowspan=True)


def test_no_output_of_a_notebook_commands_a_terminal_or_warns_of_a_formula(folder):
    for stage in RUN:
        for cell in nbformat.read(folder / f"notebooks/{stage}.ipynb", 4).cells:
            for output in cell.get("outputs", []):
                assert output.output_type != "error"
                text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
                assert "\x1b" not in text and "ParseException" not in text, stage
