"""Architecture page: every file that the map names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PATHS = sorted(set(re.findall(r"`([\w/]+(?:\.py|/))`", PAGE.read_text())))


@pytest.mark.parametrize("name", PATHS)
def test_a_file_that_the_map_names_exists(name: str) -> None:
    """A map that is wrong in one place is believed nowhere."""
    # A name alone is a file of the folder that the sentence describes.
    bases = (ROOT, ROOT / "src" / "arvo")
    inside_sqlite = ROOT / "src" / "arvo" / "interpreters" / "sqlite"

    assert any((base / name).exists() for base in (*bases, inside_sqlite))
