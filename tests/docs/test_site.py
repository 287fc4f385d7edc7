"""Site: the pages as a reader gets them, without a network."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

# Attributes whose address a browser fetches by itself.
FETCHED = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
}


class Page(HTMLParser):
    """The addresses and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = {""}
        self.titles = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the attributes that are addresses and ids."""
        self.titles += tag == "h1"
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if tag == "a" and name == "href" and value:
                self.links.append(value)
            if (tag, name) in FETCHED and value:
                self.fetched.append(value)


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_inside_leads_to_a_page_and_an_anchor(pages: dict[Path, Page]) -> None:
    """A reader who follows a link must not land at the top of the wrong page."""
    broken = [
        f"{path.name}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not is_outside(link) and not leads_somewhere(pages, path, link)
    ]

    assert broken == []


def is_outside(link: str) -> bool:
    return re.match(r"[a-z]+:", link) is not None


def leads_somewhere(pages: dict[Path, Page], path: Path, link: str) -> bool:
    address, anchor = urldefrag(link)
    target = (path.parent / unquote(address)).resolve() if address else path
    if target not in pages:
        return target.is_file()
    return unquote(anchor) in pages[target].anchors


def test_a_page_fetches_nothing_from_another_host(pages: dict[Path, Page], site: Path) -> None:
    """Docs are read behind firewalls, and in trains."""
    fetched = {link for page in pages.values() for link in page.fetched if is_outside(link)}
    imported = re.compile(r"@import|url\(\s*['\"]?https?:")
    styles = [it.name for it in site.rglob("*.css") if imported.search(it.read_text("utf-8"))]

    assert not fetched
    assert styles == []


def test_diagrams_are_drawn_when_the_site_is_built(site: Path) -> None:
    """A browser without a script shows them, and a screen reader reads their source."""
    text = (site / "statecharts.html").read_text(encoding="utf-8")

    drawn = re.findall(r'<svg role="img" aria-label="([^"]+)" id="([^"]+)"', text)

    assert len(drawn) == len({number for _, number in drawn}) == 3
    assert all(label.startswith("stateDiagram-v2") for label, _ in drawn)
    assert 'class="mermaid"' not in text


def test_blocks_of_code_can_be_copied_and_pages_searched(site: Path) -> None:
    """The two things that a reader does with a page."""
    text = (site / "tutorial.html").read_text(encoding="utf-8")

    assert "copybutton.js" in text
    assert (site / "search.html").exists()
    assert (site / "searchindex.js").stat().st_size > 100_000


def test_one_file_holds_every_page(site: Path) -> None:
    """For a search by hand, and for a model that reads files."""
    whole = (site / "arvo.md").read_text(encoding="utf-8")
    contents = (site / "llms.txt").read_text(encoding="utf-8")

    assert contents.startswith("# Arvo for Python\n\n> ")
    for title in ("Tutorial", "Flows", "Writing a backend", "Errors: cause and remedy", "Glossary"):
        assert f"\n# {title}\n" in whole
        assert f"- [{title}](" in contents
    assert "`Retry(attempts: int = 3, delay: float = 0.1" in whole
    assert list(unresolved(whole)) == []


def unresolved(whole: str) -> Iterator[str]:
    yield from re.findall(r"^(?:```\{.*|\.\. (?:auto|py:)\w+::.*)$", whole, re.MULTILINE)
