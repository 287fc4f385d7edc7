"""Headers: the message headers that all brokers carry, and their form on the wire."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Final

from arvo.interpreters.ports.broker import EncodedMessage
from arvo.printable import printable

# CloudEvents 1.0, structured mode: the body is the whole event in JSON.
CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"

# Written by the codec of the pair.
KEY: Final = "arvo-key"
INSIDE: Final = "arvo-inside"
DUE: Final = "arvo-due"
# Written by the pair where a message may have been published before; MQTT has a flag of this name.
DUP: Final = "arvo-dup"
# Written by the adapters.
ADDRESS: Final = "arvo-address"
ATTEMPT: Final = "arvo-attempt"
# The ordering key as `key_token` writes it, empty for none. Messages of other programs lack it.
ORDER: Final = "arvo-order"
UNTIL: Final = "arvo-until"
ENCODING: Final = "content-encoding"
REASON: Final = "arvo-reason"

# An adapter removes these headers when it reads them. One that is still there could not be read, so
# the codec refuses the message.
ADAPTER_HEADERS: Final = (ATTEMPT, UNTIL, ENCODING)

# The length of a reason in a header; the dead letter, or the log, has all of it.
REASON_CHARACTERS_MAX: Final = 500


def wire_headers(message: EncodedMessage, attempt: int = 1) -> dict[str, str]:
    """Return the headers of a message on the wire, to be delivered for the *attempt*-th time.

    The address is among them because some brokers shorten the name of a queue.
    """
    return {**message.headers, ADDRESS: message.queue, ATTEMPT: str(attempt)}


def take_attempt(headers: dict[str, str]) -> int:
    """Remove the headers that `wire_headers` added, and return the attempt: 1 if there is none.

    An attempt that is no number from 1 stays among the headers.

    >>> headers = {"arvo-attempt": "3", "traceparent": "00-1-2-01"}
    >>> take_attempt(headers), headers
    (3, {'traceparent': '00-1-2-01'})
    """
    headers.pop(ADDRESS, None)
    text = headers.pop(ATTEMPT, "1")
    if text.isascii() and text.isdigit() and int(text[:_DIGITS_MAX]) > 0:
        return int(text[:_DIGITS_MAX])
    headers[ATTEMPT] = text
    return 1


def until_text(until: datetime) -> str:
    """Return the header of a message that is delayed *until* then.

    >>> until_text(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC))
    '2000'
    """
    return str(ceil(until.timestamp() * 1000))


def take_until(headers: dict[str, str]) -> datetime | None:
    """Remove the time until which a message is delayed; text that is no time stays."""
    text = headers.pop(UNTIL, None)
    if text is None:
        return None
    try:
        return datetime.fromtimestamp(int(text[:_DIGITS_MAX]) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        headers[UNTIL] = text
        return None


# More deliveries than any broker makes; `int` refuses texts that are far longer.
_DIGITS_MAX: Final = 18


def decode_headers(headers: Mapping[str, bytes]) -> dict[str, str]:
    """Decode headers that a broker carries as bytes.

    Other programs may write bytes that are no text. They become U+FFFD, which the codec refuses in
    each header that it reads.
    """
    return {name: value.decode(errors="replace") for name, value in headers.items()}


def reason_text(reason: str) -> str:
    """Return the reason of a dead letter as a header has it: one printable line of bounded length.

    >>> reason_text("no such card\\n at all")
    'no such card at all'
    """
    return printable(" ".join(reason.split()), REASON_CHARACTERS_MAX)
