"""Header: the values of HTTP headers: of an event's attributes, and of `Prefer`."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote_to_bytes

import orjson

from arvo.core.events.json_text import NotJson, parse_json
from arvo.core.violations.issue import Issues

# Names and values as they were received: a mapping would hide the second of two with one name.
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

# The longest wait of a client. Most proxies close a silent connection after a minute.
WAIT_SECONDS_MAX: Final = 60

# Printable ASCII without the characters that quote or escape (HTTP binding 1.0.2 §3.1.3.2).
_PLAIN: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WAIT: Final = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(;.*)?', re.IGNORECASE | re.DOTALL)


def encode(value: str | float) -> str:
    """Encode the value of an attribute (HTTP binding 1.0.2 §3.1.3.2).

    >>> encode("Euro € 😀"), encode(1.5), encode(True)
    ('Euro%20%E2%82%AC%20%F0%9F%98%80', '1.5', 'true')
    """
    return quote(to_text(value), safe=_PLAIN)


def to_text(value: str | float) -> str:
    """Return a value as text, the only type of attributes in binary mode (§3.1.3)."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def decode(value: bytes) -> str:
    """Decode the value of an attribute; raises `ValueError` if it is no text.

    >>> decode(b"Euro%20%e2%82%ac"), decode(b'"a \\\\"quoted\\\\" word"')
    ('Euro €', 'a "quoted" word')
    """
    value = value.strip(b" \t")
    if not value.isascii():
        raise ValueError("not percent-encoded")
    if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
        # Older versions of the binding quoted values with spaces instead of encoding them.
        value = _ESCAPED.sub(rb"\1", value[1:-1])
    # Strictly: an overlong encoding would be another name for a character that a proxy filters.
    return unquote_to_bytes(value).decode()


def parse_number(text: str, name: str) -> Any | Issues:
    """Return the number in a text, or the text itself, which the event then refuses.

    An integer beyond 64 bits is an issue of the attribute *name*.
    """
    if not _NUMBER.fullmatch(text):
        return text
    number = parse_json(text, name, name)
    return text if isinstance(number, NotJson) else number


def parse_wait(prefer: Iterable[str]) -> int:
    """Return the seconds to wait for an answer, 0 for no wait, from `Prefer` headers (RFC 7240).

    A server may ignore any preference (§2), so it ignores those that it cannot parse.

    >>> parse_wait(["respond-async, wait=10"]), parse_wait(["wait=900"]), parse_wait(["wait=soon"])
    (10, 60, 0)
    """
    for preference in ",".join(prefer).split(","):
        # The first of several counts (§2).
        if match := _WAIT.fullmatch(preference):
            return min(int(match[1]), WAIT_SECONDS_MAX)
    return 0
