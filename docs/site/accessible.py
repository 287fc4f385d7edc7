"""Accessible: mends what the theme and Sphinx write against the rules of WCAG 2.2 AA."""

import re
from typing import Final

from sphinx.application import Sphinx

# Each pattern fits what Sphinx writes and not what replaces it, as a page may be mended before.
_REPLACED: Final = (
    # A heading must say its level.
    (re.compile(r'(<p class="caption" role="heading")>'), r'\1 aria-level="2">'),
    # The page of search results has none.
    (
        re.compile(r'(<article role="main" id="furo-main-content">\s*)(?=<noscript>)'),
        r"\1<h1>Search</h1>\n",
    ),
    # The corner of a table is no heading.
    (re.compile(r'<th class="head"><p></p></th>'), '<td class="head"></td>'),
    # A keyboard must reach a block that scrolls.
    (re.compile(r"<pre>"), '<pre tabindex="0">'),
    (re.compile(r'(<div class="table-wrapper [^"]*")>'), r'\1 tabindex="0">'),
    # Two landmarks of one kind must have names.
    (
        re.compile(r'<aside class="sidebar-drawer">'),
        '<aside class="sidebar-drawer" aria-label="Pages">',
    ),
    (
        re.compile(r'<aside class="toc-drawer( no-toc)?">'),
        r'<aside class="toc-drawer\1" aria-label="On this page">',
    ),
)
_SIGNATURE: Final = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
# The parameters of a long signature stand in a list of definitions without terms.
_LIST: Final = {
    "<dl>": '<span class="sig-list">',
    "</dl>": "</span>",
    "<dd>": '<span class="sig-item">',
    "</dd>": "</span>",
}


def mend_pages(app: Sphinx, error: Exception | None) -> None:
    """Mend all pages, once they are built."""
    if error is not None or app.builder.format != "html":
        return
    for path in app.outdir.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        mended = mend(text)
        if mended != text:
            path.write_text(mended, encoding="utf-8")


def mend(text: str) -> str:
    """Mend the HTML of a page."""
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return _SIGNATURE.sub(lambda match: _without_list(match[0]), text)


def _without_list(signature: str) -> str:
    for tag, replacement in _LIST.items():
        signature = signature.replace(tag, replacement)
    return signature
