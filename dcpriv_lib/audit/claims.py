"""What the owner of a set states of it, and what would refute or verify that."""

import re
from dataclasses import dataclass

from ..engine.errors import ParameterError

DEFAULT = "AUC <= 52 %, nobody above 1 in 1,000"
FORMS = (
    "'AUC <= 52 %'",
    "'TPR at 0.1 % FPR <= 0.3 %'",
    "'nobody above 1 in 1,000'",
    "'epsilon <= 3'",
    "'exchange epsilon <= 6'",
)
NUMBER = r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)"
AT_MOST = r"\s*(?:<=|≤|at most|below)\s*"
EXCESS = 3  # times the share that chance allows; if no more members stand above, "nobody above" counts as verified

AUC, TPR, NOBODY, EPSILON, EXCHANGE = "auc", "tpr", "nobody", "epsilon", "exchange epsilon"
PATTERNS = {
    AUC: re.compile(rf"auc{AT_MOST}{NUMBER}"),
    TPR: re.compile(rf"tpr\s*(?:at|@)\s*{NUMBER}\s*(?:fpr)?{AT_MOST}{NUMBER}"),
    NOBODY: re.compile(r"nobody above\s*1\s*in\s*(\d+)"),
    EXCHANGE: re.compile(rf"exchange epsilon{AT_MOST}{NUMBER}"),
    EPSILON: re.compile(rf"(?:epsilon|eps|ε){AT_MOST}{NUMBER}"),
}


@dataclass(frozen=True)
class Claim:
    """One statement.

    Attributes
    ----------
    kind : of what, one of `PATTERNS`.
    most : what is stated at most: a share from 0 to 1, or an epsilon in nats; of "nobody above" the share of people
        held out who stand above.
    fpr : of a true positive rate and of "nobody above", the false positive rate, 0 to 1; else 0.
    text : as it was written.
    """

    kind: str
    most: float
    fpr: float
    text: str


def read(text: str) -> list[Claim]:
    """Return the claims of a comma list, in order.

    A comma between digits belongs to a number, as in "1 in 1,000".

    Raises
    ------
    ParameterError
        Naming the accepted forms, if one is none of them or has an impossible number, or there is none.
    """
    parts = [part.strip() for part in re.split(r",(?!\d{3}\b)", text) if part.strip()]
    if not parts:
        raise ParameterError(f"CLAIM = {text!r}: expected one or more of {', '.join(FORMS)}, with commas between them")
    return [_one(part) for part in parts]


def _one(part: str) -> Claim:
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", part.lower())
    for kind, pattern in PATTERNS.items():
        if found := pattern.fullmatch(plain):
            return _checked(kind, part, found.groups())
    raise ParameterError(
        f"CLAIM: {part!r} is not understood: expected {', '.join(FORMS)}, with other numbers where you like"
    )


def _checked(kind: str, part: str, groups: tuple[str, ...]) -> Claim:
    """Return a claim of which the numbers are possible."""
    if kind == NOBODY:
        number = int(groups[0])
        if number < 2:
            raise ParameterError(f"CLAIM: {part!r}: expected 1 in 2 or more, for instance 1 in 1,000")
        return Claim(kind, 1 / number, 1 / number, part)
    values = [_share(value, percent) for value, percent in zip(groups[::2], groups[1::2])]
    if kind in (EPSILON, EXCHANGE):
        if groups[1]:
            raise ParameterError(f"CLAIM: {part!r}: an epsilon is no share: expected 'epsilon <= 3' without %")
        return Claim(kind, values[0], 0.0, part)
    if not all(0 <= value <= 1 for value in values) or (kind == TPR and not 0 < values[0] < 1):
        raise ParameterError(
            f"CLAIM: {part!r}: expected shares from 0 to 100 %: 'AUC <= 52 %' or 'AUC <= 0.52', not 'AUC <= 52'"
        )
    if kind == AUC and values[0] < 0.5:
        raise ParameterError(f"CLAIM: {part!r}: guessing has an AUC of 50 %: expected 50 % or more")
    return Claim(kind, values[-1], values[0] if kind == TPR else 0.0, part)


def _share(value: str, percent: str) -> float:
    return float(value) / (100 if percent else 1)
