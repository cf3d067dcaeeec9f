"""Text that is not ours, made plain, and where it reaches a terminal."""

import json
import unicodedata

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings, strategies as st

from dcpriv_lib.audit import command
from dcpriv_lib.data.dataset import DataError, in_memory
from dcpriv_lib.engine import foreign_text, paths, run_notebook, store
from nasty import names

HARMLESS = ("original", "condensed-10, run 2", "51.2 % [50.1, 52.3] (of 3.29)", "~99%", "non_members", "(a) b/c + d's")


@settings(deadline=None)
@given(names)
def test_plain_text_is_one_line_without_a_control_character_and_of_bounded_length(name):
    shown = foreign_text.plain(name)
    assert 0 < len(shown) <= foreign_text.LONGEST and len(shown.splitlines()) == 1
    assert all(unicodedata.category(one)[0] != "C" and one not in "\u2028\u2029" for one in shown)
    assert shown.encode() and foreign_text.plain(shown) == shown
    whole = foreign_text.plain(name, None)
    head, tail = shown.split("...")[0], shown.split("...")[-1]
    assert shown == whole or (len(whole) > foreign_text.LONGEST and whole.startswith(head) and whole.endswith(tail))


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays_as_it_is(text):
    for function in (foreign_text.plain, foreign_text.in_markdown, foreign_text.in_figure):
        assert function(text) == text


@settings(deadline=None)
@given(st.lists(names, max_size=8))
@example(["a" * 120, "a" * 120, "a\n", "a\\n", "a\\n (2)"])
def test_two_names_never_look_the_same(given_names):
    found = foreign_text.distinct(given_names)
    assert len(set(found)) == len(found) == len(given_names)
    assert found[:1] == [foreign_text.plain(name) for name in given_names[:1]]


@settings(deadline=None)
@given(names)
def test_markdown_gives_the_text_back(name):
    assert foreign_text.from_markdown(foreign_text.in_markdown(name)) == foreign_text.plain(name, None)


@settings(deadline=None)
@given(names)
def test_a_file_name_stays_in_its_folder_and_needs_no_quotes(name):
    found = foreign_text.in_file_name(name)
    assert 0 < len(found) <= 90 and found.isascii()
    assert all(one.isalnum() or one in "._-" for one in found)


def test_a_message_names_the_first_and_counts_the_rest():
    found = foreign_text.several([f"array\x1b[2J{number}" for number in range(100_000)])
    assert found.startswith("array\\x1b[2J0, ") and found.endswith(" and 99,992 more") and len(found) < 400
    assert foreign_text.several(["a", "b"]) == "a, b"


@settings(deadline=None)
@given(names)
def test_no_name_in_an_error_moves_the_terminal_or_fills_it(name):
    sentence = str(DataError(f"{name * 1000} is not readable: replace or delete it"))
    assert "\x1b" not in sentence and len(sentence.splitlines()) == 1 and len(sentence) <= 1000
    assert sentence.endswith("is not readable: replace or delete it")
    assert "\x1b" not in paths.shown(f"a\x1b[2J{name}") and len(paths.shown(name).splitlines()) == 1


def test_warnings_and_errors_of_notebooks_do_not_command_the_terminal(capsys, tmp_path):
    run_notebook.Screen("04_attack").write("UserWarning: a\x1b[2Jb.npz\n")
    assert capsys.readouterr().out == "  04_attack: UserWarning: a\\x1b[2Jb.npz\n"
    said = run_notebook.failure(tmp_path / "n.ipynb", tmp_path / "out.ipynb", ValueError("a\x1b[2Jb" + 1000 * "c"))
    assert "\x1b" not in said and "a\\x1b[2Jb" in said and len(said) < 600


def test_an_audit_says_which_file_is_missing_and_does_not_command_the_terminal(capsys):
    assert command.main(["a\x1b[2Jb\u202e.npz", "people.npz"]) == command.BAD_INPUT
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\u202e" not in said and said.count("\n") == 1 and "a\\x1b[2Jb\\u202e.npz" in said


def test_classes_keep_their_number_and_their_names_are_plain():
    found = in_memory("d", torch.zeros(2, 1, 14, 14, dtype=torch.uint8), [0, 1], classes=["a\nb", "a\\nb", "NA"])
    assert found.classes == ("a\\nb", "a\\nb (2)", "NA")


# ---------------------------------------------------------------- tables that are passed on and kept

WORDS = ["NA", "None", "nan", "null", "N/A", "", "a,b", '"q"']


def test_words_that_mean_nothing_to_pandas_stay_names(tmp_path):
    frame = pd.DataFrame({"class": WORDS, "auc": [0.5, np.nan, np.inf, -np.inf, 1e-300, 1, 2, np.nan]})
    store.save_table(tmp_path / "t.npz", frame, {})
    store.export_table(tmp_path / "t.csv", frame, {})
    for found in (store.load_table(tmp_path / "t.npz", {}, "n"), store.read_exported(tmp_path / "t.csv")[0]):
        assert list(found["class"].fillna("")) == WORDS
        assert found["auc"].dtype == float and np.array_equal(found["auc"], frame["auc"], equal_nan=True)


@settings(deadline=None, max_examples=20)
@given(st.lists(names, min_size=1, max_size=3))
@example(["007", "1e5"])
@example(["0.50", "inf"])
@example(["True", "False"])
@example(["3", "4"])
def test_an_exported_name_comes_back_even_if_it_looks_like_a_number(tmp_path_factory, given_names):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    own = [foreign_text.plain(name) for name in given_names]
    store.export_table(path, pd.DataFrame({"class": own, "n": range(len(own))}), {})
    found, record = store.read_exported(path)
    assert list(map(str, found["class"])) == own and found["n"].dtype == int
    by_pandas = pd.read_csv(path, keep_default_na=False)["class"]
    assert ("texts" in record) == (list(map(str, by_pandas)) != own), "nothing is recorded where nothing is at stake"
    assert json.loads(store.sidecar(path).read_text()) == record
