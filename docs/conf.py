"""Sphinx settings: `sphinx-build -W docs docs/_build` from the repository's root."""

import sys
from pathlib import Path

import mixtura

sys.path.insert(0, str(Path(__file__).parent))
import pictures

project = "Mixtura"
author = "The Mixtura developers"
copyright = "2026, The Mixtura developers"
release = version = mixtura.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "generated/.*"]
templates_path = ["_templates"]

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say it better
numpydoc_show_class_members = False  # the class template lists them
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_static_path = ["_static"]
html_theme = "pydata_sphinx_theme"
html_title = "Mixtura"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"**": []}
html_show_sourcelink = False


def setup(app):
    """The page in which EM is watched is made anew, as it is large."""
    app.connect("builder-inited", lambda app: pictures.watch(Path(app.srcdir) / "_static" / "watch.html"))
