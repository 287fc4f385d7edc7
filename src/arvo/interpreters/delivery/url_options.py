"""URL options: the settings in the query of a backend's URL, read as typed values."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from math import inf
from typing import Any, Final, final
from urllib.parse import parse_qsl

from attrs import frozen

from arvo.core.violations.issue import Issue, one_line, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated

# More than any driver has.
OPTIONS_MAX: Final = 100


@final
@frozen
class UrlOption:
    """How one option is written in a URL.

    *expected*: the values that it accepts, for an error message. *parse*: turns the text into the
    value; it raises `ValueError` for any other text.
    """

    expected: str
    parse: Callable[[str], Any]


def parse_options(query: str, known: Mapping[str, UrlOption]) -> dict[str, Any]:
    """Return the options in the query of a URL, by name.

    Raises `Violated` where the query names an unknown option, repeats one, or holds a bad value.

    >>> parse_options("lease=10&full_sync=no", {"lease": SECONDS, "full_sync": YES_OR_NO})
    {'lease': 10.0, 'full_sync': False}
    """
    options, _ = take_options(query, known)
    return options


def take_options(
    query: str,
    known: Mapping[str, UrlOption],
    driver: Collection[str] = (),
    *,
    any_other: bool = False,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the known options in the query of a URL, and the others as names and values.

    *driver*: the names that a driver reads from the others. *any_other*: any name may be among
    them. Raises as `parse_options` does.
    """
    options: dict[str, Any] = {}
    others: list[tuple[str, str]] = []
    after_secret = False
    for name, text in _split(query):
        # A password with an & that is not encoded continues as the name of another option.
        if name not in known and name not in driver and (after_secret or not any_other):
            raise _unknown(name, {*known, *driver}, hidden=after_secret)
        if name not in known:
            others.append((name, text))
        elif name in options:
            raise refuse_option(name, "one value", "several")
        else:
            options[name] = _parse_value(name, known[name], text, hidden=after_secret)
        after_secret = after_secret or _SECRET.search(name) is not None
    return options, others


# Names of options whose value is a secret: password, sslpassword, sasl.password, client.secret.
_SECRET: Final = re.compile(r"pass|secret|token|oauth", re.IGNORECASE)


def _split(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=OPTIONS_MAX)
    except ValueError:
        raise refuse_option("query", f"at most {OPTIONS_MAX} options", "more") from None


def _unknown(name: str, known: Collection[str], *, hidden: bool) -> Violated:
    expected = f"one of {', '.join(sorted(known))}"
    if hidden:
        return refuse_option("query", f"{expected}; in a password, %26 for &", "an unknown option")
    # Without the value: under a misspelt name it may be a secret.
    return refuse_option(one_line(name), expected, "an unknown option")


def refuse_option(name: str, expected: str, got: str) -> Violated:
    """Return the error for an option that cannot be used."""
    issue = Issue(name, expected, got)
    return Violated(ConfigViolation("the URL of the backend has a bad option", issue))


def _parse_value(name: str, option: UrlOption, text: str, *, hidden: bool) -> Any:
    try:
        return option.parse(text)
    except ValueError:
        got = "another value" if hidden else short_repr(text)
        raise refuse_option(name, option.expected, got) from None


def one_of(*values: str) -> UrlOption:
    """Return an option that accepts these values."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return UrlOption(" or ".join(values), parse)


def _parse_bool(text: str) -> bool:
    if text not in _BOOLEANS:
        raise ValueError(text)
    return _BOOLEANS[text]


_BOOLEANS: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def _parse_count(text: str) -> int:
    # Only digits: `int` also reads a sign, spaces and underscores.
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise ValueError(text)
    return int(text)


def _parse_seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < inf:
        raise ValueError(text)
    return seconds


def _parse_days(text: str) -> timedelta:
    # `timedelta` raises `OverflowError` above its own limit.
    return timedelta(days=min(_parse_seconds(text), timedelta.max.days / 2))


DAYS: Final = UrlOption("a number of days above 0", _parse_days)
TEXT: Final = UrlOption("text", str)
YES_OR_NO: Final = UrlOption("yes or no", _parse_bool)
COUNT: Final = UrlOption("a whole number, 1 or more", _parse_count)
SECONDS: Final = UrlOption("a number of seconds above 0", _parse_seconds)
