"""How numbers are written in the report's tables."""

import numpy as np
import pandas as pd

COPIES = {"CIFAR-10-images/train": "CIFAR-10, JPEG copy"}  # compressed anew, so not to be called by the name alone


def data_set(name: str) -> str:
    """Return what a data set is called where its numbers stand; `name` is the notebooks' ``dataset`` parameter."""
    return next((title for folder, title in COPIES.items() if f"/{name}".endswith(f"/{folder}")), name)


def percent(value: float, low: float, high: float) -> str:
    """Return "51.2 % [50.1, 52.3]" for fractions; "undefined" for NaN.

    An interval narrower than 0.2 % gets two decimals, "0.01 % [0.00, 0.04]", and one narrower than 0.02 % three: with
    fewer, both ends could look alike.
    """
    if np.isnan(value):
        return "undefined"
    digits = 1 + (high - low < 0.002) + (high - low < 0.0002)
    return f"{100 * value:.{digits}f} % [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def percent_at_fpr(value: float, low: float, high: float, non_members: int) -> str:
    """Return `percent` of a `metrics.tpr_at_fpr`, or "not resolvable at n = 80" for 80 non-members."""
    return f"not resolvable at n = {non_members:,}" if np.isnan(value) else percent(value, low, high)


def points(value: float, low: float, high: float) -> str:
    """Return "+1.2 points [-0.3, 2.7]" for differences of fractions.

    The side on which an interval ends decides a verdict. So where an end would be rounded to 0.0, there are two decimals, "[-0.03, 2.71]",
    or three; "undefined" for NaN.
    """
    if np.isnan(value):
        return "undefined"
    digits = next((digits for digits in (1, 2) if all(end == 0 or round(100 * end, digits) for end in (low, high))), 3)
    return f"{100 * value:+z.{digits}f} points [{100 * low:z.{digits}f}, {100 * high:z.{digits}f}]"


def number(value: float, low: float, high: float) -> str:
    """Return "1.52 [1.10, 2.01]"; "undefined" for NaN."""
    return "undefined" if np.isnan(value) else f"{value:z.2f} [{low:z.2f}, {high:z.2f}]"


def rates(frame: pd.DataFrame, name: str, write=percent) -> list[str]:
    """Return the columns `name`, `name`_low and `name`_high of a table as texts, one a row."""
    return [write(*row) for row in frame[[name, f"{name}_low", f"{name}_high"]].to_numpy()]


def spread(values: pd.Series) -> str:
    """Return "51.2 ± 0.3", mean and standard deviation of fractions in per cent; one value has no deviation."""
    return f"{100 * values.mean():.1f}" + (f" ± {100 * values.std():.1f}" if len(values) > 1 else "")


def markdown(frame: pd.DataFrame, note: str = "") -> str:
    """Return a table as markdown, without its index, and a note below it."""
    return frame.to_markdown(index=False) + (f"\n\n*{note}*" if note else "")


def shown(frame: pd.DataFrame, note: str = ""):
    """Return a table, and a note, in a form that notebooks, HTML pages and code hosts all show."""
    from IPython.display import Markdown  # here, because only notebooks have it to show anything
    return Markdown(markdown(frame, note))
