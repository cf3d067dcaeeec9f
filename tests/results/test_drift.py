"""A quick run still says what the committed quick tables say.

`make test` runs the notebooks first; their tables are then in the results folder. Where this machine computes the same
bits as the one that made the committed tables, they have to be the same to the last byte. Elsewhere the last digits of
sums differ, training amplifies them, and the tables are compared by a model of what that does:

- A number with an interval moves by a normal error whose standard deviation is `SPREAD` of the interval's half-width,
  and so do the logarithms of that half-width and of a deviation.
- A number without an interval has the half-width of a share of the run's `PEOPLE` if it is a share, and else `PLAIN`.
- A verdict may turn where an interval in its row ends near the verdict's limit; of n verdicts that a cell counts, as
  many turn as a coin with probability `TURNING` says.
- Everything else is the same: settings, counts, splits, names, the order of the rows, verdicts that are not borderline.

The tolerances are those with which a whole run fails by chance less than once in 1,000 (`ALARM`). What one noisy
training decides is left out by name (`LEFT_OUT`).
"""

import json
import os
import re
from math import inf, isnan, log, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

from dcpriv_lib import arithmetic
from dcpriv_lib.engine import paths, store
from dcpriv_lib.results import tables
from dcpriv_lib.results.tables import (
    Cell,
    count,
    joined,
    number,
    percent,
    percent_at_fpr,
    plain,
    points,
    sentence,
    some,
)

COMMITTED = paths.FIGURES / "quick"
RESULTS = Path(os.environ.get("DCPRIV_RESULTS") or paths.REPOSITORY / "results") / "quick"
TABLES = sorted(file.stem for file in COMMITTED.glob("*.csv"))
MADE_WITH = COMMITTED / "arithmetic.json"  # the checksums of the machine that made the committed tables
SECONDS = "second"  # in the name of a table or a column of times, which are never the same

ALARM = 1e-3
# Between an Intel processor with AVX-512 and an AMD one with AVX2, one code, 932 numbers with intervals: root mean
# square 0.04, in the table where it is largest 0.13; the largest 0.32. With SSE4 only: 0.4 (of 30 canaries; and 0.7 in
# an epsilon). For all: 0.18.
SPREAD = 0.18
TURNING = 0.005  # one of 250 did
PEOPLE = 599  # members of the quick run
SHARE = 0.98 / sqrt(PEOPLE)  # half-width of a share without an interval
PLAIN = 1.0  # of epsilons, mostly, which are logarithms of ratios of rates
SURE = 3  # half-widths beyond the limit where no verdict turns: Holm's correction and Student's t ask for more than one
# Fields with an interval: the limits of verdicts (on AUCs and TPRs at 1 %, differences, correlations and ratios), and
# what no half-width counts less than: three people, five hundredths.
INTERVALS = {
    **dict.fromkeys(("percent", "percent at fpr", "percent and deviation"), ((0.5, 0.01), 3 / PEOPLE)),
    "points": ((0,), 3 / PEOPLE),
    "number": ((0, 1), 0.05),
}
EXACT = {",.0f", ".0f", "g", ".0%", "count and paper's"}
# (row, column): a row with such a cell, a column of such a name
LEFT_OUT = [
    ("^PSG, no noise|^GAN$", ""),  # trained once, without noise or an average: its accuracy moves by 10 points
    ("beyond the line", ""),  # whether an accuracy is inside the line it is compared with
    ("", "^chosen$|^worst class$"),  # the best of three step sizes, the worst of ten classes
]


def tolerance(measured: int) -> float:
    """Return how many half-widths a number may move, if so many are compared in a run."""
    return SPREAD * norm.isf(ALARM / 2 / measured)


def differences(name: str, committed, now, measured: int = 10_000, rounded: bool = False) -> list[str]:
    """Return what is different between two tables, beyond what the model allows in a run of `measured` numbers.

    `rounded`: the committed numbers have the precision that is printed.
    """
    if list(committed) != list(now) or len(committed) != len(now):
        return [f"{name}: {committed.shape} with the columns {list(committed)}, now {now.shape} with {list(now)}"]
    committed, now = committed.map(cell), now.map(cell)
    rows = [row for row in committed.index if not any(left_out(frame.loc[row]) for frame in (committed, now))]
    return [
        f"{name}, row {row}, {column}: '{committed.at[row, column]}', now '{now.at[row, column]}'{wrong}"
        for column in committed
        if SECONDS not in f"{name} {column}" and not any(re.search(one, column) for _, one in LEFT_OUT if one)
        for row in rows
        for wrong in different(committed.loc[row], now.loc[row], column, measured, rounded)
    ]


def cell(content) -> Cell:
    """Return what stands in a table as a cell; whole numbers are texts, which have to be the same."""
    if isinstance(content, Cell):
        return content
    return plain(content, "{:.2f}") if isinstance(content, float) else sentence("{}", content)


