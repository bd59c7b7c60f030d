"""Sphinx settings: `sphinx-build -W docs docs/_build` from the repository's root."""

import sys
from pathlib import Path

import mixtura

sys.path.insert(0, str(Path(__file__).parent))
import links
import mathml
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
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "generated/.*", "gallery/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
nitpicky = True  # a name that leads nowhere is a warning, and warnings are errors
nitpick_ignore_regex = [("py:.*", ".*")]  # but types in signatures are words, not links

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say it better
numpydoc_show_class_members = False  # the class template lists them
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py",  # all are run
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("matplotlib", "pictures.scrape"),
    "capture_repr": ("_repr_html_", "__repr__"),
    "ignore_repr_types": r"(matplotlib|mixtura\.plot)",
    "backreferences_dir": None,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 30,
    "thumbnail_size": (480, 336),
}

html_static_path = ["_static"]
html_css_files = ["mixtura.css"]
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}
html_theme = "pydata_sphinx_theme"
html_title = "Mixtura"
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "gallery/index": []},
    "show_prev_next": False,
    "show_toc_level": 2,
}
html_sidebars = {"index": [], "quickstart": [], "gallery/*": []}
html_show_sourcelink = False


def setup(app):
    """The page in which EM is watched is made anew, as it is large; in the end, every link is followed."""
    mathml.setup(app)
    app.connect("builder-inited", lambda app: pictures.watch(Path(app.srcdir) / "_static" / "watch.html"))
    app.connect("build-finished", links.check)
