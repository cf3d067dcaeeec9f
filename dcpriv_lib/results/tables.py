"""The report's tables: cells that keep their numbers, and the words in which these are shown.

A cell is a form, "AUC {:percent}", and the numbers that fill it. `numbers` takes the cells of a table apart for its
csv, which then holds a column "AUC" with the columns "AUC low" and "AUC high", as fractions in full precision, and no
words; the forms go to the record beside the csv. `cells` puts both together again, and `words` fills the forms.
Rounding happens there and nowhere else.

    python -m dcpriv_lib.results.tables figures/quick/claims.csv

shows a table in words.
"""

import re
import string
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..engine import foreign_text, store

COPIES = {"CIFAR-10-images/train": "CIFAR-10, JPEG copy"}  # compressed anew, so not to be called by the name alone
pd.set_option("display.html.use_mathjax", False)  # a "$" in somebody's name begins no formula
ROUNDING = 1e-9  # of a difference of fractions that were themselves rounded


def data_set(name: str) -> str:
    """Return what a data set is called where its numbers stand; `name` is the notebooks' ``dataset`` parameter."""
    title = next((title for folder, title in COPIES.items() if f"/{name}".endswith(f"/{folder}")), name)
    return foreign_text.plain(title)


# ---------------------------------------------------------------- how numbers are written


@dataclass(frozen=True)
class Cell:
    """Numbers, and how they are written.

    Attributes
    ----------
    form : a text with fields, as in "AUC {:percent} for {:,.0f} people". A field is one of `FIELDS`; or digits and a
        unit, which write a fraction as per cents: "{:.1 %}" is "51.2 %", "{:+.1 points}" is "+1.2 points",
        "{:.1 of 100}" is "51.2"; or a format of Python's for one number: "{:.2f}", "{:g}", "{:.1%}".
    numbers : those of the fields, one after the other.
    """

    form: str
    numbers: tuple[float, ...]

    def __str__(self) -> str:
        """Return the words."""
        return "".join(text + ("" if spec is None else _written(spec, own)) for text, spec, own in self.fields())

    def fields(self) -> list[tuple[str, str | None, list[float]]]:
        """Return every field as the text before it, what stands behind its colon, and its numbers; a last text has
        neither field nor numbers."""
        left, found = list(self.numbers), []
        for text, spec in _parsed(self.form):
            size = 0 if spec is None else len(_parts(spec))
            found.append((text, spec, left[:size]))
            left = left[size:]
        return found


def _parsed(form: str) -> list[tuple[str, str | None]]:
    """Return the pieces of a form: a text, and the field after it or None."""
    return [(literal, spec if name is not None else None) for literal, name, spec, _ in string.Formatter().parse(form)]


def _written(spec: str, numbers: list[float]) -> str:
    if spec in FIELDS:
        return FIELDS[spec].write(*numbers)
    digits, _, unit = spec.partition(" ")
    if not unit:
        return format(numbers[0], spec)
    return f"{100 * numbers[0]:{digits}f}" + ("" if unit == "of 100" else f" {unit}")


def _parts(spec: str) -> tuple[str, ...]:
    return FIELDS[spec].parts if spec in FIELDS else ("",)


