"""Sentences about wrong values: what was given, what was expected, and what was probably meant."""

import ast
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
        raise ParameterError(too_large(name, value, most, what))


def too_large(name: str, value: int | list[int], most: int, what: str) -> str:
    """Return the sentence about a parameter that is, or has an entry, above `most` (see `check_at_most`)."""
    shown = in_words(value) if isinstance(value, list) else f"{value:,}"
    return f"{name} = {shown}: there are {most:,} {what}, expected at most that many"


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
    """Return a value for a message, on one line and of at most 100 characters."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 100
    try:
        text = " ".join(short.repr(value).splitlines())
    except ValueError:  # Python prints no whole number of more than 4,300 digits
        text = f"<{type(value).__name__} too long to print>"
    return text if len(text) <= 100 else f"{text[:60]}...{text[-37:]}"


def expected(schema: dict) -> str:
    """Return in words what a JSON schema allows, to end "expected ..."; its "description", if it has one."""
    if "description" in schema:
        return schema["description"]
    if "anyOf" in schema:
        one, *others = schema["anyOf"]
        if [other.get("items") for other in others] == [one]:
            return f"{expected(one)}, or a list of these{_twice(others[0])}"
        return ", or ".join(map(expected, schema["anyOf"]))
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"a list, each {expected(schema.get('items', {}))}{_twice(schema)}"
    return _number(schema) or {"string": "text", "boolean": "True or False"}.get(
        schema.get("type", ""), "something else"
    )


def _twice(schema: dict) -> str:
    return ", none of them twice" if schema.get("uniqueItems") else ""


def _number(schema: dict) -> str:
    """Return in words which numbers a JSON schema allows; nothing if it is about something else."""
    kind = {"integer": "a whole number", "number": "a number"}.get(schema.get("type", ""), "")
    form = "," if kind == "a whole number" else "g"
    ends = [format(schema[end], form) if end in schema else "" for end in ("minimum", "maximum")]
    if ends[0] and ends[0] == ends[1]:
        return ends[0]
    even = kind.replace("a whole", "an even whole") if schema.get("multipleOf") == 2 else kind
    return even + "".join(f" {word} {end}" for word, end in zip(("from", "to"), ends) if end)


def nearest_word(schema: dict, value) -> str:
    """Return the end of an error message: the word that was probably meant, where a JSON schema allows some words."""
    words = [str(word) for word in schema.get("enum") or schema.get("items", {}).get("enum", [])]
    right = [] if "enum" in schema else words
    for entry in as_list(value):
        if type(entry) is str and entry not in right:
            near = difflib.get_close_matches(entry, words, n=1, cutoff=0.5)
            return f"; did you mean {near[0]!r}?" if near else ""
    return ""


def without_quotes(value):
    """Return what a text, or the texts of a list, say in Python; the value itself if they say nothing."""
    try:
        if type(value) is list:
            return [ast.literal_eval(entry) if type(entry) is str else entry for entry in value]
        return ast.literal_eval(value) if type(value) is str else value
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return value
