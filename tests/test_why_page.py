"""Why page: each row of the comparison with other systems leads to a page and to a proof."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "why.md"
_ROW: Final = re.compile(
    r"^\| (?P<name>[^|]+) \|(?P<cells>.*)\| `(?P<proof>[^`]+)` \|$", re.MULTILINE
)
ROWS: Final = {row["name"]: row for row in _ROW.finditer(PAGE.read_text())}


def test_the_table_is_found() -> None:
    """Otherwise the others would check nothing."""
    assert len(ROWS) >= 16


@pytest.mark.parametrize("name", ROWS)
def test_a_claim_of_ours_has_a_page_and_a_test(name: str) -> None:
    """A reader who doubts a row can look."""
    ours = ROWS[name]["cells"].split("|")[0]
    pages = re.findall(r"\]\(([\w-]+\.md)[^)]*\)", ours)
    proof = ROOT / ROWS[name]["proof"]

    assert pages
    assert all((PAGE.parent / page).is_file() for page in pages)
    assert proof.is_file() or any(proof.rglob("test_*.py"))


@pytest.mark.parametrize("name", ROWS)
def test_a_claim_about_another_system_has_a_source(name: str) -> None:
    """Each of its cells is empty, or a link to its own documentation."""
    others = ROWS[name]["cells"].split("|")[1:]
    link = re.compile(r"\[[^\]]+\]\(https://[^)]+\)")

    assert len(others) == 4
    assert not [cell for cell in others if link.sub("", cell).strip(" ,")]
