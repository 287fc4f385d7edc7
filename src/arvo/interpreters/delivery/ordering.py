"""Ordering: the key by which a broker keeps messages in order, also of other programs' messages."""

from hashlib import sha1
from typing import Final
from urllib.parse import unquote

import orjson

from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.interpreters.delivery.headers import DUE, KEY
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE

# The value of the key header for a destination without a key; quoting yields it for no key.
NO_KEY: Final = "*"
# Two keys with the same token would only wait for each other.
_TOKEN_CHARACTERS: Final = 16


def ordering_key(message: EncodedMessage) -> str | None:
    """Return the key of which a broker delivers one message at a time, in order; None for none.

    Timers have none, because they are delivered at their time, nor has an event that leaves the
    system. Raises `ValueError` for a message of another program in which no key can be found; it is
    no event.

    >>> ordering_key(EncodedMessage("com.payment.charge", b'{"subject": "order-1"}'))
    'order-1'
    """
    if message.queue in (OUTBOUND_QUEUE, REPLY_QUEUE):
        return None
    if message.due is not None or DUE in message.headers:
        return None
    text = message.headers.get(KEY)
    if text is not None:
        return None if text == NO_KEY else unquote(text)
    # The default key, which the sender knows. Otherwise another program has published the message.
    return _subject_of(message.body) if message.key is None else message.key


def key_token(key: str) -> str:
    """Return a key as a short name, for subjects and for keys of a store.

    >>> key_token("order-1")
    'ea37b42b1c3b6095'
    """
    # SHA-1, because scripts of Redis can compute it too. It protects nothing.
    digest = sha1(key.encode(errors="surrogatepass"), usedforsecurity=False)
    return digest.hexdigest()[:_TOKEN_CHARACTERS]


def _subject_of(body: bytes) -> str:
    # As the codec, which refuses a longer event before it is parsed.
    content = orjson.loads(body) if len(body) <= EVENT_BYTES_MAX else None
    subject = content.get("subject") if isinstance(content, dict) else None
    if not isinstance(subject, str):
        raise ValueError("the message has no subject")  # noqa: TRY004 - it came over a wire
    return subject
