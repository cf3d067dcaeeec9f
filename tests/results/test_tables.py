"""Cells: today's words, the numbers behind them, and the way there and back."""

import numpy as np
import pandas as pd
import pytest

from dcpriv_lib.engine import paths, store
from dcpriv_lib.results import tables
from dcpriv_lib.results.tables import Cell, percent, plain, points, sentence, some

NAN = float("nan")
EVERY = sorted(paths.FIGURES.glob("*/*.csv"))


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (percent(0.512, 0.501, 0.523), "51.2 % [50.1, 52.3]"),
        (percent(0.5, 0.499, 0.501), "50.0 % [49.9, 50.1]"),  # two tenths are as wide as one decimal shows
        (percent(0.0001, 0.0, 0.0004), "0.01 % [0.00, 0.04]"),
        (percent(0.00001, 0.0, 0.00003), "0.001 % [0.000, 0.003]"),
        (percent(1.0, 0.994, 1.0), "100.0 % [99.4, 100.0]"),
        (percent(NAN, NAN, NAN), "undefined"),
        (tables.percent_at_fpr(0.012, 0.004, 0.027, 1797), "1.2 % [0.4, 2.7]"),
        (tables.percent_at_fpr(NAN, NAN, NAN, 1797), "not resolvable at n = 1,797"),
        (points(0.012, -0.003, 0.027), "+1.2 points [-0.3, 2.7]"),
        (points(-0.0001, -0.02, 0.02), "+0.0 points [-2.0, 2.0]"),
        (points(0.001, -0.0003, 0.002), "+0.10 points [-0.03, 0.20]"),
        (points(NAN, NAN, NAN), "undefined"),
        (tables.number(1.5231, 1.1, 2.009), "1.52 [1.10, 2.01]"),
        (tables.number(-0.001, -0.5, 0.5), "0.00 [-0.50, 0.50]"),
        (tables.spread(pd.Series([0.51, 0.52, 0.5])), "51.0 ± 1.0"),
        (tables.spread(pd.Series([0.51])), "51.0"),
        (some("percent and deviation", 0.85, 0.819, 0.877, 0.005), "85.0 % [81.9, 87.7] ± 0.5"),
        (some("bound", 2.579, 3.294), "2.58 (of 3.29)"),
        (some("count and paper's", 20, 10_000), "20 (paper: 10,000)"),
        (some("count and paper's", 1200, NAN), "1,200"),
        (plain(0.897, "{:.1%}"), "89.7%"),
        (plain(0.0056, "{:.2 %}"), "0.56 %"),
        (plain(-0.0117, "{:+.1 points}"), "-1.2 points"),
        (plain(0.5078, "{:.1 of 100}"), "50.8"),
        (plain(0.9, "~{:.0%}"), "~90%"),
        (plain(10.0, "{:g}"), "10"),
        (plain(3.0, "x {:.1f}"), "x 3.0"),
        (tables.count(np.int64(1797)), "1,797"),
        (sentence("AUC {}, of {}", percent(0.512, 0.501, 0.523), "DM"), "AUC 51.2 % [50.1, 52.3], of DM"),
        (sentence("{}: {}", "{a class}", plain(0.5, "{:.1%}")), "{a class}: 50.0%"),
        (tables.joined([tables.count(4), "-", tables.count(5)], " / "), "4 / - / 5"),
    ],
)
def test_a_cell_is_written_as_its_form_says_and_comes_back_from_its_numbers(cell, words):
    assert str(cell) == f"{cell}" == words
    for column in ([cell], [cell, cell, "-"], [cell, "-", "none", plain(1.0, "{:.3f} of {{these}}")]):
        frame = pd.DataFrame({"name": range(len(column)), "found": column})
        flat, forms = tables.numbers(frame)
        back = tables.cells(flat, forms)
        assert list(tables.words(back)["found"]) == list(map(str, column)) and list(back) == ["name", "found"]
        assert all(isinstance(one, Cell) for one in back["found"][:1])


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "target": ["original", "DM-10", "mine"],
            "n": [3, 4, 5],
            "AUC": [percent(0.1 + 0.2, 0.25, 1 / 3), percent(0.5, 0.4, 0.6), "-"],
            "said": [
                sentence("AUC {}", percent(0.6, 0.5, 0.7)),
                sentence("{} of {}", *map(tables.count, (3, 4))),
                "none",
            ],
            "AUC above": [points(0.01, 0.0, 0.02), points(NAN, NAN, NAN), points(-0.01, -0.02, 0.0)],
        }
    )


def test_the_csv_holds_numbers_in_full_precision_for_whoever_has_pandas_alone(frame, tmp_path):
    path = tmp_path / "t.csv"
    tables.keep(path, frame, {"profile": "mine"}, "a note")
    plain_read = pd.read_csv(path)
    assert list(plain_read) == [
        *("target", "n", "AUC", "AUC low", "AUC high"),
        *("said", "said 1", "said 1 low", "said 1 high", "said 2"),
        *("AUC above", "AUC above low", "AUC above high"),
    ]
    assert plain_read["AUC"][0] == 0.1 + 0.2 and plain_read["AUC high"][0] == 1 / 3 and np.isnan(plain_read["AUC"][2])
    assert plain_read["said"].tolist() == ["AUC {:percent}", "{:,.0f} of {:,.0f}", "none"]
    record = store.read_exported(path)[1]
    assert record["note"] == "a note" and record["inputs"] == {"profile": "mine"}
    assert record["forms"]["AUC"] == {"form": "{:percent}", "otherwise": "-"}
    assert record["forms"]["said"] == {"form": None, "otherwise": None} and "n" not in record["forms"]


def test_what_is_read_is_what_was_kept(frame, tmp_path):
    tables.keep(tmp_path / "t.csv", frame, {})
    back = tables.read(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(tables.words(back), tables.words(frame))
    tables.keep(tmp_path / "again.csv", back, {})
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()


def test_a_text_beside_an_undefined_number_stays_another_thing():
    frame = pd.DataFrame({"ratio": ["-", tables.number(NAN, NAN, NAN), tables.number(1, 0.5, 2)]})
    flat, forms = tables.numbers(frame)
    assert list(tables.words(tables.cells(flat, forms))["ratio"]) == ["-", "undefined", "1.00 [0.50, 2.00]"]


def test_a_sentence_keeps_its_words_in_the_csv_even_where_all_rows_say_the_same():
    frame = pd.DataFrame(
        {"answer": [sentence("no difference detected; detectable: {}", plain(0.07, "{:.1 points}"))] * 2}
    )
    flat, forms = tables.numbers(frame)
    assert flat["answer"].str.startswith("no difference detected").all() and flat["answer 1"].tolist() == [0.07] * 2
    assert (
        list(tables.words(tables.cells(flat, forms))["answer"])
        == ["no difference detected; detectable: 7.0 points"] * 2
    )


def test_a_table_is_shown_in_words_with_its_note(frame):
    lines = tables.markdown(frame, "what luck gives").splitlines()
    assert (
        "30.0 % [25.0, 33.3]" in lines[2] and "AUC 60.0 % [50.0, 70.0]" in lines[2] and lines[-1] == "*what luck gives*"
    )


@pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_committed_tables_hold_no_number_in_words(path):
    """But in names ("DP-SGD, epsilon 1"), in what a measure is called, and in sentences without a field."""
    forms = store.read_exported(path)[1].get("forms", {})
    table = tables.read(path)
    assert len(table) and not set(forms) - set(table)
    for name in table:
        for cell in table[name]:
            assert isinstance(cell, Cell) or not isinstance(cell, str) or " % [" not in cell, (name, cell)
