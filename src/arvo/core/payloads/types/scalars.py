"""Scalars: Python types that are written as one JSON string, such as dates and decimals.

The schema checks the string before it is read, so *read* may rely on its form. *read* raises
ValueError for values that Python does not have, such as a leap second. *write* returns None for a
value that has no such string.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from attrs import frozen

_CLOCK = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
_SECONDS = r"\d+(\.\d{1,6})?S"
_SPAN = rf"(\d+H(\d+M)?({_SECONDS})?|\d+M({_SECONDS})?|{_SECONDS})"
_DURATION = re.compile(
    r"(-?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?"
)


@frozen
class ScalarType:
    """A scalar type: its JSON Schema, its name in messages, and both conversions."""

    schema: dict[str, str]
    description: str
    read: Callable[[str], Any]
    write: Callable[[Any], str | None]


def _string(**keywords: str) -> dict[str, str]:
    return {"type": "string"} | keywords


def _read_datetime(text: str) -> datetime:
    # RFC 3339 §5.6 allows t and z, Python before 3.12 does not. Nanoseconds are cut.
    return datetime.fromisoformat(text.upper())


def _write_datetime(value: datetime) -> str | None:
    return value.isoformat() if value.utcoffset() is not None else None


def _read_duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    sign, weeks, days, hours, minutes, seconds, fraction = match.groups(default="0")
    span = timedelta(
        weeks=int(weeks),
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int(fraction.ljust(6, "0")),
    )
    return -span if sign == "-" else span


def _write_duration(value: timedelta) -> str:
    sign, span = ("-", -value) if value < timedelta() else ("", value)
    days = f"{span.days}D" if span.days else ""
    seconds = (
        f"{span.seconds}.{span.microseconds:06}".rstrip("0").rstrip(".")
        if span.microseconds
        else span.seconds
    )
    clock = f"T{seconds}S" if span.seconds or span.microseconds or not days else ""
    return f"{sign}P{days}{clock}"


SCALARS: dict[type, ScalarType] = {
    datetime: ScalarType(
        _string(format="date-time"),
        "a date and time with an offset",
        _read_datetime,
        _write_datetime,
    ),
    date: ScalarType(_string(format="date"), "a date", date.fromisoformat, date.isoformat),
    # Not the format "time": RFC 3339 requires an offset there, and opening hours have none.
    time: ScalarType(
        _string(pattern=rf"^{_CLOCK}(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?$"),
        "a time of day",
        time.fromisoformat,
        time.isoformat,
    ),
    # Not the format "duration": in RFC 3339 it has no fraction and no sign, but years and months.
    timedelta: ScalarType(
        _string(pattern=rf"^-?P(\d+W|\d+D(T{_SPAN})?|T{_SPAN})$"),
        "a duration",
        _read_duration,
        _write_duration,
    ),
    Decimal: ScalarType(
        _string(pattern=r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"),
        "a decimal number as a string",
        Decimal,
        lambda value: str(value) if value.is_finite() else None,
    ),
    UUID: ScalarType(_string(format="uuid"), "a UUID", UUID, str),
    bytes: ScalarType(
        _string(
            contentEncoding="base64",
            pattern=r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        ),
        "bytes as base64",
        lambda text: b64decode(text, validate=True),
        lambda value: b64encode(value).decode("ascii"),
    ),
}
"""The types that are written as one JSON string, without their subclasses."""
