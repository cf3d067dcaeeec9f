"""Sentences about wrong values: what was given, what was expected, and what was probably meant."""

import difflib
import reprlib
from collections.abc import Collection


class ParameterError(ValueError):
    """A parameter has a wrong value, or a variable is no parameter."""


def check_at_most(name: str, value: int, most: int, what: str) -> None:
    """Raise ParameterError if `value` is above `most`, which only the data or other files tell.

    `what` is counted by `most`, for the message: "members".
    """
    if value > most:
        raise ParameterError(f"{name} = {value:,}: there are {most:,} {what}, expected at most that many")


def as_list(value) -> list:
    """Return a list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def per_ipc(name: str, value: int | list[int], ipcs: list[int]) -> dict[int, int]:
    """Return the parameter `value` of each ipc: one number for all, or one for each.

    Raises
    ------
    ParameterError
        If `value` has neither one entry nor as many as `ipcs`.
    """
    values = as_list(value)
    if len(values) not in (1, len(ipcs)):
        raise ParameterError(
            f"{name} = {in_words(value)}: expected one number, or {len(ipcs)}, one for each of ipc = {ipcs}"
        )
    return dict(zip(ipcs, values * len(ipcs) if len(values) == 1 else values))


def nearest(word: str, known: Collection[str]) -> str:
    """Return the end of an error message: the one of `known` that was probably meant, or all of them."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else f": choose from {', '.join(known)}"


def check_known(name: str, value: str, known: Collection[str]) -> None:
    """Raise ValueError if `value` is none of `known`, naming the nearest; `name` says what it is: "method"."""
    if value not in known:
        raise ValueError(f"{name} = {value!r}: there is no such {name}{nearest(value, known)}")


def in_words(value) -> str:
    """Return a value for a message, on one line and not longer than needed."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 100
    return short.repr(value)
