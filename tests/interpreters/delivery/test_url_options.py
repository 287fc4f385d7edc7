"""URL options: every option is known and its value good, or the URL is refused by name."""

from typing import Any

import pytest

from arvo import Violated
from arvo.interpreters.delivery.url_options import (
    COUNT,
    SECONDS,
    TEXT,
    YES_OR_NO,
    one_of,
    parse_options,
    take_options,
)

KNOWN = {
    "count": COUNT,
    "flag": YES_OR_NO,
    "lease": SECONDS,
    "storage": one_of("file", "memory"),
    "text": TEXT,
}


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {}),
        ("flag=yes", {"flag": True}),
        ("flag=true", {"flag": True}),
        ("flag=1", {"flag": True}),
        ("flag=no", {"flag": False}),
        ("flag=false", {"flag": False}),
        ("flag=0", {"flag": False}),
        ("count=1", {"count": 1}),
        ("lease=0.5&count=20", {"lease": 0.5, "count": 20}),
        ("text=", {"text": ""}),
        ("text=a%26b", {"text": "a&b"}),
        ("storage=memory", {"storage": "memory"}),
    ],
)
def test_known_options_are_read(query: str, options: dict[str, Any]) -> None:
    """A URL says the same as the parameters of a constructor."""
    assert parse_options(query, KNOWN) == options


@pytest.mark.parametrize(
    ("query", "issue"),
    [
        ("flag=perhaps", "flag: expected yes or no, got 'perhaps'"),
        ("flag=", "flag: expected yes or no, got ''"),
        ("count=0", "count: expected a whole number, 1 or more, got '0'"),
        ("count=%201", "count: expected a whole number, 1 or more, got ' 1'"),
        ("count=1_0", "count: expected a whole number, 1 or more, got '1_0'"),
        ("lease=0", "lease: expected a number of seconds above 0, got '0'"),
        ("lease=nan", "lease: expected a number of seconds above 0, got 'nan'"),
        ("lease=inf", "lease: expected a number of seconds above 0, got 'inf'"),
        ("lease=soon", "lease: expected a number of seconds above 0, got 'soon'"),
        ("storage=disk", "storage: expected file or memory, got 'disk'"),
        ("count=1&count=2", "count: expected one value, got several"),
        ("flags=yes", "flags: expected one of count, flag, lease, storage, text, got an unknown"),
    ],
)
def test_any_other_option_is_refused_by_name(query: str, issue: str) -> None:
    """A misspelt option that is ignored is noticed when data is lost."""
    with pytest.raises(Violated) as refused:
        parse_options(query, KNOWN)

    assert issue in str(refused.value)


def test_a_refusal_shows_no_value_of_an_unknown_option() -> None:
    """It may be a password under a misspelt name."""
    with pytest.raises(Violated) as refused:
        parse_options("pasword=secret", KNOWN)

    assert "secret" not in str(refused.value)


def test_the_options_of_a_driver_stay_in_the_query() -> None:
    """The driver reads them, and refuses those that it does not know."""
    options, rest = take_options("sslmode=require&flag=no&host=%2Frun", KNOWN, any_other=True)

    assert options == {"flag": False}
    assert rest == [("sslmode", "require"), ("host", "/run")]
