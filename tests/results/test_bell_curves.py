"""The interactive picture: its data are the lecture's, its numbers are scipy's, and it runs as strictly as it says."""

import json
import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from dcpriv_lib.results import bell_curves

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
DATA = bell_curves.read()


class Page(HTMLParser):
    """The attributes and the text of every element that has an id."""

    def __init__(self, html: str):
        super().__init__()
        self.elements, self.text, self.tags, self.inside = {}, {}, [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if "id" in dict(attrs):
            self.elements[dict(attrs)["id"]] = dict(attrs)
            self.inside += [(tag, dict(attrs)["id"])] * (tag != "input")

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1][0] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if self.inside:
            self.text[self.inside[-1][1]] = self.text.get(self.inside[-1][1], "") + data


def shown(state: str) -> Page:
    """Return the page as chromium has it when the address ends in this state."""
    address = (bell_curves.PAGE / "index.html").as_uri() + state
    with tempfile.TemporaryDirectory() as own:  # else two at a time would be one browser
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={own}", "--virtual-time-budget=3000"]
        asked = subprocess.run([CHROMIUM, *flags, "--dump-dom", address], capture_output=True, text=True, timeout=120)
    return Page(asked.stdout)


def by_scipy(person: dict, phi: float, fpr: float) -> dict:
    """Return what the page must say, by scipy's normal distributions."""
    groups = [np.array(person[side]) for side in ("inside", "outside")]
    sigma = np.sqrt(sum(len(one) * one.var() for one in groups) / (sum(map(len, groups)) - 2))
    with_, without = (stats.norm(one.mean(), sigma) for one in groups)
    upwards = with_.mean() >= without.mean()
    threshold = without.isf(fpr) if upwards else without.ppf(fpr)
    return {
        "ratio": with_.logpdf(phi) - without.logpdf(phi),
        "threshold": threshold,
        "power": with_.sf(threshold) if upwards else with_.cdf(threshold),
        "says": phi > threshold if upwards else phi < threshold,
    }


def test_the_people_are_those_of_the_committed_lecture():
    known = {key: value for key, value in DATA.items() if key != "commit"}
    assert known == json.loads(json.dumps(bell_curves.from_notebook())), "run python -m dcpriv_lib.results.bell_curves"
    assert re.fullmatch("[0-9a-f]{40}", DATA["commit"])


def test_a_notebook_without_people_is_refused(tmp_path):
    (tmp_path / "empty.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    with pytest.raises(ValueError, match="run `make notebooks` first"):
        bell_curves.from_notebook(tmp_path / "empty.ipynb")


def test_the_page_runs_nothing_but_its_own_files_and_loads_nothing_from_elsewhere():
    page = Page((bell_curves.PAGE / "index.html").read_text())
    (policy,) = [of["content"] for tag, of in page.tags if of.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    named = [of[key] for _, of in page.tags for key in ("src", "href") if key in of]
    assert sorted(named) == ["bell_curves.css", "bell_curves.js", "people.js"]
    assert all((bell_curves.PAGE / name).is_file() for name in named)
    assert not [key for _, of in page.tags for key in of if key.startswith("on") or key == "style"]
    assert [of for tag, of in page.tags if tag == "script" and "src" not in of] == []
    addresses = set(re.findall(r"\w+://[^\"' ]+", "".join((bell_curves.PAGE / name).read_text() for name in named)))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of SVG, which nothing is loaded from"


# Above, between and below the bells; both ends of the rates; and people on whom models hardly agree.
STATES = [(1, 3.0, 0.01), (1, -3.35, 0.001), (2, -5.0, 0.5), (7, 4.25, 0.05), (len(DATA["people"]), 12.5, 0.1)]


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize(("number", "phi", "fpr"), STATES)
def test_the_page_says_what_scipy_says(number, phi, fpr):
    page, person = shown(f"#person={number}&phi={phi}&fpr={fpr}"), DATA["people"][number - 1]
    phi = float(np.clip(phi, float(page.elements["phi"]["min"]), float(page.elements["phi"]["max"])))
    wanted = by_scipy(person, phi, fpr)
    for name in ("ratio", "threshold", "power"):
        assert float(page.elements[name]["data-value"]) == pytest.approx(wanted[name], rel=1e-9, abs=1e-12), name
    assert page.elements["says"]["data-value"] == str(bool(wanted["says"])).lower()
    word = "member" if wanted["says"] else "not a member"
    assert page.text["says"] == word and f"the attack says: {word}." in page.text["verdict"]
    assert f"class {person['label']}." in page.text["seen"]
    assert ("with the person as without" in page.text["verdict"]) == (wanted["ratio"] > 0)
    assert "hidden" not in page.elements["controls"] and "hidden" in page.elements["told"]


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("state", ["", "#person=99&phi=&fpr=nothing", "#person=1&phi=1e999&fpr=-1", "#%"])
def test_an_address_that_says_nothing_or_nonsense_shows_the_first_person(state):
    page = shown(state)
    person, fpr = DATA["people"][0], 0.001 if "fpr=-1" in state else 0.01
    wanted = by_scipy(person, person["target"], fpr)
    assert float(page.elements["power"]["data-value"]) == pytest.approx(wanted["power"], rel=1e-9)
    assert float(page.elements["ratio"]["data-value"]) == pytest.approx(wanted["ratio"], rel=1e-9)
    assert f"{'' if person['member'] else 'not '}a member" in page.text["told"]
