"""Logged: the lines of the log as data, for tests that compare them."""

from collections.abc import Iterable
from logging import LogRecord
from typing import Any

from arvo.interpreters.delivery.log.fields import PREFIX, fields_of

# A line: its level, its message and its fields, without their prefix.
Line = tuple[str, str, dict[str, Any]]


def lines_of(records: Iterable[LogRecord]) -> list[Line]:
    """Return what records hold."""
    return [(each.levelname.lower(), each.getMessage(), _fields(each)) for each in records]


def logged(records: Iterable[LogRecord], message: str) -> list[dict[str, Any]]:
    """Return the fields of each line with this message."""
    return [found for _, text, found in lines_of(records) if text == message]


def _fields(record: LogRecord) -> dict[str, Any]:
    return {name.removeprefix(PREFIX): value for name, value in fields_of(record).items()}
