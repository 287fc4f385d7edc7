"""Reference: each public name is there, with its types and an example."""

import inspect
import re
from html import unescape
from pathlib import Path

import pytest

from docs.site.public import PACKAGES, example_of, public_names
from docs.site.signatures import signature_of

NAMES = public_names()
# Names of another library, whose docs describe them.
FOREIGN = {"Result", "Success", "Failure"}


def anchors(site: Path) -> set[str]:
    pages = (it.read_text(encoding="utf-8") for it in site.glob("reference*.html"))
    return {anchor for page in pages for anchor in re.findall(r'<dt [^>]*id="([^"]+)"', page)}


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    """A name that is exported and not documented is one that users must guess."""
    found = anchors(site)

    missing = [f"{package}.{name}" for package, name in NAMES if f"{package}.{name}" not in found]

    assert missing == []


def test_no_signature_shows_how_attrs_makes_it(site: Path) -> None:
    """`attr_dict['key'].default` says nothing about the default."""
    junk = re.compile(r"attr_dict|NOTHING|<object object|<function | at 0x|_CountingAttr|Factory\(")
    for page in site.glob("reference*.html"):
        text = unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
        assert junk.findall(text) == [], page.name


@pytest.mark.parametrize("key", list(NAMES), ids=".".join)
def test_each_parameter_has_its_type(key: tuple[str, str]) -> None:
    """A reader sees what to pass without an editor."""
    signature = signature_of(NAMES[key])
    if signature is None:
        return

    untyped = [part for part in split(signature[0]) if ":" not in part and part not in ("*", "/")]

    assert untyped == []


def split(parameters: str) -> list[str]:
    """Split a list of parameters at the commas that are not inside of brackets."""
    parts, depth, begun = list[str](), 0, 1
    for position, character in enumerate(parameters):
        depth += (character in "([{") - (character in ")]}")
        if (character == "," and depth == 1) or (character == ")" and depth == 0):
            parts.append(parameters[begun:position].strip())
            begun = position + 1
    return [part for part in parts if part]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_example(package: str) -> None:
    """In its docstring, or on the page that the reference names."""
    missing = [
        name
        for (owner, name), candidate in NAMES.items()
        if owner == package and name not in FOREIGN and example_of(name, candidate) is None
    ]

    assert missing == []


ERRORS = {
    name
    for (_, name), it in NAMES.items()
    if (inspect.isclass(it) and issubclass(it, BaseException))
    or name.endswith(("Violation", "Fault", "Violated"))
} - {"Violation", "Fault", "SystemFault", "LawViolation"}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_class_of_error_has_its_cause_and_remedy(name: str) -> None:
    """Whoever meets a message looks its class up."""
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")

    row = re.search(rf"^\|[^|]*`{name}`[^|]*\|([^|]+)\|([^|]+)\|", page, re.MULTILINE)

    assert row is not None
    assert row[1].strip()
    assert row[2].strip()
