"""Headers: what adapters add to a message on the wire, they remove again."""

import pytest

from arvo import EncodedMessage
from arvo.interpreters.delivery.brokers.headers import (
    ADDRESS,
    ATTEMPT,
    REASON_CHARACTERS_MAX,
    decode_headers,
    reason_text,
    take_attempt,
    wire_headers,
)


def test_wire_headers_are_removed_again() -> None:
    """A delivered message has the headers that were published."""
    message = EncodedMessage("com.kit.service", b"{}", {"arvo-key": "*"})

    headers = wire_headers(message, attempt=3)

    assert headers == {"arvo-key": "*", ADDRESS: "com.kit.service", ATTEMPT: "3"}
    assert take_attempt(headers) == 3
    assert headers == message.headers


def test_a_message_without_an_attempt_is_delivered_for_the_first_time() -> None:
    """Other programs publish without headers."""
    assert take_attempt({}) == 1


@pytest.mark.parametrize("text", ["0", "-1", "many", "", "1.5", "²"])
def test_an_unreadable_attempt_stays_for_the_codec_to_refuse(text: str) -> None:
    """An adapter does not decide about a message that it cannot read."""
    headers = {ATTEMPT: text}

    assert take_attempt(headers) == 1
    assert headers == {ATTEMPT: text}


def test_an_absurd_attempt_is_bounded() -> None:
    """`int` refuses texts of thousands of digits."""
    assert take_attempt({ATTEMPT: "9" * 10_000}) == 10**18 - 1


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    """The codec refuses them where it needs the header; others do not matter."""
    assert decode_headers({"arvo-key": b"\xff", "x": b"y"}) == {"arvo-key": "\ufffd", "x": "y"}


def test_a_reason_is_one_line_of_bounded_length() -> None:
    """It goes into a header, which has no line breaks and little space."""
    assert reason_text("a\nb\r\n  c") == "a b c"
    assert len(reason_text("x" * 10_000)) == REASON_CHARACTERS_MAX
