"""Examples: which pages show a public name in use."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

DOCS: Final = Path(__file__).parent.parent
# A call in the text: `Delay(at, seconds)`.
_CALL: Final = re.compile(r"`[^`\n]*\b(\w+)\([^`\n]*\)`")
_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Pages that are read for something else.
_NO_GUIDES: Final = ("reference", "decisions/", "changelog", "performance")


@cache
def pages_by_name() -> Mapping[str, tuple[str, ...]]:
    """Map each name that a snippet uses to the pages with it, the one that uses it most first."""
    counts: dict[str, dict[str, int]] = {}
    for path in sorted(DOCS.rglob("*.md")):
        page = path.relative_to(DOCS).with_suffix("").as_posix()
        if page.startswith((*_NO_GUIDES, "_build", "examples/")):
            continue
        for name in _names(path.read_text(encoding="utf-8")):
            of_name = counts.setdefault(name, {})
            of_name[page] = of_name.get(page, 0) + 1
    return MappingProxyType(
        {name: tuple(sorted(found, key=lambda it: -found[it])) for name, found in counts.items()}
    )


def page_of(name: str) -> str | None:
    """Return the page whose snippets use a name most, or None."""
    return next(iter(pages_by_name().get(name, ())), None)


def has_doctest(candidate: object) -> bool:
    """Return whether the docstring of an object has an example that runs."""
    return ">>> " in (getattr(candidate, "__doc__", None) or "")


def _names(page: str) -> Iterator[str]:
    """Yield each use of a name in the Python of a page, and its calls in the text."""
    yield from _CALL.findall(_BLOCK.sub("", page))
    for block in _BLOCK.findall(page):
        source = _without_prompts(block)
        try:
            tree = ast.parse(source)
        except SyntaxError:
            # An excerpt, or output between the lines of a session.
            yield from re.findall(r"\b[A-Za-z_]\w*\b", source)
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name
                case _:
                    pass


def _without_prompts(block: str) -> str:
    if ">>> " not in block:
        return block
    lines = (line for line in block.splitlines() if line.startswith((">>> ", "... ")))
    return "\n".join(line[4:] for line in lines)
