"""The wire: what a message without our headers is taken for."""

import pytest

from arvo import TooLarge
from arvo.interpreters.delivery.headers import KEY
from arvo.interpreters.nats.wire import body_of, headers_of, message_of, subject_of
from arvo.interpreters.ports.backend import OUTBOUND_QUEUE, REPLY_QUEUE
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.testing.conformance.samples import CLIENT, SERVICE, WORKFLOW, event


@pytest.mark.parametrize(
    ("address", "key"),
    [(WORKFLOW, event("one").subject), (OUTBOUND_QUEUE, "human.desk"), (REPLY_QUEUE, CLIENT)],
)
def test_a_key_that_follows_from_the_event_is_not_written(address: str, key: str) -> None:
    """Whoever publishes by hand need not know of keys; a workflow's events are one at a time."""
    said = event("one", domain="human.desk")
    if address == REPLY_QUEUE:
        said = event("one").from_dict({**said.to_dict(), "to": CLIENT})
    message = EncodedMessage(address, said, key)

    headers = headers_of(message)

    assert KEY not in headers
    assert message_of(address, None, said.to_json().encode()) == message


@pytest.mark.parametrize("key", [None, "", "*", "a\r\nNats-Msg-Id: b", "é 🧵"])
def test_any_other_key_travels_in_a_header(key: str | None) -> None:
    """And no key is taken for another, nor for a header."""
    message = EncodedMessage(SERVICE, event("one"), key)

    headers = headers_of(message)

    assert headers[KEY].isascii()
    assert "\n" not in headers[KEY]
    assert message_of(SERVICE, headers, event("one").to_json().encode()) == message


def test_an_address_is_a_subject_of_its_own() -> None:
    """Wildcards and blanks in it would have the server hand out what is another's."""
    odd = [subject_of("arvo", address) for address in ("a b", "a*b", ">", "a.b", OUTBOUND_QUEUE)]

    assert odd == ["arvo.a%20b", "arvo.a%2Ab", "arvo.%3E", "arvo.a.b", "arvo.(outside)"]


def test_an_event_that_cannot_fit_names_the_servers_setting() -> None:
    """Waiting would not help, and trying would cost the connection."""
    message = EncodedMessage(SERVICE, event("large", data={"text": "x" * 10_000}))

    with pytest.raises(TooLarge, match="max_payload"):
        body_of(message, headers_of(message), 200)
