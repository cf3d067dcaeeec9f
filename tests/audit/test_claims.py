"""The grammar of claims."""

import pytest

from dcpriv_lib.audit import claims
from dcpriv_lib.engine.errors import ParameterError


def test_the_example_of_the_help():
    found = claims.read("AUC <= 52 %, TPR at 0.1 % FPR <= 0.3 %, nobody above 1 in 1,000, epsilon <= 3")
    assert [claim.kind for claim in found] == ["auc", "tpr", "nobody", "epsilon"]
    assert [claim.most for claim in found] == pytest.approx([0.52, 0.003, 0.001, 3.0])
    assert [claim.fpr for claim in found] == pytest.approx([0.0, 0.001, 0.001, 0.0])
    assert found[2].text == "nobody above 1 in 1,000"


@pytest.mark.parametrize(
    ("text", "kind", "most", "fpr"),
    [
        ("auc<=0.52", "auc", 0.52, 0.0),
        ("AUC at most 55%", "auc", 0.55, 0.0),
        ("tpr @ 1% <= .02", "tpr", 0.02, 0.01),
        ("Nobody above 1 in 200", "nobody", 0.005, 0.005),
        ("exchange epsilon <= 6.5", "exchange epsilon", 6.5, 0.0),
    ],
)
def test_other_ways_to_write_them(text, kind, most, fpr):
    (found,) = claims.read(text)
    assert (found.kind, found.most, found.fpr) == (kind, pytest.approx(most), pytest.approx(fpr))


@pytest.mark.parametrize("text", ["", " , ", "safe", "AUC < 52 %", "nobody above 3 in 1,000", "TPR <= 1 %"])
def test_what_is_no_claim_is_told_the_forms(text, refused):
    with refused(ParameterError, "CLAIM", "'AUC <= 52 %'", "nobody above 1 in 1,000"):
        claims.read(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("AUC <= 52", "not 'AUC <= 52'"),
        ("AUC <= 40 %", "50 % or more"),
        ("epsilon <= 3 %", "no share"),
        ("nobody above 1 in 1", "1 in 2"),
        ("TPR at 0 % FPR <= 1 %", "from 0 to 100 %"),
    ],
)
def test_impossible_numbers(text, word, refused):
    with refused(ParameterError, "CLAIM", word):
        claims.read(text)