def left_out(row: pd.Series) -> bool:
    return any(re.search(pattern, str(one)) for pattern, _ in LEFT_OUT if pattern for one in row)


def different(before: pd.Series, after: pd.Series, column: str, measured: int, rounded: bool):
    """Yield what is different between two cells of a row."""
    one, other, allowed = before[column], after[column], tolerance(measured)
    if blanked(one) != blanked(other):
        measures = any(spec in INTERVALS for each in (one, other) for _, spec, _ in each.fields())
        if measures or column == before.index[0] or not borderline(before, allowed):
            yield ""
        return
    for position, (text, spec, figures) in enumerate(one.fields()):
        now = other.fields()[position][2]
        if spec in EXACT:
            turned = abs(now[0] - figures[0])
            if turned > turnable(one, position, measured) or not np.array_equal(figures[1:], now[1:], equal_nan=True):
                yield f": {now} is not {figures}"
        elif spec:
            for what, far in movements(text, spec, figures, now, rounded).items():
                if far > allowed + 1e-9:
                    yield f": {what} by {far:.2f}, {allowed:.2f} allowed"


def blanked(one: Cell) -> tuple:
    """Return a cell without its numbers: its form, and which of its fields have no number."""
    return one.form, [isnan(figures[0]) for _, spec, figures in one.fields() if spec]


def is_share(spec: str) -> bool:
    return bool(re.search("%|percent|points|of 100|spread", spec))


def movements(text: str, spec: str, before: list[float], after: list[float], rounded: bool) -> dict[str, float]:
    """Return how far the numbers of a field moved, in half-widths, beyond the rounding."""
    step = (0.001 if is_share(spec) else 0.01) * rounded
    if isnan(before[0]):
        return {}
    if spec in INTERVALS:
        floor = INTERVALS[spec][1]
        widths = [max((high - low) / 2, floor) for low, high in (before[1:3], after[1:3])]
        moved = {
            name: max(abs(b - a) - step, 0) / max(widths) for name, a, b in zip(("moved", "low", "high"), before, after)
        } | {"the half-width's logarithm": abs(log(widths[1] / widths[0]))}
        return moved | (deviation(before[3], after[3]) if spec == "percent and deviation" else {})
    if text.endswith("± "):
        return deviation(before[0], after[0])
    width = SHARE if is_share(spec) else PLAIN
    moved = {"moved": max(abs(after[0] - before[0]) - step, 0) / width}
    if spec == "bound":
        return moved | {"the most": max(abs(after[1] - before[1]) - step, 0) / width}
    return moved | (deviation(before[1], after[1]) if spec == "spread" else {})


def deviation(before: float, after: float) -> dict[str, float]:
    """Return how far the logarithm of a standard deviation of fractions moved; a tenth of a per cent is the least."""
    if isnan(before) or isnan(after):
        return {"one has no deviation": 0 if isnan(before) == isnan(after) else inf}
    return {"the logarithm": abs(log(max(after, 0.001) / max(before, 0.001)))}


def turnable(one: Cell, position: int, measured: int) -> float:
    """Return how many of the verdicts counted in a field may turn: in "1 of 20 recognised", "seen for 5, not for 2"."""
    fields = one.fields()
    if len(fields) > position + 2 and fields[position + 1][0] == " of ":
        n = fields[position + 1][2][0]
    else:
        n = sum(figures[0] for text, spec, figures in fields if spec and text.endswith(" for "))
        n *= fields[position][0].endswith(" for ")
    return binom.isf(ALARM / measured, n, TURNING) if n else 0


def borderline(row: pd.Series, allowed: float) -> bool:
    """Return whether a verdict rests on an interval that ends so near to a limit that noise can turn it."""
    for spec, (_, low, high, *_) in ((spec, own) for one in row for _, spec, own in one.fields() if spec in INTERVALS):
        limits, floor = INTERVALS[spec]
        limit, width = min(limits, key=lambda one: abs(one - (low + high) / 2)), max((high - low) / 2, floor)
        if -allowed <= max(low - limit, limit - high) / width <= SURE:
            return True
    return False


def count_measured(table: pd.DataFrame) -> int:
    """Return how many numbers of a table may move: of an interval its value, both ends and its width."""
    fields = (field for one in table.map(cell).to_numpy().ravel() for field in one.fields())
    return sum(4 for _, spec, figures in fields if spec and spec not in EXACT and not isnan(figures[0]))


MEASURED = sum(count_measured(tables.read(COMMITTED / f"{name}.csv")) for name in TABLES)


@pytest.fixture
def quick():
    if not RESULTS.exists():
        pytest.skip("there are no quick results; `make check-notebooks` makes and compares them")
    return RESULTS