def _percent(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return "undefined"
    digits = 1 + (high - low < 0.002 - ROUNDING) + (high - low < 0.0002 - ROUNDING)
    return f"{100 * value:.{digits}f} % [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def _percent_at_fpr(value: float, low: float, high: float, non_members: float) -> str:
    return f"not resolvable at n = {non_members:,.0f}" if np.isnan(value) else _percent(value, low, high)


def _points(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return "undefined"
    digits = next((digits for digits in (1, 2) if all(end == 0 or round(100 * end, digits) for end in (low, high))), 3)
    return f"{100 * value:+z.{digits}f} points [{100 * low:z.{digits}f}, {100 * high:z.{digits}f}]"


def _number(value: float, low: float, high: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:z.2f} [{low:z.2f}, {high:z.2f}]"


def _percent_and_deviation(value: float, low: float, high: float, deviation: float) -> str:
    return f"{_percent(value, low, high)} ± {100 * deviation:.1f}"


def _spread(mean: float, deviation: float) -> str:
    return f"{100 * mean:.1f}" + ("" if np.isnan(deviation) else f" ± {100 * deviation:.1f}")


def _bound(shown: float, most: float) -> str:
    return f"{shown:.2f} (of {most:.2f})"


def _count_and_papers(count: float, papers: float) -> str:
    return f"{count:,.0f}" + ("" if np.isnan(papers) else f" (paper: {papers:,.0f})")


@dataclass(frozen=True)
class Field:
    """How several numbers are written as one, and what each is called behind the name of its column."""

    write: Callable[..., str]
    parts: tuple[str, ...] = ("", " low", " high")


FIELDS = {
    "percent": Field(_percent),
    "percent at fpr": Field(_percent_at_fpr, ("", " low", " high", " n")),
    "points": Field(_points),
    "number": Field(_number),
    "percent and deviation": Field(_percent_and_deviation, ("", " low", " high", " deviation")),
    "spread": Field(_spread, ("", " deviation")),
    "bound": Field(_bound, ("", " at most")),
    "count and paper's": Field(_count_and_papers, ("", " paper")),
}


def percent(value: float, low: float, high: float) -> Cell:
    """Return "51.2 % [50.1, 52.3]" for fractions; "undefined" for NaN.

    An interval narrower than 0.2 % gets two decimals, "0.01 % [0.00, 0.04]", and one narrower than 0.02 % three: with
    fewer, both ends could look alike.
    """
    return some("percent", value, low, high)


def percent_at_fpr(value: float, low: float, high: float, non_members: int) -> Cell:
    """Return `percent` of a `metrics.tpr_at_fpr`, or "not resolvable at n = 80" for 80 non-members."""
    return some("percent at fpr", value, low, high, non_members)


def points(value: float, low: float, high: float) -> Cell:
    """Return "+1.2 points [-0.3, 2.7]" for differences of fractions.

    The side on which an interval ends decides a verdict. So where an end would be rounded to 0.0, there are two
    decimals, "[-0.03, 2.71]", or three; "undefined" for NaN.
    """
    return some("points", value, low, high)


def number(value: float, low: float, high: float) -> Cell:
    """Return "1.52 [1.10, 2.01]"; "undefined" for NaN."""
    return some("number", value, low, high)


def spread(values: pd.Series) -> Cell:
    """Return "51.2 ± 0.3", mean and standard deviation of fractions in per cent; one value has no deviation."""
    return some("spread", values.mean(), values.std() if len(values) > 1 else np.nan)


def plain(value: float, form: str) -> Cell:
    """Return one number in a form: "{:.1 %}", "{:+.1 points}", "x {:.1f}"; see `Cell`."""
    return Cell(form, (_own(value),))


def count(number: int) -> Cell:
    """Return "1,797"."""
    return plain(number, "{:,.0f}")


def plain_column(values, form: str, otherwise: str = "-") -> list[Cell | str]:
    """Return one number a row, each `plain`; `otherwise` for NaN."""
    return [otherwise if np.isnan(value) else plain(value, form) for value in values]


def some(spec: str, *numbers) -> Cell:
    """Return numbers written as one of `FIELDS`."""
    return Cell(f"{{:{spec}}}", tuple(map(_own, numbers)))


def sentence(form: str, *parts) -> Cell:
    """Return cells and texts put into the gaps of a text: ``sentence("AUC {}", percent(0.5, 0.4, 0.6))``."""
    fills = [part.form if isinstance(part, Cell) else _text(str(part)) for part in parts]
    numbers = tuple(number for part in parts if isinstance(part, Cell) for number in part.numbers)
    return Cell(
        "".join(_text(literal) + (fills.pop(0) if spec is not None else "") for literal, spec in _parsed(form)), numbers
    )


def joined(parts, between: str = ", ") -> Cell:
    """Return cells and texts, one after the other, with a text between them."""
    parts = list(parts)
    return sentence(_text(between).join(["{}"] * len(parts)), *parts)


def rates(frame: pd.DataFrame, name: str, write: Callable[..., Cell] = percent) -> list[Cell]:
    """Return the columns `name`, `name`_low and `name`_high of a table as cells, one a row."""
    return [write(*row) for row in frame[[name, f"{name}_low", f"{name}_high"]].to_numpy()]


def _own(number):
    """Return a number as Python's own."""
    return number.item() if isinstance(number, np.generic) else number


def _text(text: str) -> str:
    """Return a text as the form that is written like it."""
    return text.replace("{", "{{").replace("}", "}}")


# ---------------------------------------------------------------- a table's numbers, and its words


def numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, dict]]:
    """Return a table without words, and the forms that `cells` needs to bring them back.

    A column whose cells have one form without words of its own becomes a column of each of its numbers. One text may
    stand where a row has no number, as "-" does. Any other column keeps its forms, row by row, and is followed by
    columns of their numbers: "this run", "this run 1", "this run 1 low" and so on.

    Parameters
    ----------
    frame : a table with columns of cells, numbers and texts.

    Returns
    -------
    flat : DataFrame of numbers and texts, the columns in the same order.
    forms : JSON: name of a column of cells to {"form": ..., "otherwise": ...}; the form is None where each row has its
        own.
    """
    columns, forms = {}, {}
    for name in frame:
        column = list(frame[name])
        if any(isinstance(one, Cell) for one in column):
            forms[name] = _form(column)
            columns |= _flat(name, column, forms[name])
        else:
            columns[name] = column
    return pd.DataFrame(columns), forms


