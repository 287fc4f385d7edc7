"""Header: an attribute of an event as the value of an HTTP header (HTTP binding 1.0.2 §3.1.3.2)."""

import re
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import orjson

# All that is printable in ASCII, without what ends a value, quotes it or begins an escape.
_PLAIN: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def encode(value: str | float) -> str:
    """Write an attribute's value.

    >>> encode("Euro € 😀"), encode(1.5), encode(True)
    ('Euro%20%E2%82%AC%20%F0%9F%98%80', '1.5', 'true')
    """
    return quote(text_of(value), safe=_PLAIN)


def text_of(value: str | float) -> str:
    """Say a value as text: what is left of a number or a boolean in binary mode (§3.1.3)."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def decode(value: bytes) -> str:
    """Read an attribute's value; raises `ValueError` for what is no text.

    >>> decode(b"Euro%20%e2%82%ac"), decode(b'"a \\\\"quoted\\\\" word"')
    ('Euro €', 'a "quoted" word')
    """
    value = value.strip(b" \t")
    if not value.isascii():
        raise ValueError("not percent-encoded")
    if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
        # As senders wrote it before spaces and quotes were percent-encoded.
        value = _ESCAPED.sub(rb"\1", value[1:-1])
    # Strictly: an overlong encoding is another name for a character that somebody filters.
    return unquote_to_bytes(value).decode()


def number_of(text: str) -> Any:
    """Give the number that a text says, or the text itself, for the event to refuse."""
    if not _NUMBER.fullmatch(text):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
