"""Decide: a step with functions in place of its effects."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from returns.result import Failure, Success

from arvo import ConfigViolation, Effects, Emit, Event, System, call, decide
from tests.shop import (
    NOW,
    CardCharged,
    charge_request,
    expect_commit,
    order_request,
    payment_handler,
    reply_to,
    shop,
)


async def fetch(key: str) -> str:
    raise AssertionError(key)


def handler(event: Event[Any]) -> Effects[Emit]:
    try:
        receipt = yield from call(fetch, event.data.order_id)
    except ConnectionError as error:
        receipt = f"none: {error}"
    return Emit(CardCharged(receipt))


SYSTEM = System([payment_handler(handler)])


def down(_: str) -> str:
    raise ConnectionError("down")


@pytest.mark.parametrize(
    ("fake", "receipt"), [(lambda key: f"r-{key}", "r-o1"), (down, "none: down")]
)
def test_a_fake_returns_or_raises_like_the_real_function(
    fake: Callable[[str], str], receipt: str
) -> None:
    """A test needs no mock and no patch."""
    decided = decide(SYSTEM, charge_request(), None, now=NOW, effects={fetch: fake})

    assert isinstance(decided, Success)
    assert decided.unwrap().events[0].data == CardCharged(receipt)


async def slow(key: str) -> str:
    return key


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        (None, "effects: expected a function for fetch, got none"),
        ({down: down}, "effects: expected a function for fetch, got down"),
        ({partial(down): down}, "effects: expected a function for fetch, got functools.partial(<"),
        ({fetch: slow}, "effects: expected a function that is not async, got slow"),
    ],
)
def test_an_effect_without_a_usable_function_is_named(effects: Any, expected: str) -> None:
    """No real effect runs by mistake, and no coroutine is left unawaited."""
    decided = decide(SYSTEM, charge_request(), None, now=NOW, effects=effects)

    assert isinstance(decided, Failure)
    violation = decided.failure()
    assert isinstance(violation, ConfigViolation)
    assert expected in str(violation)


def test_a_later_turn_is_decided_on_the_record() -> None:
    """The result is that of `step`."""
    begun = expect_commit(shop, order_request())
    answer = reply_to(begun.events[0], CardCharged("r"))

    decided = decide(shop, answer, begun.record, now=NOW)

    assert decided == Success(expect_commit(shop, answer, begun.record))
