"""Ordering: the key by which a broker keeps messages in order, also of other programs' messages."""

from hashlib import sha1
from typing import Final
from urllib.parse import unquote

import orjson
from attrs import evolve

from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.interpreters.delivery.brokers.headers import DUE, KEY
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE

# The value of the key header for a destination without a key; quoting yields it for no key.
NO_KEY: Final = "*"
# Two keys with the same token would only wait for each other.
_TOKEN_CHARACTERS: Final = 16


def ordering_key(message: EncodedMessage) -> str | None:
    """Return the key of which a broker delivers one message at a time, in order; None for none.

    Timers have none, because they are delivered at their time.
    """
    return None if is_timer(message) else partition_key(message)


def is_timer(message: EncodedMessage) -> bool:
    """Return True for a message that is, or was, due at a time."""
    return message.due is not None or DUE in message.headers


def partition_key(message: EncodedMessage) -> str | None:
    """Return the key whose messages, timers included, one process should have; None for any.

    An event that leaves the system has none. The default is the key of the message, which its
    sender knows; for a message of another program, see `with_subject`.
    """
    if message.queue in (OUTBOUND_QUEUE, REPLY_QUEUE):
        return None
    text = message.headers.get(KEY)
    if text is None:
        return message.key
    return None if text == NO_KEY else unquote(text)


def with_subject(message: EncodedMessage) -> EncodedMessage:
    """Return a message of another program with the default key, which is the event's subject.

    Raises `ValueError` if there is none, for then it is no event.

    >>> plain = EncodedMessage("com.payment.charge", b'{"subject": "order-1"}')
    >>> ordering_key(with_subject(plain))
    'order-1'
    """
    # As the codec, which refuses a longer event before it is parsed.
    is_too_long = len(message.body) > EVENT_BYTES_MAX
    content = None if is_too_long else orjson.loads(message.body)
    subject = content.get("subject") if isinstance(content, dict) else None
    if not isinstance(subject, str):
        raise ValueError("the message has no subject")  # noqa: TRY004 - it came over a wire
    return evolve(message, key=subject)


def order_of(message: EncodedMessage) -> str:
    """Return the header by which a broker finds the ordering key of a message of ours.

    >>> order_of(EncodedMessage("com.payment.charge", b"{}", key="order-1"))
    'ea37b42b1c3b6095'
    >>> order_of(EncodedMessage("(outbound)", b"{}", key="order-1"))
    ''
    """
    key = ordering_key(message)
    return "" if key is None else key_token(key)


def partition_of(message: EncodedMessage) -> str:
    """Return the header by which a broker finds the process of a message of ours."""
    key = partition_key(message)
    return "" if key is None else key_token(key)


def foreign_order_of(message: EncodedMessage) -> str:
    """Return that header for a message of another program; one that is no event has no order."""
    try:
        return order_of(with_subject(message))
    except ValueError:
        return ""


def key_token(key: str) -> str:
    """Return a key as a short name, for subjects and for keys of a store.

    >>> key_token("order-1")
    'ea37b42b1c3b6095'
    """
    # SHA-1, because scripts of Redis can compute it too. It protects nothing.
    digest = sha1(key.encode(errors="surrogatepass"), usedforsecurity=False)
    return digest.hexdigest()[:_TOKEN_CHARACTERS]
