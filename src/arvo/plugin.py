"""Plugin: the pytest fixture `published` and the option `--update-contracts`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from arvo.core.contracts.contract import Contract


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--update-contracts`."""
    group = parser.getgroup("arvo")
    group.addoption(
        "--update-contracts",
        action="store_true",
        default=False,
        help="write the JSON files that the fixture `published` compares contracts with",
    )


@pytest.fixture
def published(request: pytest.FixtureRequest) -> "Callable[[Contract[Any], str], None]":
    """Compare a contract with its exported JSON: `published(contract, "contracts/charge.json")`.

    The path is relative to the directory of the test file. The comparison fails with the breaking
    changes if the contract has changed. `pytest --update-contracts` writes the file.
    """
    # Not at the top: pytest imports this module in every project that has Arvo installed.
    from arvo.testing.compatibility.published import check_published

    folder: Path = request.path.parent
    update = bool(request.config.getoption("--update-contracts"))
    return lambda contract, path: check_published(contract, folder / path, update=update)
