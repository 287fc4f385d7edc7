"""The threat model names, for each threat, a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "threat-model.md"
_ROWS = re.findall(r"^\| (.+) \| .+ \| (`[^|]+`) \|$", PAGE.read_text(), re.MULTILINE)


def test_the_page_has_rows() -> None:
    """A table in another format would pass without being read."""
    assert len(_ROWS) >= 10


@pytest.mark.parametrize(("threat", "proof"), _ROWS)
def test_each_threat_has_a_test(threat: str, proof: str) -> None:
    """A defence without a test is a claim."""
    files = re.findall(r"`([^`]+)`", proof)

    assert files, threat
    assert [name for name in files if not (ROOT / name).is_file()] == []
