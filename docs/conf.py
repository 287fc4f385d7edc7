"""Conf: how Sphinx builds these pages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

project = "Arvo for Python"
copyright = "the authors of Arvo for Python"  # noqa: A001 - Sphinx's word
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "docs.site.extension"]
exclude_patterns = ["_build", "examples", "site"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = "Arvo for Python"
html_show_sourcelink = False
html_show_sphinx = False

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
# The buttons leave out the prompts and the output of a session.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# A mermaid block is a drawing here as it is where the file is read as it stands.
myst_fence_as_directive = {"mermaid"}

# Docstrings write names in single backquotes.
default_role = "literal"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
# `Event` of `arvo`, and the one of `arvo.statechart`: the module of the page decides.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"exclude-members": "__init__"}
