"""A quick run still says what the committed quick tables say.

`make test` runs the notebooks first; their tables are then in the results folder. Where this machine computes the same bits as
the one that made the committed tables, they have to be the same to the last byte. Elsewhere the last digits of sums differ,
training amplifies them, and the tables are compared by a model of what that does:

- A number with an interval moves by a normal error whose standard deviation is `SPREAD` of the interval's half-width, and so do
  the logarithms of that half-width and of a "± 0.5".
- A number without an interval has the half-width of a share of the run's `PEOPLE` if it is a percentage, and else `PLAIN`.
- A verdict may turn where an interval in its row ends near the verdict's limit; of n verdicts that a cell counts, as many turn
  as a coin with probability `TURNING` says.
- Everything else is the same: settings, counts, splits, names, the order of the rows, verdicts that are not borderline.

The tolerances are those with which a whole run fails by chance less than once in 1,000 (`ALARM`). What one noisy training decides
is left out by name (`LEFT_OUT`).
"""

import json
import os
import re
from math import inf, log, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

from dcpriv_lib.engine import arithmetic, paths, store

COMMITTED = paths.FIGURES / "quick"
RESULTS = Path(os.environ.get("DCPRIV_RESULTS") or paths.REPOSITORY / "results") / "quick"
TABLES = sorted(file.stem for file in COMMITTED.glob("*.csv"))
MADE_WITH = COMMITTED / "arithmetic.json"  # the checksums of the machine that made the committed tables
SECONDS = "second"  # in the name of a table or a column of times, which are never the same

ALARM = 1e-3
# Between an Intel processor with AVX-512 and an AMD one with AVX2, one code, 932 numbers with intervals: root mean square 0.04, in
# the table where it is largest 0.13; the largest 0.32. With SSE4 only: 0.4 (of 30 canaries; and 0.7 in an epsilon). For all: 0.18.
SPREAD = 0.18
TURNING = 0.005  # one of 250 did
PEOPLE = 599   # members of the quick run
PLAIN = 1.0    # of epsilons, mostly, which are logarithms of ratios of rates
SURE = 3       # half-widths beyond the limit, where no verdict turns: Holm's correction and Student's t ask for more than one
FLOOR = {"%": 300 / PEOPLE, "points": 300 / PEOPLE, "": 0.05}  # no half-width counts as less: three people, five hundredths
LIMITS = {"%": (50, 1), "points": (0,), "": (0, 1)}  # of verdicts: on AUCs and TPRs at 1 %, differences, correlations and ratios
# (row, column): a row with such a cell, a column of such a name
LEFT_OUT = [("^PSG, no noise|^GAN$", ""),   # trained once, without noise or an average: its accuracy moves by 10 points
            ("beyond the line", ""),        # whether an accuracy is inside the line it is compared with
            ("", "^chosen$|^worst class$")]  # the best of three step sizes, the worst of ten classes

FIGURE = r"[-+]?\d[\d,]*(?:\.\d+)?"
TOKEN = re.compile(rf"(?P<value>{FIGURE})(?: ?(?P<unit>%|points))?(?: \[(?P<low>{FIGURE}), (?P<high>{FIGURE})\])?")


def tolerance(measured: int) -> float:
    """Return how many half-widths a number may move, if so many are compared in a run."""
    return SPREAD * norm.isf(ALARM / 2 / measured)


def differences(name: str, committed: pd.DataFrame, now: pd.DataFrame, measured: int = 10_000) -> list[str]:
    """Return what is different between two tables of texts, beyond what the model allows in a run of `measured` numbers."""
    if list(committed) != list(now) or len(committed) != len(now):
        return [f"{name}: {committed.shape} with the columns {list(committed)}, now {now.shape} with {list(now)}"]
    rows = [row for row in committed.index if not any(left_out(frame.loc[row]) for frame in (committed, now))]
    return [f"{name}, row {row}, {column}: {cells[0]!r}, now {cells[1]!r}{wrong}" for column in committed for row in rows
            if not any(re.search(pattern, column) for _, pattern in LEFT_OUT if pattern) and SECONDS not in f"{name} {column}"
            for cells in [(committed.at[row, column], now.at[row, column])]
            for wrong in different(*cells, column, committed.loc[row], measured)]


