"""A reader who does what a page says, with nothing but the wheel, sees what the page shows."""

from pathlib import Path
from typing import Final

import pytest

from tests.pages.follow import ROOT, build_wheel, follow

FIRST: Final = ("README.md", "docs/tutorial.md")
OTHERS: Final = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("docs/a-new-project.md", "docs/cookbook/*.md", "docs/coming-from-*.md")
    for path in ROOT.glob(pattern)
    if path.stem not in {"index", "coming-from-typescript"}
)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.parametrize("page", FIRST)
def test_the_first_pages_work(page: str, wheel: Path, tmp_path: Path) -> None:
    """Who meets an error in the first hour does not come back."""
    follow(ROOT / page, wheel, tmp_path)


@pytest.mark.deep
@pytest.mark.parametrize("page", OTHERS)
def test_the_recipes_work(page: str, wheel: Path, tmp_path: Path) -> None:
    """Recipes are copied without being read."""
    follow(ROOT / page, wheel, tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```sh\necho no\nfalse\n```", "line 1: this block ended with exit code 1:\necho no"),
        (
            "```sh\necho one\n```\n\n```text\ntwo\n```",
            "expected the line 'two' in the output:\none",
        ),
        ("Add to `shop.py`:\n\n```python\n1\n```", "adds to shop.py, which no step before it"),
        ("```python\nimport attrs\n```", "ModuleNotFoundError: No module named 'attrs'"),
        ("```python\n>>> 1 + 1\n3\n```", "Got:\n    2"),
        ("```python\ndef test_it():\n    assert 1 == 2\n```", "AssertionError"),
    ],
)
def test_a_page_that_does_not_hold_is_found(text: str, problem: str, tmp_path: Path) -> None:
    """A follower that finds nothing proves nothing. The environment has no package at all."""
    page = tmp_path / "page.md"
    page.write_text(f"{text}\n")

    with pytest.raises(AssertionError) as found:
        follow(page, Path("unused.whl"), tmp_path)

    assert problem in str(found.value)


def test_jobs_files_and_names_last_from_block_to_block(tmp_path: Path) -> None:
    """A tutorial starts a process in one block and kills it in another."""
    page = tmp_path / "page.md"
    page.write_text(
        "Save as `one.py`:\n\n```python\none = 1\n```\n\n"
        "Add to `one.py`:\n\n```python\ntwo = 2\n```\n"
        "```python\nassert one + two == 3\nthree = 3\n```\n"
        "```python\n>>> three\n3\n```\n"
        "```sh\nsleep 600 &\n```\n```sh\nkill -9 $!\npython -c 'import one; print(one.two)'\n```\n"
        "```text\n2\n```\n"
    )

    follow(page, Path("unused.whl"), tmp_path)
