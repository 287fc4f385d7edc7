"""Pictures: those of the console in the docs are made by a script, and each one is shown."""

import re
from pathlib import Path

import pytest

from docs.pictures import console
from tests.servers import has_chromium

PAGE = Path(console.__file__).parents[1] / "console.md"
BYTES_MAX = 200_000


def test_the_page_shows_each_picture_that_the_script_makes() -> None:
    """The docs are also read where nothing is built, so the pictures are files beside them."""
    shown = re.findall(r"!\[[^\]]+\]\(pictures/([\w-]+)\.png\)", PAGE.read_text())
    contents = [(console.FOLDER / f"{name}.png").read_bytes() for name in shown]

    assert sorted(shown) == sorted(console.PICTURES)
    assert all(it.startswith(b"\x89PNG") and len(it) < BYTES_MAX for it in contents)


@pytest.mark.deep
def test_the_script_takes_each_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It follows links of the pages, so it fails where one has been renamed."""
    if not has_chromium():
        pytest.skip("neither ARVO_TEST_CHROMIUM nor chromium is available")
    monkeypatch.setattr(console, "FOLDER", tmp_path)

    assert console.main() == 0
    assert {it.stem for it in tmp_path.iterdir()} == set(console.PICTURES)
