"""Uri: JavaScript's encoding rule, the same in both languages."""

import pytest

from arvo.core.events.uri import encode_uri, is_uri


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("com.shop.web", "com.shop.web"),
        ("a b", "a%20b"),
        ("#/contracts/ü", "#/contracts/%C3%BC"),
        ("50%", "50%25"),
        ("eJw+/=", "eJw+/="),
        ("a%20b c", "a%2520b%20c"),
    ],
)
def test_encoding_is_idempotent(text: str, encoded: str) -> None:
    """B26: an event rebuilt from its own attributes must have the same subject."""
    assert encode_uri(text) == encoded
    assert encode_uri(encoded) == encoded
    assert is_uri(encoded)


@pytest.mark.parametrize("text", ["a b", "%zz", "%", "%2", "%41", "%c3%bc", "%FF", "ü", "\ud800"])
def test_missing_malformed_and_needless_escapes_are_refused(text: str) -> None:
    """The TypeScript packages compare with their own encoding of the decoded text."""
    assert not is_uri(text)
