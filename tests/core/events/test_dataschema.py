"""Version: numbers of contracts, and the dataschema that names one."""

import pytest

from arvo import Dataschema
from arvo.core.events.dataschema import is_version


@pytest.mark.parametrize("text", ["1.0", "v1.0.0", "1.0.0-a", "1.0.0\n", " 1.0.0", "١.0.0", ""])
def test_a_version_is_three_numbers(text: str) -> None:
    """F036, and no newline or foreign digit slips in."""
    assert not is_version(text)
    assert Dataschema.parse(f"#/a/{text}") is None


def test_a_dataschema_without_a_contract_is_told_apart() -> None:
    """B25: the reference says it is valid."""
    parsed = Dataschema.parse("1.0.0")

    assert parsed == Dataschema("", "1.0.0")
    assert not parsed.is_valid
    assert Dataschema("#/a", "1.0.0").is_valid


@pytest.mark.parametrize("text", [None, "", "/", "#/a", "#/a/"])
def test_what_ends_in_no_version_is_no_dataschema(text: str | None) -> None:
    """F039: None, not an exception."""
    assert Dataschema.parse(text) is None
