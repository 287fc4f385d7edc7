"""Diagrams: draws the Mermaid of a page when the site is built, so that readers need no network."""

import re
from html import escape
from typing import Final

import mermaidx
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

_ROOT: Final = re.compile(r'<svg id="([^"]+)"')


class Diagram(SphinxDirective):
    """The directive `mermaid`: an SVG in the page, with its source as the text alternative."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Draw the content; raises where Mermaid refuses it, which ends the build."""
        source = "\n".join(self.content)
        drawn = str(mermaidx.render(source).svg())
        found = _ROOT.match(drawn)
        assert found is not None, drawn[:100]
        # Each drawing has the same id, which its styles and arrows refer to.
        number = self.env.new_serialno("diagram")
        drawn = drawn.replace(found[1], f"diagram-{number}")
        label = escape(" ".join(source.split()), quote=True)
        drawn = drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
        return [nodes.raw("", f'<div class="diagram" tabindex="0">{drawn}</div>', format="html")]