def _form(column: list) -> dict:
    """Return the one form of a column's cells and the text that stands where there is none, or None for both."""
    written = [one for one in column if isinstance(one, Cell)]
    texts = {one for one in column if not isinstance(one, Cell)}
    empty = any(isinstance(number, float) and np.isnan(number) for one in written for number in one.numbers[:1])
    if len({one.form for one in written}) > 1 or len(texts) > 1 or (texts and empty) or _speaks(written[0].form):
        return {"form": None, "otherwise": None}
    return {"form": written[0].form, "otherwise": next(iter(texts), None)}


def _speaks(form: str) -> bool:
    """Return whether there are words beside the fields, as in "AUC {:percent}"."""
    return any(re.search("[A-Za-z]{2}", literal) for literal, _ in _parsed(form))


def _flat(name: str, column: list, form: dict) -> dict[str, list]:
    """Return the columns of a column of cells; NaN where a row has no such number."""
    own = [one.form if isinstance(one, Cell) else _text(str(one)) for one in column]
    named = list(dict.fromkeys(part for one in own for part in _names(name, one, form["form"] is not None)))
    rows = [
        dict(zip(_names(name, one.form, form["form"] is not None), one.numbers)) if isinstance(one, Cell) else {}
        for one in column
    ]
    own_forms = {} if form["form"] is not None else {name: own}
    return own_forms | {part: [row.get(part, np.nan) for row in rows] for part in named}


def _names(name: str, form: str, alone: bool) -> list[str]:
    """Return the names of the columns of a form's numbers; if it stands `alone`, its first has the column's name."""
    specs = [spec for _, spec in _parsed(form) if spec is not None]
    return [
        name + ("" if alone and position == 1 else f" {position}") + part
        for position, spec in enumerate(specs, 1)
        for part in _parts(spec)
    ]


def cells(flat: pd.DataFrame, forms: dict[str, dict]) -> pd.DataFrame:
    """Return the table that `numbers` took apart."""
    return pd.DataFrame({name: _column(flat, name, forms) for name in _columns(flat, forms)})


def _columns(flat: pd.DataFrame, forms: dict[str, dict]) -> list[str]:
    """Return the columns of the table that `numbers` took apart, in its order."""
    parts = {part for name, form in forms.items() for part in _parts_of(flat, name, form)} - set(forms)
    return [name for name in flat if name not in parts]


def _parts_of(flat: pd.DataFrame, name: str, form: dict) -> list[str]:
    if form["form"] is not None:
        return _names(name, form["form"], True)
    return [part for one in flat[name] for part in _names(name, one, False)]


def _column(flat: pd.DataFrame, name: str, forms: dict[str, dict]) -> list | pd.Series:
    if name not in forms:
        return flat[name]
    form = forms[name]["form"]
    own = [form] * len(flat) if form is not None else list(flat[name])
    filled = [
        Cell(one, tuple(flat.at[row, part] for part in _names(name, one, form is not None)))
        for row, one in zip(flat.index, own)
    ]
    if form is None:
        return [one if one.numbers else str(one) for one in filled]
    otherwise = forms[name]["otherwise"]
    return [otherwise if otherwise is not None and np.isnan(one.numbers[0]) else one for one in filled]


def words(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its cells as texts."""
    return frame.map(lambda one: str(one) if isinstance(one, Cell) else one)


def keep(path: Path, frame: pd.DataFrame, inputs: dict, note: str = "") -> None:
    """Keep the numbers of a table as .csv; its forms and the note go to the record beside it, with the inputs."""
    flat, forms = numbers(frame)
    store.export_table(path, flat, inputs, forms=forms, note=note)


def read(path: Path) -> pd.DataFrame:
    """Return what `keep` kept: cells, numbers and texts."""
    flat, record = store.read_exported(path)
    return cells(flat, record.get("forms", {}))


def markdown(frame: pd.DataFrame, note: str = "") -> str:
    """Return a table in words as markdown, without its index, and a note below it.

    No text of the table is markup: names of classes and files are shown as they are.
    """
    shown_ = words(frame).map(_cell).rename(columns=_cell)
    names = [number for number, column in enumerate(frame) if any(map(_like_a_float, frame[column]))]
    return shown_.to_markdown(index=False, disable_numparse=names) + (f"\n\n*{note}*" if note else "")


def _cell(one):
    return foreign_text.in_markdown(one) if isinstance(one, str) else one


def _like_a_float(one) -> bool:
    """Return whether something is a text that would be rounded if it were taken for a number: a class "1e5"."""
    if not isinstance(one, str) or one.isdecimal():
        return False
    try:
        float(one)
    except ValueError:
        return False
    return True


def shown(frame: pd.DataFrame, note: str = "", said: str = ""):
    """Return a table, what it says, and a note, in a form that notebooks, HTML pages and code hosts all show."""
    from IPython.display import Markdown  # here, because only notebooks have it to show anything

    return Markdown("\n\n".join(filter(None, (markdown(frame), said, note and f"*{note}*"))))


if __name__ == "__main__":
    print(markdown(read(Path(sys.argv[1]))))
