"""The page of the command line: it has each command, exit code and variable."""

from pathlib import Path
from typing import Final

import pytest

from arvo.cli.app import app
from arvo.cli.terminal.load import BACKEND_VARIABLE, CODEC_VARIABLE
from tests.cli.commands_of import commands_of
from tests.cli.test_json import EXCEPTIONS

PAGE: Final = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()


@pytest.mark.parametrize("name", [name for name, _ in commands_of(app)])
def test_each_command_has_an_example(name: str) -> None:
    """A command that is added must be written down."""
    assert f"| `arvo {name} " in PAGE or f"| `arvo {name}` |" in PAGE


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_each_exit_code_has_its_meaning(code: int) -> None:
    """Scripts and service managers act on them."""
    assert f"\n| {code} | " in PAGE


@pytest.mark.parametrize("name", [BACKEND_VARIABLE, CODEC_VARIABLE])
def test_each_variable_is_there(name: str) -> None:
    """An operator sets them for all commands."""
    assert f"| `{name}` | " in PAGE


def test_commands_without_json_are_named() -> None:
    """A script cannot read their output."""
    _, _, end = PAGE.partition("`export` prints JSON in any case")
    line = "`export`" + end.split("\n", 1)[0]

    assert all(f"`{name}`" in line for name in EXCEPTIONS)
