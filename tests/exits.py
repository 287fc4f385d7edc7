"""Exits: what holds for every text that leaves for a terminal or a reader of a log."""

from arvo.testing.conformance.values import HOSTILE as HOSTILE

# The beginning of a line that the hostile text forges where its line break gets through.
FORGED = "ERROR c"


def assert_visible(text: str) -> None:
    """Assert that a text has no control character but the line breaks of its own layout."""
    hidden = [character for character in text.replace("\n", "") if not character.isprintable()]
    assert not hidden, f"{hidden} in {text!r}"


def assert_printable(text: str) -> None:
    """Assert that a text is visible, and that the hostile text begins no line of it."""
    assert_visible(text)
    assert [line for line in text.split("\n") if line.startswith(FORGED)] == []
