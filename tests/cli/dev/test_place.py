"""Place: where in the user's code an error arose."""

import sys
from pathlib import Path

import pytest

from arvo.cli.dev.place import find_place
from arvo.cli.terminal.errors import UsageError
from arvo.cli.terminal.load import load_system


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("x = 1\ny = x +\n", "place_a.py:2"),
        ("\n\nraise ValueError('no')\n", "place_a.py:3"),
        ("from arvo import System\n\n\nsystem = System([1])\n", "place_a.py:4"),
        ("import nothing_of_this_name\n", "place_a.py:1"),
        ("import place_b\n", "inner: place_b.py:2"),
        ("x = 1\n", None),
    ],
)
def test_the_last_line_of_the_users_code_is_named(
    code: str, place: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of the library and of Python's import system are no help."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "place_a.py").write_text(code)
    (tmp_path / "place_b.py").write_text("\n1 / 0\n")

    try:
        with pytest.raises(UsageError) as raised:
            load_system("place_a:system", "memory:")
    finally:
        sys.modules.pop("place_a", None)
        sys.modules.pop("place_b", None)

    assert find_place(raised.value, tmp_path) == (place and place.removeprefix("inner: "))


def test_the_code_of_the_library_is_not_the_users_where_it_lies_below_the_folder() -> None:
    """A contributor runs the command in a checkout of Arvo."""
    checkout = Path(__file__).parents[3]
    with pytest.raises(UsageError) as raised:
        load_system("tests.shop:no_such_name", "memory:")

    assert find_place(raised.value, checkout) is None
