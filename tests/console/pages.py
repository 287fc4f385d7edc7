"""Pages: reads the HTML of a page as a browser would, and checks its structure."""

from html.parser import HTMLParser
from itertools import pairwise
from typing import Final

import httpx
from attrs import define, field

# Elements without an end tag (HTML Living Standard §13.1.2).
VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
# What a page must have once, and what it must not have at all: the policy would block it.
INLINE: Final = ("onclick", "onerror", "onload", "style", "hx-on")


@define
class Element:
    """An element with its attributes, and the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@define
class ReadPage(HTMLParser):
    """A page: its elements in order, its links, and what is wrong with its nesting."""

    elements: list[Element] = field(factory=list)
    faults: list[str] = field(factory=list)
    _open: list[Element] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice")
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Close an element; anything between must be closed."""
        if not self._open or self._open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes {[it.tag for it in self._open[-3:]]}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Add a text to each element around it."""
        for element in self._open:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        """Return the elements of one kind."""
        return [it for it in self.elements if it.tag == tag]

    def text_of(self, tag: str) -> str:
        """Return the texts of the elements of one kind, together."""
        return "\n".join(it.text for it in self.all(tag))

    @property
    def links(self) -> set[str]:
        """The addresses that the page leads to, or loads."""
        found = set()
        for element in self.elements:
            for name in ("href", "src", "action", "hx-get", "hx-post", "formaction"):
                if name in element.attributes:
                    found.add(element.attributes[name])
        return found


def read_page(text: str) -> ReadPage:
    """Read a page, and assert what holds of every page."""
    page = ReadPage()
    page.feed(text)
    page.close()
    assert text.startswith("<!doctype html>")
    assert page.faults == []
    assert [it.tag for it in page._open] == []
    assert [it.attributes.get("lang") for it in page.all("html")] == ["en"]
    for once in ("head", "main", "h1", "header"):
        assert len(page.all(once)) == 1, once
    # A drawing has a title as well.
    assert text.partition("</head>")[0].count("<title>") == 1
    ids = [it.attributes["id"] for it in page.elements if "id" in it.attributes]
    assert len(ids) == len(set(ids)), sorted(ids)
    _check_policy(page)
    _check_access(page, set(ids))
    return page


async def crawl(browser: httpx.AsyncClient, *starts: str) -> dict[str, httpx.Response]:
    """Follow each link from *starts* on, and read each page; return what is at each address."""
    seen: dict[str, httpx.Response] = {}
    found = list(starts)
    while found:
        path = found.pop()
        if path in seen or path.startswith("#"):
            continue
        answer = await browser.get(path)
        seen[path] = answer
        if answer.headers.get("content-type", "").startswith("text/html"):
            found += sorted(read_page(answer.text).links)
    return seen


def _check_policy(page: ReadPage) -> None:
    assert page.all("style") == []
    assert [it for it in page.all("script") if not it.attributes.get("src") or it.text] == []
    for element in page.elements:
        assert not element.attributes.keys() & set(INLINE), element
        assert not element.attributes.get("href", "").startswith("javascript:")


def _check_access(page: ReadPage, ids: set[str]) -> None:
    labelled = {it.attributes.get("for") for it in page.all("label")}
    for element in page.elements:
        attributes = element.attributes
        for name in ("aria-labelledby", "aria-describedby", "for"):
            if name in attributes:
                assert set(attributes[name].split()) <= ids, (name, attributes[name])
        if element.tag == "th":
            assert attributes.get("scope") in ("row", "col")
        if element.tag in ("input", "select", "textarea") and attributes.get("type") != "hidden":
            assert attributes.get("id") in labelled, attributes
        if element.tag in ("a", "button"):
            assert element.text.strip() or "aria-label" in attributes or _is_drawn(element), element
        if element.tag == "nav":
            assert "aria-label" in attributes
        if attributes.get("role") == "region":
            assert "aria-label" in attributes
    assert len(page.all("table")) == len(page.all("caption"))
    levels = [int(it.tag[1]) for it in page.elements if it.tag in ("h1", "h2", "h3", "h4")]
    # The heading of the dialog comes last, and begins anew.
    assert all(after <= before + 1 for before, after in pairwise(levels))


def _is_drawn(element: Element) -> bool:
    # A mark in a drawing has a title inside it, whose text belongs to the link.
    return element.attributes.get("tabindex") == "-1"
