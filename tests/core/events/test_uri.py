"""Uri: JavaScript's rule, which both languages keep."""

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
def test_encoding_twice_is_encoding_once(text: str, encoded: str) -> None:
    """B26: an event made again from its own parts must keep its subject."""
    assert encode_uri(text) == encoded
    assert encode_uri(encoded) == encoded
    assert is_uri(encoded)


@pytest.mark.parametrize("text", ["a b", "%zz", "%", "%2", "%41", "%c3%bc", "%FF", "ü", "\ud800"])
def test_what_is_not_encoded_or_needlessly_so_is_no_uri(text: str) -> None:
    """F005: the reference compares with its own encoding of the decoded text."""
    assert not is_uri(text)