def left_out(row: pd.Series) -> bool:
    return any(re.search(pattern, cell) for pattern, _ in LEFT_OUT if pattern for cell in row)


def different(before: str, after: str, column: str, row: pd.Series, measured: int):
    """Yield what is different between two cells of a column; `row` is that of the committed one."""
    if words(before) != words(after):
        if "[" in before + after or column == row.index[0] or not borderline(row, tolerance(measured)):
            yield ""
        return
    for one, other in zip(TOKEN.finditer(before), TOKEN.finditer(after)):
        figures = [[number(found[part]) for part in ("value", "low", "high") if found[part]] for found in (one, other)]
        if "." not in one[0] + other[0]:
            allowed = {"turned": turnable(before, one, measured)}
            moved = {"turned": abs(figures[1][0] - figures[0][0])}
        else:
            moved, allowed = movements(*figures, unit(one, column), before[:one.start()].endswith("± ")), {}
        for what, far in moved.items():
            if far > allowed.get(what, tolerance(measured)) + 1e-9:
                yield f": {what} by {far:.2f}, {allowed.get(what, tolerance(measured)):.2f} allowed"


def words(text: str) -> str:
    """Return a text with its numbers blanked."""
    return TOKEN.sub(lambda found: f"#{found['unit'] or ''}{'[]' if found['low'] else ''}", text)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def unit(found: re.Match, column: str) -> str:
    """Return "%", "points" or "", what a number is in, by its cell or column; above 10 it is a percentage."""
    named = re.search(r"%|points", column)
    return found["unit"] or (named[0] if named else "%" if "AUC" in column or abs(number(found["value"])) > 10 else "")


def movements(before: list[float], after: list[float], unit: str, is_spread: bool) -> dict[str, float]:
    """Return how far a number moved, in half-widths, beyond the rounding to a tenth (of plain numbers, a hundredth)."""
    step = 0.1 if unit or is_spread else 0.01
    if is_spread:
        return {"the logarithm": abs(log(max(after[0], step) / max(before[0], step)))}
    if len(before) == 1:
        return {"moved": max(abs(after[0] - before[0]) - step, 0) / (98 / sqrt(PEOPLE) if unit else PLAIN)}
    widths = [max((figures[2] - figures[1]) / 2, FLOOR[unit]) for figures in (before, after)]
    return {name: max(abs(b - a) - step, 0) / max(widths) for name, a, b in zip(("moved", "low", "high"), before, after)} | {
        "the half-width's logarithm": abs(log(widths[1] / widths[0]))}


def turnable(text: str, found: re.Match, measured: int) -> float:
    """Return how many of the verdicts counted in a cell may turn: in "1 of 20 recognised", "seen for 5, not seen for 2"."""
    of, for_ = re.match(r" of (\d+) \w", text[found.end():]), re.findall(r" for (\d+)", text)
    n = int(of[1]) if of else sum(map(int, for_)) if text[:found.start()].endswith(" for ") else 0
    return binom.isf(ALARM / measured, n, TURNING) if n else 0


def borderline(row: pd.Series, allowed: float) -> bool:
    """Return whether a verdict rests on an interval that ends so near to a limit that noise can turn it."""
    for column, cell in row.items():
        for found in TOKEN.finditer(cell):
            if found["low"]:
                low, high = number(found["low"]), number(found["high"])
                width = max((high - low) / 2, FLOOR[unit(found, column)])
                limits = LIMITS[unit(found, column)]
                limit = min(limits, key=lambda one: abs(one - (low + high) / 2))
                if -allowed <= max(low - limit, limit - high) / width <= SURE:
                    return True
    return False


