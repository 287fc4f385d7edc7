"""Limit: as data on each kind of handler; another value is refused where it is written."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from arvo import EventHandler, Limit, Violated
from tests.shop import charge


async def key_later(event: object) -> str:
    return str(event)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: Limit(), "limit: expected either concurrent or rate, got neither"),
        (
            lambda: Limit(concurrent=1, rate=1, seconds=1),
            "limit: expected either concurrent or rate, got concurrent and rate",
        ),
        (lambda: Limit(concurrent=0), "limit.concurrent: expected a whole number from 1 to"),
        (lambda: Limit(concurrent=10_001), "limit.concurrent: expected a whole number from 1 to"),
        (lambda: Limit(concurrent=True), "limit.concurrent: expected a whole number from 1 to"),
        (lambda: Limit(rate=1), "limit: expected rate and seconds together"),
        (lambda: Limit(concurrent=1, seconds=1), "limit: expected rate and seconds together"),
        (lambda: Limit(rate=1, seconds=0), "limit.seconds: expected more than 0"),
        (lambda: Limit(rate=1, seconds=timedelta(days=8)), "limit.seconds: expected more than 0"),
        (lambda: Limit(rate=1, seconds=-1), "limit.seconds: expected seconds or a timedelta"),
        (lambda: Limit(concurrent=1, per=key_later), "limit.per: expected a plain function"),  # type: ignore[arg-type]
        (lambda: Limit(concurrent=1, per="customer"), "limit.per: expected a plain function"),  # type: ignore[arg-type]
        (lambda: Limit(concurrent=1, priority=9), "limit.priority: expected a plain function"),  # type: ignore[arg-type]
        (
            lambda: Limit(concurrent=1, fairness_key=key_later),  # type: ignore[arg-type]
            "limit.fairness_key: expected a plain function",
        ),
        (lambda: handler(Limit(concurrent=1)), "limits: expected a list of at most 8"),
        (lambda: handler([1]), "limits: expected a list of at most 8"),
        (lambda: handler([Limit(concurrent=1)] * 9), "limits: expected a list of at most 8"),
    ],
)
def test_an_invalid_limit_is_refused(make: Callable[[], object], path: str) -> None:
    """With the name of the value and what it may be."""
    with pytest.raises(Violated, match=path):
        make()


def test_the_limits_of_a_handler_are_a_part_of_its_policy() -> None:
    """They are a value: two handlers with equal limits have equal policies."""
    limits = [Limit(concurrent=2), Limit(rate=100, seconds=timedelta(minutes=1))]

    assert handler(limits).policy == handler(tuple(limits)).policy
    assert [limit.number for limit in handler(limits).policy.limits] == [2, 100]
    assert handler(limits).policy.limits[1].seconds == 60


def handler(limits: Any) -> EventHandler[Any]:
    return EventHandler(charge, {"1.0.0": lambda _: None}, limits=limits)
