"""Reference: stands in a store for a content that is a blob in another one.

The claim check pattern: the content waits in a blob store, and a short reference travels.
"""

from datetime import date
from hashlib import sha256
from typing import Final, final

from attrs import frozen

# The first byte of an encoded text that is a reference, which no JSON text begins with.
HEAD: Final = b"\xa3"
# The attribute of an event whose data is a blob. As `data_base64` it is no legal name of an
# extension (CloudEvents 1.0 §3.1), so no sender can set it.
DATA_REF: Final = "data_ref"
# How the JSON text of such an event begins: an index of a database selects by it.
DATA_REF_START: Final = f'{{"{DATA_REF}":"'.encode()


@final
@frozen
class Reference:
    """The key of a blob in its store, and its *size* in bytes.

    The key is `YYYY-MM-DD/address`: the day in UTC on which the blob was written, and the SHA-256
    of its bytes. The day makes it safe to delete a blob: see `sweep_blobs`.
    """

    key: str
    size: int

    @staticmethod
    def of(content: bytes, day: date) -> "Reference":
        """Return the reference to a content that is written on *day*."""
        return Reference(f"{day.isoformat()}/{address_of(content)}", len(content))

    @staticmethod
    def parse(text: str) -> "Reference":
        """Read the text of a reference; raises ValueError for any other."""
        key, _, size = text.rpartition("/")
        if not is_key(key) or not size.isdecimal() or not size.isascii():
            raise ValueError(f"{text[:100]!r} is no reference to a blob")
        return Reference(key, int(size))

    @property
    def day(self) -> date:
        """The day on which the blob was written."""
        return day_of(self.key)

    @property
    def address(self) -> str:
        """The SHA-256 of the blob in hex digits."""
        return self.key.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.key}/{self.size}"


def address_of(content: bytes) -> str:
    """Return the address of a content: its SHA-256 in hex digits."""
    return sha256(content).hexdigest()


def is_key(key: str) -> bool:
    """Return whether a text has the form of a key."""
    day, _, address = key.partition("/")
    try:
        is_day = date.fromisoformat(day).isoformat() == day
    except ValueError:
        return False
    return is_day and len(address) == 64 and set(address) <= set("0123456789abcdef")


def day_of(key: str) -> date:
    """Return the day of a key."""
    return date.fromisoformat(key.partition("/")[0])


def reference_in(content: bytes) -> Reference | None:
    """Return the reference that a stored text is, or None."""
    text = content[1:] if content.startswith(HEAD) else b""
    if content.startswith(DATA_REF_START):
        text = content[len(DATA_REF_START) :].partition(b'"')[0]
    try:
        return Reference.parse(text.decode()) if text else None
    except ValueError:
        return None
