"""What the report's pages need beyond Sphinx and its theme: a wall against foreign markup, and equations as MathML.

The wall has two sides. `OnlyOurMarkup` lets no markup, picture or file into a page that is not the report's own,
whatever an output of a notebook says. `with_policy` then tells browsers to load nothing but the files beside the
page, and to run nothing else that is written in it than the lines of the theme that are listed here.
"""

import base64
import hashlib
import re
from html import escape, unescape
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

PASSES = {"<br>", "<br />\n", "<span>", "</span>"}  # of HTML in markdown; the second is a line that ends in "\\"
PICTURES = re.compile(r"pictures/[\w.-]+\.(png|svg)")
TABLE = "text_html"  # the class of what `sources` has cleaned
# The lines of script that the theme writes into its pages. A page has no others, or these do not run.
THEME = re.compile(
    r"\s*(?:"
    r"DOCUMENTATION_OPTIONS\.\w+ = (?:true|false|'[\w./-]*')\s*;?"
    r'|document\.documentElement\.dataset\.mode = localStorage\.getItem\("mode"\) \|\| "auto";\s*'
    r'document\.documentElement\.dataset\.theme = localStorage\.getItem\("theme"\) \|\| "auto";'
    r"|// Activate the search field on page load\s*"
    r'let searchInput = document\.querySelector\("form\.bd-search input"\);\s*'
    r"if \(searchInput\) \{\s*searchInput\.focus\(\);\s*searchInput\.select\(\);\s*"
    r'console\.log\("\[PST\]: Set focus on search field\."\);\s*\}'
    r")\s*"
)
INLINE = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
# "file:" beside 'self', for browsers in which a page on a disk has no origin of its own.
POLICY = (
    "default-src 'none'; img-src 'self' file: data:; style-src 'self' file: 'unsafe-inline'; font-src 'self' file:; "
    "script-src 'self' file:{hashes}; base-uri 'none'; form-action 'self' file:"
)


class OnlyOurMarkup(SphinxTransform):
    """Show HTML as text unless it `PASSES`, and leave out pictures and files from elsewhere.

    Then number the equations: "(6.3)" is the third of notebook 6.
    """

    default_priority = 350  # before Sphinx collects the pictures

    def apply(self, **_):
        """Change the document."""
        for node in list(self.document.findall(nodes.raw)):
            if node["format"] != "html":  # LaTeX's line break
                node.parent.remove(node)
            elif node.astext() not in PASSES and TABLE not in node["classes"]:
                text = nodes.Text(unescape(node.astext()))
                inline = isinstance(node.parent, nodes.TextElement)
                node.replace_self(text if inline else nodes.paragraph("", "", text))
        for node in list(self.document.findall(nodes.image)):
            if not PICTURES.fullmatch(node["uri"]):
                node.replace_self(nodes.Text(node.get("alt", "")))
        for node in list(self.document.findall(addnodes.download_reference)):
            node.replace_self(nodes.inline("", node.astext()))
        number = re.match(r"\d*", self.env.docname)[0].lstrip("0")
        for count, node in enumerate(self.document.findall(nodes.math_block), 1):
            node["number"] = f"{number}.{count}" if number else f"{count}"
        for node in self.document.findall(nodes.container):
            if node.get("nb_element") == "cell_code":
                node["ids"] += node["cell_metadata"].get("anchors", [])


def equation(body: str, display: str = "inline") -> str:
    """Return LaTeX as MathML, which browsers draw themselves, or as it is written where it is none."""
    try:
        return convert(body, display=display)
    except Exception:  # latex2mathml raises many kinds, IndexError among them
        return f"<code>{escape(body)}</code>"


def visit_math(translator, node):
    """Write an equation in a line."""
    translator.body.append(equation(node.astext()))
    raise nodes.SkipNode


def visit_math_block(translator, node):
    """Write an equation of its own line, with its number as a link to it."""
    place = f"equation-{node['number'].replace('.', '-')}"
    translator.body.append(
        f'<div class="equation" id="{place}" tabindex="0">{equation(node.astext(), "block")}'
        f'<a class="number" href="#{place}" title="Link to this equation">({node["number"]})</a></div>\n'
    )
    raise nodes.SkipNode


def with_policy(page: str) -> str:
    """Return a page that tells browsers, before anything else, what it may load and run; one that does is returned as
    it is."""
    if '<meta http-equiv="Content-Security-Policy"' in page:
        return page
    own = {script for script in INLINE.findall(page) if THEME.fullmatch(script)}
    found = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in own)
    policy = POLICY.format(hashes="".join(f" 'sha256-{one}'" for one in sorted(found)))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return re.sub(r"<head>", lambda head: f"{head[0]}\n    {meta}", page, count=1)


# What the theme writes, and what a screen reader can use: a fold is named by what it says, the column beside the page
# is a landmark, a list of works has items, and a figure, which a phone shows a part of, can be scrolled by keys.
READABLE = {
    '<summary aria-label="Toggle hidden content">': "<summary>",
    '<summary><span class="toctree-toggle"': '<summary aria-label="its pages"><span class="toctree-toggle"',
    '<div id="pst-primary-sidebar" class': '<div id="pst-primary-sidebar" role="navigation" aria-label="Site" class',
    'role="doc-biblioentry"': 'role="listitem"',
    '<figure class="align-default"': '<figure tabindex="0" class="align-default"',
}


def readable(page: str) -> str:
    """Return a page that a screen reader can read out in full."""
    for written, instead in READABLE.items():
        page = page.replace(written, instead)
    return page


def _finish(app, error):
    if not error:
        for page in Path(app.outdir).rglob("*.html"):
            page.write_text(with_policy(readable(page.read_text())))


def _buttons(app, pagename, templatename, context, doctree):
    """Offer the notebook itself on each page of one, and to launch it where it needs no other's files."""
    if pagename in app.config.dcpriv_notebooks:
        button = {"type": "link", "url": f"notebooks/{pagename}.ipynb", "text": ".ipynb", "icon": "fas fa-download"}
        context["header_buttons"].insert(
            0, button | {"tooltip": "Download this notebook", "label": "download-notebook"}
        )
    if pagename not in app.config.dcpriv_self_contained:
        context["header_buttons"] = [one for one in context["header_buttons"] if one.get("label") != "launch-buttons"]


def _description(app, pagename, templatename, context, doctree):
    """Say what a page is about, for whoever lists it."""
    title = escape(unescape(re.sub(r"<[^>]*>", "", context.get("title", ""))))
    about = f"{title} ({app.config.project}: does dataset condensation protect the people in the training data?)"
    context["metatags"] = f'{context.get("metatags", "")}<meta name="description" content="{about}">'


def setup(app):
    """Tell Sphinx."""
    app.add_config_value("dcpriv_notebooks", [], "html")
    app.add_config_value("dcpriv_self_contained", [], "html")
    app.add_transform(OnlyOurMarkup)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("html-page-context", _buttons, priority=950)
    app.connect("html-page-context", _description)
    app.connect("build-finished", _finish, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
