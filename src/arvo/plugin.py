"""Plugin: what pytest gets from Arvo, without being asked for it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from arvo.core.contracts.contract import Contract


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes contracts down."""
    group = parser.getgroup("arvo")
    group.addoption(
        "--update-contracts",
        action="store_true",
        default=False,
        help="write the JSON that the fixture `published` compares contracts with",
    )


@pytest.fixture
def published(request: pytest.FixtureRequest) -> "Callable[[Contract[Any], str], None]":
    """Compare a contract with its exported JSON: `published(contract, "contracts/charge.json")`.

    The path is that of a file beside the test. What has changed is named, and whom it breaks;
    `pytest --update-contracts` writes the file.
    """
    # Not at the top: pytest loads this file in every project that has Arvo installed.
    from arvo.testing.compatibility.published import check_published

    beside: Path = request.path.parent
    update = bool(request.config.getoption("--update-contracts"))
    return lambda contract, path: check_published(contract, beside / path, update=update)
