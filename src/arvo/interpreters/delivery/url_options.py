"""URL options: the settings in the query of a backend's URL, read as typed values."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final, final
from urllib.parse import parse_qsl, urlencode

from attrs import frozen

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated


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
    options, rest = take_options(query, known)
    for name, _ in parse_qsl(rest, keep_blank_values=True):
        # Without the value: under a misspelt name it may be a secret.
        raise refuse_option(name, f"one of {', '.join(sorted(known))}", "an unknown option")
    return options


def take_options(query: str, known: Mapping[str, UrlOption]) -> tuple[dict[str, Any], str]:
    """Return the known options in the query of a URL, and the rest of the query.

    For a driver that reads options of its own from the rest. Raises as `parse_options` does, except
    for unknown names.
    """
    options: dict[str, Any] = {}
    rest: list[tuple[str, str]] = []
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            rest.append((name, text))
        elif name in options:
            raise refuse_option(name, "one value", "several")
        else:
            options[name] = _parse_value(name, known[name], text)
    return options, urlencode(rest)


def refuse_option(name: str, expected: str, got: str) -> Violated:
    """Return the error for an option that cannot be used."""
    issue = Issue(name, expected, got)
    return Violated(ConfigViolation("the URL of the backend has a bad option", issue))


def _parse_value(name: str, option: UrlOption, text: str) -> Any:
    try:
        return option.parse(text)
    except ValueError:
        raise refuse_option(name, option.expected, repr(text)) from None


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


TEXT: Final = UrlOption("text", str)
YES_OR_NO: Final = UrlOption("yes or no", _parse_bool)
COUNT: Final = UrlOption("a whole number, 1 or more", _parse_count)
SECONDS: Final = UrlOption("a number of seconds above 0", _parse_seconds)
