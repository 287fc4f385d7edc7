"""Wire: subjects, and bodies that are compressed where they would not fit."""

import pytest

from arvo import EncodedMessage, TooLarge
from arvo.interpreters.delivery.brokers.headers import ENCODING
from arvo.interpreters.nats.connection.wire import decode, encode_body, encode_headers, subject_name
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE
from arvo.testing.conformance.kit.samples import SERVICE, event
from tests.interpreters.brokers import encode

PAYLOAD_MAX = 1_000


def test_an_address_is_a_subject_of_its_own() -> None:
    """With wildcards or spaces in a subject, a consumer would receive messages of other ones."""
    names = [
        subject_name("arvo", address) for address in ("a b", "a*b", ">", "a.b", OUTBOUND_QUEUE)
    ]

    assert names == ["arvo.a%20b", "arvo.a%2Ab", "arvo.%3E", "arvo.a.b", "arvo.(outbound)"]


def test_a_compressed_message_comes_back_as_it_was() -> None:
    """The server's own headers, and those of the encoding, are not part of a message."""
    message = encode(event("large", data={"text": "x" * 10_000}), SERVICE)
    headers = encode_headers(message)

    body = encode_body(message, headers, PAYLOAD_MAX)

    assert headers[ENCODING] == "deflate"
    assert len(body) < PAYLOAD_MAX
    assert decode(SERVICE, {**headers, "Nats-Msg-Id": "1"}, body) == message


def test_a_body_that_cannot_be_decompressed_stays_as_it_is() -> None:
    """The codec refuses it, and the dead letter shows what arrived."""
    headers = {ENCODING: "deflate"}

    assert decode(SERVICE, headers, b"{}") == EncodedMessage(SERVICE, b"{}", headers)


def test_an_event_that_cannot_fit_names_the_servers_setting() -> None:
    """Waiting would not help, and sending it would close the connection."""
    message = encode(event("large", data={"text": "x" * 10_000}), SERVICE)

    with pytest.raises(TooLarge, match="max_payload"):
        encode_body(message, encode_headers(message), 200)