@pytest.fixture(scope="session")
def same_arithmetic():
    """Skip where other bits are computed than those of the committed tables."""
    if not MADE_WITH.exists():
        pytest.skip(f"{paths.shown(MADE_WITH)} does not exist: with which arithmetic the tables were made is unknown")
    committed, here = json.loads(MADE_WITH.read_text()), arithmetic.checksums()
    others = [kind for kind in here if here[kind] != committed.get(kind)]
    if others:
        pytest.skip(f"this machine computes other last digits than the committed tables': {', '.join(others)}")


def record_of(folder: Path, name: str) -> dict:
    return store.read_exported(folder / f"{name}.csv")[1]


@pytest.mark.parametrize("name", TABLES)
def test_the_table_says_what_is_committed(quick, name):
    committed, now = (tables.read(folder / f"{name}.csv") for folder in (COMMITTED, quick / "tables"))
    wrong = differences(name, committed, now, MEASURED, "converted" in record_of(COMMITTED, name))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [name for name in TABLES if SECONDS not in name])
def test_where_the_arithmetic_is_the_same_so_is_the_table_to_the_last_byte(quick, same_arithmetic, name):
    """Of tables that were committed when words were stored, to the last word."""
    committed, now = (folder / f"{name}.csv" for folder in (COMMITTED, quick / "tables"))
    if "converted" in record_of(COMMITTED, name):
        pd.testing.assert_frame_equal(
            *(tables.words(tables.read(file)) for file in (committed, now)), check_dtype=False
        )
    else:
        assert now.read_bytes() == committed.read_bytes(), f"{name}.csv is another one"


def test_where_the_arithmetic_is_the_same_so_are_the_condensed_images(quick, same_arithmetic):
    with np.load(quick / "condensed_sets.npz") as now, np.load(COMMITTED / "condensed_sets.npz") as committed:
        assert [name for name in committed if not np.array_equal(now[name], committed[name])] == []


@pytest.mark.parametrize("name", TABLES)
def test_it_was_made_with_the_committed_settings(quick, name):
    committed, now = (record_of(folder, name)["inputs"] for folder in (COMMITTED, quick / "tables"))
    assert now == committed


def test_no_table_is_new(quick):
    assert sorted(file.stem for file in (quick / "tables").glob("*.csv")) == TABLES, "run `make report figures`"


def test_the_condensed_images_are_as_many(quick):
    committed, now = (
        {name: array.shape for name, array in np.load(folder / "condensed_sets.npz").items()}
        for folder in (COMMITTED, quick)
    )
    assert now == committed


# ---------------------------------------------------------------- the model itself

AUC, DIFFERENCE = percent(0.522, 0.488, 0.554), points(0.012, -0.003, 0.027)


def detectable(auc: float, tpr: float) -> Cell:
    told = plain(auc, "{:.1 %}"), plain(tpr, "{:.1 %}")
    return sentence("no leak detected; detectable: AUC {}, TPR {} at 1 % FPR", *told)


def of(form: str, *counts: int) -> Cell:
    return sentence(form, *map(count, counts))


def row(content, column: str = "found", name: str = "a", **more) -> pd.DataFrame:
    return pd.DataFrame({"name": [name]} | {key: [one] for key, one in more.items()} | {column: [content]})


@pytest.mark.parametrize(
    ("committed", "now", "column"),
    [
        (AUC, percent(0.529, 0.496, 0.560), "AUC"),
        (DIFFERENCE, points(-0.002, -0.0168, 0.0128), "AUC above that of"),
        (detectable(0.512, 0.014), detectable(0.522, 0.017), "answer"),
        (of("{} of {} recognised", 1, 20), of("{} of {} recognised", 2, 20), "this run"),
        (of("less robust for {}, unsure for {}", 1, 6), of("less robust for {}, unsure for {}", 2, 5), "verdict"),
        (percent(0.018, 0.014, 0.022), percent(0.020, 0.013, 0.022), "TPR at 1 % FPR"),
        (
            some("percent and deviation", 0.998, 0.990, 1.0, 0.002),
            some("percent and deviation", 0.997, 0.989, 1.0, 0.002),
            "right",
        ),
        (0.0, 0.62, "original"),
        (some("spread", 0.952, 0.014), some("spread", 0.959, 0.010), "accuracy (%)"),
        (plain(0.3, "x {:.1f}"), plain(1.0, "x {:.1f}"), "chosen"),
    ],
)
def test_what_another_processor_changes_is_not_found(committed, now, column):
    assert differences("any", row(committed, column), row(now, column)) == []


