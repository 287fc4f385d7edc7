"""Reference page: it documents every public name of the package."""

import re
from itertools import chain
from pathlib import Path

import arvo

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"


def test_the_reference_page_documents_every_public_name_once() -> None:
    """A name that is exported and not documented is one that users must guess."""
    documented = re.findall(
        r"^\.\. (?:autoclass|autoexception|autofunction|py:data):: (\w+)$",
        PAGE.read_text(),
        re.MULTILINE,
    )

    assert sorted(documented) == sorted(
        [*arvo.__all__, *chain.from_iterable(arvo._NEED_DRIVERS.values())]
    )
