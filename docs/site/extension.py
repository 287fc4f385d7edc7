"""Extension: connects the parts of the site to Sphinx."""

from typing import Any

from sphinx.application import Sphinx

from docs.site import single_file
from docs.site.accessible import mend_pages
from docs.site.diagrams import Diagram
from docs.site.public import example_of, public_names
from docs.site.signatures import signature_of


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the parts, as Sphinx asks of an extension."""
    app.add_directive("mermaid", Diagram)
    app.connect("autodoc-process-signature", _sign)
    app.connect("autodoc-process-docstring", _show_example)
    app.connect("build-finished", mend_pages)
    app.connect("build-finished", single_file.write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _sign(*event: Any) -> tuple[str | None, str | None]:
    _app, _what, _name, candidate, _options, signature, returns = event
    return signature_of(candidate) or (signature, returns)


def _show_example(*event: Any) -> None:
    """Add a line to the docstring of a public name: the page that uses it."""
    _app, _what, name, candidate, _options, lines = event
    package, _, public = name.rpartition(".")
    if (package, public) in public_names() and (page := example_of(public, candidate)):
        lines += ["", f"Example: :doc:`/{page}`.", ""]
