"""Effect: what is asked for, and how often to try."""

from datetime import timedelta
from typing import Any

import pytest

from arvo import Perform, Retry, Violated, call


def work(n: int) -> int:
    return n


def test_an_effect_is_data() -> None:
    """A test compares what was wanted."""
    retry = Retry(attempts=2)
    asked = next(call(work, 1, retry=retry, timeout=timedelta(seconds=1.5)))

    assert asked == Perform(work, (1,), retry, 1.5)
    assert str(asked) == "work(1)"
    assert next(call(work, 1)) == Perform(work, (1,), Retry(attempts=1), None)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"attempts": 0}, "retry.attempts: expected 1 to 100, a whole number, got 0"),
        ({"attempts": 101}, "retry.attempts"),
        ({"attempts": 2.5}, "retry.attempts: expected 1 to 100, a whole number, got 2.5"),
        ({"delay": -1}, "retry.delay: expected 0 to 86400, got -1"),
        ({"delay": float("nan")}, "retry.delay"),
        ({"delay": "1"}, "retry.delay"),
        ({"factor": 0.5}, "retry.factor"),
        ({"jitter": 1.1}, "retry.jitter"),
        ({"longest": float("inf")}, "retry.longest"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_with_its_bounds(
    wrong: dict[str, Any], told: str
) -> None:
    """Found where it is written, not when something fails at night."""
    with pytest.raises(Violated) as refused:
        Retry(**wrong)

    assert told in str(refused.value)


def test_waits_grow_up_to_the_longest() -> None:
    """No wait overflows, however many attempts there are."""
    retry = Retry(attempts=100, delay=1.0, factor=100.0, jitter=0.5, longest=10.0)

    assert [retry.wait_after(n) for n in (1, 2, 99)] == [1.0, 10.0, 10.0]
    assert retry.wait_after(99, chance=1.0) == 5.0
