"""Ordering: the key by which a broker keeps messages in order."""

from typing import Final
from urllib.parse import unquote

from arvo.interpreters.delivery.headers import DUE, KEY
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE

# The value of the key header for a destination without a key; quoting yields it for no key.
NO_KEY: Final = "*"


def ordering_key(message: EncodedMessage) -> str | None:
    """Return the key of which a broker delivers one message at a time, in order; None for none.

    Timers have none, because they are delivered at their time, nor has an event that leaves the
    system.
    """
    if message.queue in (OUTBOUND_QUEUE, REPLY_QUEUE):
        return None
    if message.due is not None or DUE in message.headers:
        return None
    text = message.headers.get(KEY)
    if text is None:
        return message.key
    return None if text == NO_KEY else unquote(text)