@pytest.mark.parametrize(
    ("committed", "now", "column"),
    [
        (AUC, percent(0.559, 0.488, 0.554), "AUC"),  # a formula
        (AUC, percent(0.522, 0.513, 0.531), "AUC"),
        (AUC, percent(0.478, 0.446, 0.512), "AUC"),
        (DIFFERENCE, points(0.092, 0.077, 0.107), "AUC above that of"),
        (DIFFERENCE, percent(0.012, -0.003, 0.027), "AUC above that of"),
        (sentence("AUC {}, at 1 % FPR", AUC), sentence("AUC {}, at 5 % FPR", AUC), "this run"),
        (detectable(0.512, 0.014), detectable(0.699, 0.014), "answer"),
        (detectable(0.512, 0.014), detectable(0.512, 0.054), "answer"),
        ("recognised", "cannot be told", "answer"),  # a verdict
        ("recognised (AUC, TPR at 1 %)", detectable(0.512, 0.014), "answer"),
        (of("{} of {} refuted", 4, 4), of("{} of {} refuted", 0, 4), "this run"),
        (599, 600, "images"),
        (count(2995), count(2994), "people"),  # counts
        (some("count and paper's", 60, 10_000), some("count and paper's", 50, 10_000), "updates"),  # a default
        (some("count and paper's", 60, 10_000), some("count and paper's", 60, 20_000), "updates"),
        (of("{} of {} recognised", 1, 20), of("{} of {} recognised", 9, 20), "this run"),
        (of("{} of {} recognised", 1, 20), of("{} of {} recognised", 1, 10), "this run"),
        (
            some("percent and deviation", 0.850, 0.819, 0.877, 0.005),
            some("percent and deviation", 0.850, 0.819, 0.877, 0.045),
            "we got, on members",
        ),
        (percent_at_fpr(*[np.nan] * 3, 599), percent_at_fpr(0.001, 0.0, 0.009, 599), "TPR at 0.1 % FPR"),
        (1.14, 2.14, "original"),
        (some("bound", 0.1, 3.29), some("bound", 0.1, 6.29), "epsilon"),
        (number(0.72, 0.61, 0.83), number(0.92, 0.81, 1.03), "median distance"),
        (joined([count(3), count(4)], " / "), joined([count(3), count(5)], " / "), "found"),
    ],
)
def test_a_deliberate_change_is_found(committed, now, column):
    assert differences("epsilon", row(committed, column), row(now, column))


def test_another_name_is_found():
    assert differences("any", row(0.5, name="condensed-10"), row(0.5, name="condensed-20"))


@pytest.mark.parametrize(
    ("interval", "may_turn"),
    [
        (sentence("AUC {}", percent(0.531, 0.503, 0.559)), True),
        (percent(0.511, 0.493, 0.529), True),
        (percent(0.648, 0.639, 0.656), False),
        (percent(0.500, 0.480, 0.520), False),
        (points(0.007, -0.002, 0.016), True),
        (points(-0.635, -0.752, -0.517), False),
        (points(0.0, -0.02, 0.02), False),
        (sentence("spread {}", number(1.35, 1.05, 1.98)), True),
        (number(4.35, 3.85, 4.98), False),
    ],
)
def test_only_a_borderline_verdict_may_turn(interval, may_turn):
    turned = [row(text, "answer", **{"this run": interval}) for text in ("recognised", "no leak detected")]
    assert (differences("verdict", *turned) == []) == may_turn


def test_a_lost_row_a_new_column_and_another_order_are_found():
    table = tables.read(COMMITTED / "claims.csv")
    assert not differences("claims", table, table)
    for other in (table[:-1], table.assign(new="1"), table[::-1].reset_index(drop=True), table[table.columns[::-1]]):
        assert differences("claims", table, other)


def shaken(content, times: float, draw) -> Cell:
    """Return a cell whose measured numbers move as the model says, `times` as far."""
    one, numbers = cell(content), []
    for text, spec, figures in one.fields():
        if not (spec is None or spec in EXACT or text.endswith("± ")):
            width = (figures[2] - figures[1]) / 2 if spec in INTERVALS else SHARE if is_share(spec) else PLAIN
            by = draw.normal() * SPREAD * times * width
            moving = 3 if spec in INTERVALS else 2 if spec == "bound" else 1
            figures = [value + by * (place < moving) for place, value in enumerate(figures)]
        numbers += figures
    return Cell(one.form, tuple(numbers))


@pytest.mark.parametrize(("times", "found"), [(1, (0, 0)), (10, (500, inf))])
def test_the_committed_tables_shaken_by_the_model_pass_and_shaken_more_they_do_not(times, found):
    draw, wrong = np.random.default_rng(0), 0
    for name in TABLES:
        table = tables.read(COMMITTED / f"{name}.csv")
        wrong += len(differences(name, table, table.map(lambda one: shaken(one, times, draw)), MEASURED))
    assert found[0] <= wrong <= found[1]
