"""JSON text: foreign text as JSON values, without an integer that becomes another number."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, final

import orjson
from attrs import frozen

from arvo.core.payloads.json_data import DEPTH_MAX, INTEGER_EXPECTED, INTEGER_MAX, INTEGER_MIN
from arvo.core.violations.issue import Issue, Issues, join_path, one_line

# Each integer beyond 64 bits has at least so many digits.
_DIGITS: Final = 19
_RUN: Final = b"0" * _DIGITS
# All digits become one, all other bytes another, so that one search finds a run of digits.
_TO_RUNS: Final = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
# More digits than any integer of 64 bits, and fewer than `int` refuses to parse.
_DIGITS_PARSED_MAX: Final = 20


@final
@frozen
class NotJson(Issues):
    """The text is no JSON: one issue, with the position."""


def parse_json(text: str | bytes, whole: str, path: str = "") -> Any | Issues:
    """Parse JSON text of a foreign program, or return its fault.

    The values are those of Python's `json`. An integer beyond 64 bits is an issue with its path,
    because orjson, as many readers, silently turns it into a float. *whole* names the text in the
    issue of text that is no JSON; *path* is the path of its value.

    >>> print(parse_json('{"lines": [{"n": 18446744073709551617}]}', "event"))
    lines[0].n: expected an integer from -9223372036854775808 to 18446744073709551615, got \
18446744073709551617
    """
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # An integer of more than 308 digits is an error of the parser, too.
        refusal = _find_large_integers(text, path) if _has_long_number(text) else None
        got = f"{error.msg} at line {error.lineno}, column {error.colno}"
        return refusal or NotJson((Issue(whole, "JSON", got),))
    if not _has_long_number(text):
        return content
    return _find_large_integers(text, path) or content


def _has_long_number(text: str | bytes) -> bool:
    """Return whether the text has a run of digits that may be a large integer.

    Not by a regular expression, which takes ten times longer for each byte.
    """
    content = text if isinstance(text, bytes) else text.encode(errors="replace")
    return _RUN in content.translate(_TO_RUNS)


@final
@frozen
class _LargeInteger:
    """The digits of an integer beyond 64 bits."""

    text: str


def _parse_integer(text: str) -> int | _LargeInteger:
    if len(text.lstrip("-")) > _DIGITS_PARSED_MAX:
        return _LargeInteger(text)
    number = int(text)
    return number if INTEGER_MIN <= number <= INTEGER_MAX else _LargeInteger(text)


def _find_large_integers(text: str | bytes, path: str) -> Issues | None:
    """Parse the text again, with Python's slower parser, which shows the digits of each integer."""
    try:
        content = json.loads(text, parse_int=_parse_integer)
        issues = Issues.of(_issues(content, path))
    except RecursionError:
        return Issues.one(path or "event", f"at most {DEPTH_MAX} levels of nesting", "more")
    except ValueError:
        return None
    return issues if issues.items else None


def _issues(value: Any, path: str) -> Iterator[Issue]:
    if isinstance(value, _LargeInteger):
        yield Issue(path.removeprefix("."), INTEGER_EXPECTED, one_line(value.text))
        return
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for step, item in items:
        # Most items are scalars, whose path need not be built.
        if isinstance(item, dict | list | _LargeInteger):
            yield from _issues(item, join_path(path, step))
