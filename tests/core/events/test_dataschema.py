"""Dataschema: contract versions, and the attribute that names one."""

import pytest

from arvo import Dataschema
from arvo.core.events.dataschema import is_version


@pytest.mark.parametrize("text", ["1.0", "v1.0.0", "1.0.0-a", "1.0.0\n", " 1.0.0", "١.0.0", ""])
def test_a_version_is_three_numbers(text: str) -> None:
    """A trailing newline or a digit of another script does not count either."""
    assert not is_version(text)
    assert Dataschema.parse(f"#/a/{text}") is None


def test_a_dataschema_without_a_contract_is_invalid() -> None:
    """B25: the TypeScript packages call a dataschema without a uri valid."""
    parsed = Dataschema.parse("1.0.0")

    assert parsed == Dataschema("", "1.0.0")
    assert not parsed.is_valid
    assert Dataschema("#/a", "1.0.0").is_valid


@pytest.mark.parametrize("text", [None, "", "/", "#/a", "#/a/"])
def test_text_that_ends_in_no_version_is_not_a_dataschema(text: str | None) -> None:
    """It returns None and raises nothing."""
    assert Dataschema.parse(text) is None
