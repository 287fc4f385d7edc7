"""Conf: how Sphinx builds these pages."""

project = "Arvo for Python"
copyright = "the authors of Arvo for Python"  # noqa: A001 - Sphinx's word
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build", "examples"]

html_theme = "furo"
html_title = "Arvo for Python"
html_show_sourcelink = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# A mermaid block is a drawing here as it is where the file is read as it stands.
myst_fence_as_directive = {"mermaid"}

# Docstrings write names in single backquotes.
default_role = "literal"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"exclude-members": "__init__"}