def read(path) -> pd.DataFrame:
    """Return a table as texts."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


MEASURED = sum("." in found[0] for name in TABLES for cell in read(COMMITTED / f"{name}.csv").to_numpy().ravel()
               for found in TOKEN.finditer(cell)) * 4  # its value, both ends, its width


@pytest.fixture
def quick():
    if not RESULTS.exists():
        pytest.skip("there are no quick results; `make check-notebooks` makes and compares them")
    return RESULTS


@pytest.fixture(scope="session")
def same_arithmetic():
    """Skip where other bits are computed than those of the committed tables."""
    if not MADE_WITH.exists():
        pytest.skip(f"{paths.shown(MADE_WITH)} does not exist: with which arithmetic the tables were made is not on record")
    committed, here = json.loads(MADE_WITH.read_text()), arithmetic.checksums()
    others = [kind for kind in here if here[kind] != committed.get(kind)]
    if others:
        pytest.skip(f"this machine computes other last digits than the committed tables': {', '.join(others)}")


@pytest.mark.parametrize("name", TABLES)
def test_the_table_says_what_is_committed(quick, name):
    wrong = differences(name, read(COMMITTED / f"{name}.csv"), read(quick / f"tables/{name}.csv"), MEASURED)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [name for name in TABLES if SECONDS not in name])
def test_where_the_arithmetic_is_the_same_so_is_the_table_to_the_last_byte(quick, same_arithmetic, name):
    for file in (f"{name}.csv", f"{name}.md"):
        assert (quick / "tables" / file).read_bytes() == (COMMITTED / file).read_bytes(), f"{file} is another one"


def test_where_the_arithmetic_is_the_same_so_are_the_condensed_images(quick, same_arithmetic):
    with np.load(quick / "condensed_sets.npz") as now, np.load(COMMITTED / "condensed_sets.npz") as committed:
        assert [name for name in committed if not np.array_equal(now[name], committed[name])] == []


@pytest.mark.parametrize("name", TABLES)
def test_it_was_made_with_the_committed_settings(quick, name):
    committed, now = (store.read_exported(folder / f"{name}.csv")[1]["inputs"]
                      for folder in (COMMITTED, quick / "tables"))
    assert now == committed


def test_no_table_is_new(quick):
    assert sorted(file.stem for file in (quick / "tables").glob("*.csv")) == TABLES, "run `make report figures`"


def test_the_condensed_images_are_as_many(quick):
    committed, now = ({name: array.shape for name, array in np.load(folder / "condensed_sets.npz").items()}
                      for folder in (COMMITTED, quick))
    assert now == committed


@pytest.mark.parametrize(("committed", "now", "column"), [
    ("52.2 % [48.8, 55.4]", "52.9 % [49.6, 56.0]", "AUC"),
    ("+1.2 points [-0.3, 2.7]", "-0.2 points [-1.7, 1.2]", "AUC above that of"),
    ("cannot be told; an AUC of 52.9 % would have been", "cannot be told; an AUC of 54.9 % would have been", "answer"),
    ("no leak detected; detectable: AUC 51.2 %, TPR 1.4 %", "no leak detected; detectable: AUC 52.2 %, TPR 1.7 %", "answer"),
    ("1 of 20 recognised", "2 of 20 recognised", "this run"),
    ("less robust for 1, cannot be told for 6", "less robust for 2, cannot be told for 5", "verdict"),
    ("1.8 % [1.4, 2.2]", "2.0 % [1.3, 2.6]", "TPR at 1 % FPR"),
    ("99.8 % [99.0, 100.0] ± 0.2", "99.7 % [98.9, 100.0] ± 0.2", "right"),
    ("0.0", "0.62", "original"), ("95.2 ± 1.4", "95.9 ± 1.0", "accuracy (%)"), ("x 0.3", "x 1.0", "chosen")])
def test_what_another_processor_changes_is_not_found(committed, now, column):
    assert differences("any", *(pd.DataFrame({"name": ["a"], column: [text]}) for text in (committed, now))) == []


@pytest.mark.parametrize(("committed", "now", "column"), [
    ("52.2 % [48.8, 55.4]", "55.9 % [48.8, 55.4]", "AUC"),                            # a formula
    ("52.2 % [48.8, 55.4]", "52.2 % [51.3, 53.1]", "AUC"),
    ("52.2 % [48.8, 55.4]", "47.8 % [44.6, 51.2]", "AUC"),
    ("+1.2 points [-0.3, 2.7]", "+9.2 points [7.7, 10.7]", "AUC above that of"),
    ("+1.2 points [-0.3, 2.7]", "1.2 % [-0.3, 2.7]", "AUC above that of"),
    ("AUC 52.2 % [48.8, 55.4], TPR at 1 % FPR 1.4 % [0.6, 2.7]",
     "AUC 52.2 % [48.8, 55.4], TPR at 5 % FPR 1.4 % [0.6, 2.7]", "this run"),
    ("cannot be told; an AUC of 52.9 % would have been", "cannot be told; an AUC of 69.9 % would have been", "answer"),
    ("no leak detected; detectable: AUC 51.2 %, TPR 1.4 %", "no leak detected; detectable: AUC 51.2 %, TPR 5.4 %", "answer"),
    ("recognised", "cannot be told", "answer"),                                         # a verdict
    ("recognised (AUC, TPR at 1 %)", "no leak detected; detectable: AUC 51.2 %, TPR 1.4 %", "answer"),
    ("4 of 4 refuted", "0 of 4 refuted", "this run"),
    ("599", "600", "images"), ("2,995", "2,994", "people"), ("condensed-10", "condensed-20", "target"),  # a count
    ("60 (paper: 10,000)", "50 (paper: 10,000)", "updates"),                            # a default
    ("1 of 20 recognised", "9 of 20 recognised", "this run"), ("1 of 20 recognised", "1 of 10 recognised", "this run"),
    ("85.0 % [81.9, 87.7] ± 0.5", "85.0 % [81.9, 87.7] ± 4.5", "we got, on members"),
    ("not resolvable at n = 599", "0.1 % [0.0, 0.9]", "TPR at 0.1 % FPR"),
    ("1.14", "2.14", "original"), ("0.72 [0.61, 0.83]", "0.92 [0.81, 1.03]", "median distance")])
def test_a_deliberate_change_is_found(committed, now, column):
    assert differences("epsilon", *(pd.DataFrame({"name": ["a"], column: [text]}) for text in (committed, now)))


@pytest.mark.parametrize(("interval", "may_turn"), [
    ("AUC 53.1 % [50.3, 55.9]", True), ("AUC 51.1 % [49.3, 52.9]", True), ("AUC 64.8 % [63.9, 65.6]", False),
    ("AUC 50.0 % [48.0, 52.0]", False), ("+0.7 points [-0.2, 1.6]", True), ("-63.5 points [-75.2, -51.7]", False),
    ("0.0 points [-2.0, 2.0]", False), ("spread 1.35 [1.05, 1.98]", True), ("spread 4.35 [3.85, 4.98]", False)])
def test_only_a_borderline_verdict_may_turn(interval, may_turn):
    tables = [pd.DataFrame({"name": ["a"], "this run": [interval], "answer": [text]})
              for text in ("recognised", "no leak detected")]
    assert (differences("verdict", *tables) == []) == may_turn


def test_a_lost_row_a_new_column_and_another_order_are_found():
    table = read(COMMITTED / "claims.csv")
    assert not differences("claims", table, table)
    for other in (table[:-1], table.assign(new="1"), table[::-1].reset_index(drop=True), table[table.columns[::-1]]):
        assert differences("claims", table, other)


def shaken(text: str, column: str, times: float, draw) -> str:
    """Return a cell whose measured numbers move as the model says, `times` as far."""
    def move(found):
        if "." not in found[0] or text[:found.start()].endswith("± "):
            return found[0]
        values = [number(found[part]) for part in ("value", "low", "high") if found[part]]
        is_share, by = unit(found, column), draw.normal() * SPREAD * times
        width = (values[2] - values[1]) / 2 if found["low"] else 98 / sqrt(PEOPLE) if is_share else PLAIN
        value, *ends = (f"{one + by * width:.{1 if is_share else 2}f}" for one in values)
        named = f" {found['unit']}" if found["unit"] else ""
        return value + named + (f" [{ends[0]}, {ends[1]}]" if ends else "")
    return TOKEN.sub(move, text)


@pytest.mark.parametrize(("times", "found"), [(1, (0, 0)), (10, (500, inf))])
def test_the_committed_tables_shaken_by_the_model_pass_and_shaken_more_they_do_not(times, found):
    draw, wrong = np.random.default_rng(0), 0
    for name in TABLES:
        table = read(COMMITTED / f"{name}.csv")
        moved = table.apply(lambda cells: [shaken(words_only, cells.name, times, draw) for words_only in cells])
        wrong += len(differences(name, table, moved, MEASURED))
    assert found[0] <= wrong <= found[1]
