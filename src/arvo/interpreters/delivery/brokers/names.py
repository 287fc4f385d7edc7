"""Names: names of queues, topics and subjects made from addresses, within a broker's limits."""

import re
from hashlib import blake2b
from typing import Final

ALPHANUMERIC: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_DIGEST_BYTES: Final = 16
_SHORT_DIGEST_BYTES: Final = 6


def escape_name(text: str, *, plain: str, escape: str) -> str:
    """Write each byte of a text that is no *plain* character as *escape* and two hex digits.

    Different texts have different names, as long as *escape* is not plain.

    >>> escape_name("(outbound)", plain=ALPHANUMERIC, escape="_")
    '_28outbound_29'
    """
    allowed = plain.encode()
    return "".join(chr(c) if c in allowed else f"{escape}{c:02X}" for c in text.encode())


def shorten_name(name: str, characters_max: int, *, separator: str) -> str:
    """Return a name, or the beginning and a digest of it where it is longer than allowed.

    *characters_max*: at least 66, twice the length of separator and digest.

    >>> shorten_name("x" * 99, 80, separator=":")[:45]
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:8211'
    """
    if len(name) <= characters_max:
        return name
    return f"{name[: characters_max // 2]}{separator}{_digest(name, _DIGEST_BYTES)}"


def unique_name(text: str, characters_max: int) -> str:
    """Return the beginning of a text, as letters, digits, `-` and `_`, and a digest of all of it.

    >>> unique_name("com.payment.charge", 100)
    'com_payment_charge-2aa7d44c2f4b'
    """
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", text)[:characters_max]
    return f"{readable}-{_digest(text, _SHORT_DIGEST_BYTES)}"


def _digest(text: str, size: int) -> str:
    return blake2b(text.encode(), digest_size=size).hexdigest()
