"""Sphinx's configuration for the report's pages; `report.write` gives it the sources, and what only a run knows."""

project = "dcpriv"
author = "The dcpriv contributors"
copyright = "The dcpriv contributors"
html_title = "Does dataset condensation protect the people in the training data?"
extensions = ["myst_nb", "sphinx_design", "sphinxcontrib.bibtex", "dcpriv_lib.results.pages.extension"]
templates_path = ["templates"]

# The notebooks are shown as they were run.
nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # tables and formulas in outputs too
nb_ipywidgets_js = {}  # they would come from a network
nb_code_prompt_show = "Show {type}"
nb_code_prompt_hide = "Hide {type}"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = {"http": None, "https": None, "page": "{{path}}#{{fragment}}", "file-of-site": "{{path}}"}
smartquotes = False  # names stand as they are
html_math_renderer = "mathml"

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"

html_theme = "sphinx_book_theme"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/favicon.svg"
html_copy_source = False
html_use_index = False
html_show_search_summary = False  # it would be fetched, which browsers refuse without a server
html_show_copyright = False
html_show_sphinx = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "dcpriv"},
    "home_page_in_toc": True,
    "navbar_start": [],
    "navbar_persistent": [],
    "show_toc_level": 2,
    "max_navbar_depth": 2,
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    # These two have handlers in attributes, which the policy forbids; each notebook has a button of its own.
    "use_download_button": False,
    "use_fullscreen_button": False,
}
