"""Sphinx settings: `make docs`, or sphinx-build -W --keep-going -b html docs docs/_build/html."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]

import noptoolkit  # noqa: E402

project = "noptoolkit"
author = "The noptoolkit developers"
copyright = "2026, the noptoolkit developers"
version = release = noptoolkit.__version__
language = "en-GB"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "equations",
    "from_the_code",
    "live_report",
    "local_links",
    "pictures",
]
exclude_patterns = ["_build", "auto_gallery/**/*.ipynb", "auto_gallery/**/*.py"]
templates_path = ["_templates"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
nitpicky = False
default_role = "py:obj"
highlight_language = "none"

html_theme = "furo"
html_title = f"noptoolkit {release}"
html_math_renderer = "outlines"
html_static_path = ["_static"]
html_css_files = ["noptoolkit.css"]
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
python_maximum_signature_line_length = 90
autodoc_member_order = "bysource"
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

suppress_warnings = ["config.cache"]

sphinx_gallery_conf = {
    "examples_dirs": "../gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"plot_\d+_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "image_srcset": ["2x"],
    "ignore_repr_types": r"matplotlib|list|numpy",
    "write_computation_times": False,
}
