"""Reference page: every public name has its place in the documentation."""

import re
from pathlib import Path

import arvo

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"


def test_the_reference_page_tells_every_public_name_once() -> None:
    """A name that is exported and not told is one that users must guess."""
    told = re.findall(
        r"^\.\. (?:autoclass|autoexception|autofunction|py:data):: (\w+)$",
        PAGE.read_text(),
        re.MULTILINE,
    )

    assert sorted(told) == sorted(arvo.__all__)
