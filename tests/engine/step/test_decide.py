"""Decide: a step with its effects answered from a table."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from returns.result import Failure, Success

from arvo import ConfigViolation, Effects, Emit, Event, System, call, decide
from tests.shop import (
    NOW,
    CardCharged,
    answering,
    charging,
    committed,
    paying,
    placing,
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


SYSTEM = System([paying(handler)])


def down(_: str) -> str:
    raise ConnectionError("down")


@pytest.mark.parametrize(
    ("fake", "receipt"), [(lambda key: f"r-{key}", "r-o1"), (down, "none: down")]
)
def test_a_fake_answers_or_fails_like_the_real_one(
    fake: Callable[[str], str], receipt: str
) -> None:
    """No mock, no patch: a function from a table."""
    decided = decide(SYSTEM, charging(), None, now=NOW, effects={fetch: fake})

    assert isinstance(decided, Success)
    assert decided.unwrap().events[0].data == CardCharged(receipt)


async def slow(key: str) -> str:
    return key


@pytest.mark.parametrize(
    ("effects", "told"),
    [
        (None, "effects: expected a function for fetch, got none"),
        ({down: down}, "effects: expected a function for fetch, got down"),
        ({partial(down): down}, "effects: expected a function for fetch, got functools.partial(<"),
        ({fetch: slow}, "effects: expected a plain function, which answers at once, got slow"),
    ],
)
def test_an_effect_that_nobody_can_answer_is_named(effects: Any, told: str) -> None:
    """Nothing is done for real by mistake, and no coroutine is left behind."""
    decided = decide(SYSTEM, charging(), None, now=NOW, effects=effects)

    assert isinstance(decided, Failure)
    violation = decided.failure()
    assert isinstance(violation, ConfigViolation)
    assert told in str(violation)


def test_a_later_turn_is_decided_on_what_is_remembered() -> None:
    """As `step` does."""
    begun = committed(shop, placing())
    answer = answering(begun.events[0], CardCharged("r"))

    decided = decide(shop, answer, begun.record, now=NOW)

    assert decided == Success(committed(shop, answer, begun.record))
