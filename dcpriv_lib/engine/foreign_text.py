"""Text that is not ours, names of classes and of files above all, on its way to people.

A name may hold whatever a file system lets it hold: `<script>`, a link, `$`, line breaks, the escapes that move a
terminal's cursor. Here it becomes text that shows itself and does nothing. `plain` is for where a name enters (a data
set, a file made elsewhere) and for terminals; `in_markdown`, `in_figure` and `in_file_name` are for where it is shown.
None of them changes a name of letters, digits, spaces, dots, commas, hyphens and underscores between these.
"""

import html
import re
import textwrap
from collections.abc import Iterable

LONGEST = 100  # characters of a name that are shown
LONGEST_IN_FIGURE = 60  # a longer one leaves no room for the curves
LINE_IN_FIGURE, BROKEN = 36, 24  # a longer one stands in several lines, each of at most the second number

# Whatever begins something in Jupyter's markdown, GitHub's or the report's, and what would end a table's cell or
# row. A bracket before a number is left as it is, for intervals, and so is a "~" before one, for "~99 %".
ACTIVE = re.compile(
    r"[&<>|$\\`*@]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; not between letters or digits
    r"|(?<!^)~|~(?!\d)"
    r"|\[(?![-+\d])|\](?=[(\[])|(?<!\d)\](?=:)|!(?=\[)"
    r"|:(?=//)|(?<=www)\.",  # addresses, which become links by themselves
    re.IGNORECASE,
)


def plain(text: object, longest: int | None = LONGEST) -> str:
    """Return a text, or what anything else is as a text, as one line that any terminal shows and none obeys.

    Characters that are not printable (controls, line breaks, escapes, those that turn the direction of writing, halves
    of surrogates) stand as Python writes them: ``\\n``, ``\\x1b``, ``\\u202e``. Of more than `longest` characters the
    middle is left out; None leaves all in.
    """
    found = "".join(one if one.isprintable() or one == "\N{NO-BREAK SPACE}" else _escaped(one) for one in str(text))
    if longest is None or len(found) <= longest:
        return found
    end = (longest - 3) * 2 // 5
    return f"{found[: longest - 3 - end]}...{found[-end:]}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def distinct(names: Iterable[str], longest: int = LONGEST) -> list[str]:
    """Return every name `plain`; those that would look like another get a number: "name (2)"."""
    found: list[str] = []
    for name in names:
        shown, number = plain(name, longest), 1
        while shown in found:
            number += 1
            shown = f"{plain(name, longest)} ({number})"
        found.append(shown)
    return found


def several(names: Iterable[str], most: int = 8, longest: int = 40) -> str:
    """Return the first names, each `plain` and at most `longest` characters long, and how many more there are."""
    names = list(names)
    shown = ", ".join(plain(name, longest) for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def in_markdown(text: str) -> str:
    """Return markdown that shows a text as it is inside a line or a table's cell: no markup, link, formula or new cell.

    What would be active is written as HTML's character references, which no kind of markdown takes for anything else.
    Dollars and backslashes are each put into an element of their own, because MathJax looks for formulas in what has
    been rendered, and finds none that is in several elements.
    """
    return ACTIVE.sub(_reference, plain(text, None))


def _reference(found: re.Match) -> str:
    reference = f"&#{ord(found[0])};"
    return f"<span>{reference}</span>" if found[0] in "$\\" else reference


def from_markdown(markdown: str) -> str:
    """Return the text that `in_markdown` made markdown of."""
    return html.unescape(re.sub("</?span>", "", markdown))


def in_figure(text: str, longest: int = LONGEST_IN_FIGURE) -> str:
    """Return a text that matplotlib draws as it is: a dollar begins no formula, and a first "_" hides no legend.

    Of more than `longest` characters the middle is left out, and a text of more than `LINE_IN_FIGURE` is broken.
    """
    shown = plain(text, longest)
    if len(shown) > LINE_IN_FIGURE:
        shown = "\n".join(textwrap.wrap(shown, BROKEN, break_on_hyphens=False)) or shown
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def in_file_name(text: str, longest: int = 90) -> str:
    """Return a text as a part of a file's name that needs no quotes anywhere; "_" if it is empty."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:longest] or "_"
