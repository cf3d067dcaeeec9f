"""Figures are small, the same to the eye, the same to the byte where nothing changed, and committed in one place."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from sklearn.datasets import load_digits

from dcpriv_lib.engine import paths
from dcpriv_lib.results import committed, plots
from dcpriv_lib.results.notebook_outputs import PalettePreprocessor


def drawn(tmp_path, name="f"):
    figure, ax = plt.subplots(figsize=(4, 3))
    plots.images(ax, load_digits().images[:20, None] / 16, 5, "digits")
    ax.plot([0, 20], [0, 20], color=plots.NON_MEMBER)
    plots.save(figure, tmp_path, name)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    plt.close(figure)
    return np.asarray(Image.open(content).convert("RGB")).astype(int), tmp_path / f"figures/{name}.png"


def test_a_saved_figure_is_small_and_looks_as_it_was_drawn(tmp_path):
    full, path = drawn(tmp_path)
    kept = Image.open(path)
    pixels = np.asarray(kept.convert("RGB")).astype(int)
    assert kept.mode == "P" and len(np.unique(pixels.reshape(-1, 3), axis=0)) <= plots.COLOURS
    assert pixels.shape == full.shape and tuple(pixels[0, 0]) == (255, 255, 255)
    assert np.sqrt(((pixels - full) ** 2).mean()) < 3, "of 255"
    line = np.array([0xD5, 0x5E, 0x00])
    assert (np.abs(pixels - line).sum(-1) < 12).any(), "a thin line keeps its colour"


def test_the_bytes_of_a_figure_are_its_pixels_and_nothing_else(tmp_path):
    _, one = drawn(tmp_path, "one")
    _, other = drawn(tmp_path, "other")
    assert one.read_bytes() == other.read_bytes()
    assert not Image.open(one).info.keys() - {"transparency", "gamma"}, "no date, no program, no resolution"


def test_every_committed_figure_is_a_palette():
    figures = sorted(paths.FIGURES.rglob("*.png"))
    assert figures and [str(file) for file in figures if Image.open(file).mode != "P"] == []
    assert list(paths.FIGURES.rglob("*.svg")) == []


def test_a_diagram_that_depends_on_no_data_is_committed_once():
    diagrams = {file.name for file in (paths.FIGURES / "diagrams").iterdir()}
    assert "recipes.png" in diagrams
    assert [
        file for file in paths.FIGURES.glob("*/*") if file.name in diagrams and file.parent.name != "diagrams"
    ] == []


@pytest.mark.parametrize(("name", "place"), [("roc.png", "quick"), ("recipes.png", "diagrams")])
def test_figures_are_copied_to_where_they_are_kept(name, place, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(paths, "FIGURES", tmp_path / "committed")
    for folder in ("results/quick/tables", "results/quick/figures", "committed/diagrams"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "committed/diagrams/recipes.png").write_text("old")
    (tmp_path / "results/quick/figures" / name).write_text("new")
    (tmp_path / "results/quick/figures/left.svg").write_text("of an older version")
    committed.copy("quick")
    changed = [
        file.relative_to(tmp_path / "committed")
        for file in (tmp_path / "committed").rglob("*.*")
        if file.read_text() != "old"
    ]
    assert [str(file) for file in changed] == [f"{place}/{name}"]


def test_the_pictures_of_an_executed_notebook_are_palettes_too_and_once_is_enough():
    figure, ax = plt.subplots(figsize=(4, 3))
    plots.images(ax, load_digits().images[:20, None] / 16, 5, "digits")
    content = io.BytesIO()
    figure.savefig(content, format="png")
    plt.close(figure)
    before = base64.b64encode(content.getvalue()).decode()
    output = new_output("display_data", {"image/png": before, "text/plain": "a figure"})
    cells = [new_code_cell("draw()", outputs=[output, new_output("stream", text="said")]), new_markdown_cell("text")]
    notebook, _ = PalettePreprocessor(enabled=True).preprocess(new_notebook(cells=cells), {})
    after = notebook.cells[0].outputs[0].data["image/png"]
    assert len(after) < 0.6 * len(before) and notebook.cells[0].outputs[0].data["text/plain"] == "a figure"
    full, kept = (np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB")) for one in (before, after))
    assert full.shape == kept.shape and np.abs(full.astype(int) - kept).mean() < 2
    again, _ = PalettePreprocessor(enabled=True).preprocess(notebook, {})
    assert again.cells[0].outputs[0].data["image/png"] == after
