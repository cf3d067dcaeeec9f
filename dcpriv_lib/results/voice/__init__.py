"""What a table of the report says, in a sentence or two made of its cells.

Each function takes a table as `tables.read` returns it, of any run, and returns its words; "" where there is nothing to
say, as of a table from before its columns were what they are. A sentence says no more than its table. It names what the
attacker holds, claims no winner where intervals overlap, and puts what was detectable beside what was not detected.
"""

import re
from collections.abc import Callable

import pandas as pd

from ...engine import foreign_text
from . import asked, controls, guarantees, methods, properties, released
from .wording import Sentence

SENTENCES: dict[str, Callable[[pd.DataFrame], str]] = {
    "targets": asked.rivals,
    "shadows": asked.shadows,
    "table1": asked.accuracies,
    "table2": asked.usual_attacks,
    "recall": asked.recall,
    "every_model": asked.every_model,
    "attacked_targets": asked.attacked_targets,
    "strong_attacks": asked.low_rates,
    "precision_at_priors": asked.precision,
    "epsilon": asked.epsilon,
    "authors_models": asked.authors_models,
    "authors_retrained": asked.authors_retrained,
    "controls": controls.average,
    "equal_accuracy": controls.equal_accuracy,
    "canaries": controls.canaries,
    "dose_and_response": controls.doses,
    "nearest_images": controls.nearest,
    "real_start": controls.started,
    "verdict": controls.verdict,
    "step_sizes": methods.step_sizes,
    "methods_seconds": methods.seconds,
    "across_networks": methods.across,
    "methods": methods.average,
    "methods_at_equal_accuracy": methods.equal_accuracy,
    "methods_shown": methods.shown,
    "methods_ipc": methods.ipc,
    "two_evaluations": methods.two_evaluations,
    "methods_start": methods.starts,
    "methods_crowds": methods.crowds,
    "gradient_checks": properties.gradients,
    "robustness": properties.robustness,
    "fairness": properties.fairness,
    "rank_correlations": properties.correlations,
    "four_properties": properties.four,
    "formal_promises": guarantees.promises,
    "formal_privacy": guarantees.audit,
    "formal_outputs": guarantees.outputs,
    "formal_verdict": guarantees.verdict,
    "released_attacks": released.attacks,
    "two_doors": released.two_doors,
    "canaries_of_doors": released.canaries,
    "special_people": released.special_people,
    "released_updates": released.updates,
    "known_start": released.known_start,
    "released_doses": released.doses,
    "released_everything": released.guarantees,
    "without_references": released.without_references,
    "what_helps": released.what_helps,
}  # the name of a table: who speaks of it

LONG = 60  # words of a sentence that is easier to read as a list
LEAD = re.compile(r"[^%(:;.]*,[^%(:;.]*: ")
# of a part, outside of brackets; what a ceiling leaves is no part
END = re.compile(r"(?:(?<=;)|(?<=[^\W\d_]\.)|(?<=[)\]]\.)) (?![^(]*\))(?!the rest)")


def sentence(name: str, table: pd.DataFrame) -> Sentence:
    """Return what a table of this name says; "" if nobody speaks of it, or if it has no rows or other columns."""
    if name not in SENTENCES or table.empty or lacks(name, table):
        return ""
    return SENTENCES[name](table)


def lacks(name: str, table: pd.DataFrame) -> str:
    """Return the column that a table lacks for its sentence, as one of an older code may; "" if there is a sentence, or
    nothing to say."""
    try:
        SENTENCES[name](table)
    except KeyError as error:
        if (column := str(error.args[0])) in table:  # no column, but a name that the function does not know
            raise
        return column
    return ""


def markdown(name: str, table: pd.DataFrame) -> str:
    """Return `sentence` as a paragraph, or a long one as a list of its parts, in which no name is markup."""
    if not (said := sentence(name, table)):
        return ""
    lead, items = parts(said)
    lead, *items = (foreign_text.in_markdown(part) for part in (lead, *items))
    return "\n".join([f"**In words.** {lead}".rstrip(), *([""] if items else []), *(f"- {item}" for item in items)])


def parts(said: Sentence) -> tuple[str, list[str]]:
    """Return what a long sentence begins with, how or by whom was asked, up to its colon, and the parts that follow;
    of a short one all of it, and none. Put together with spaces they are the sentence."""
    if len(said.split()) <= LONG:
        return said, []
    lead = LEAD.match(said)
    items = END.split(said[lead.end() :] if lead else said)
    return (lead[0].rstrip() if lead else "", items) if len(items) > 1 else (said, [])


def shown(name: str, table: pd.DataFrame):
    """Return `markdown` in a form that notebooks, pages and code hosts all show."""
    from IPython.display import Markdown  # here, because only notebooks have it to show anything

    return Markdown(markdown(name, table))
