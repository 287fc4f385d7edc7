"""Effect: the effect that a handler asks for, and its retry policy."""

from datetime import timedelta
from typing import Any

import pytest

from arvo import Perform, Retry, Violated, call


def work(n: int) -> int:
    return n


def test_an_effect_is_data() -> None:
    """A test can compare it."""
    retry = Retry(attempts=2)
    effect = next(call(work, 1, retry=retry, timeout=timedelta(seconds=1.5)))

    assert effect == Perform(work, (1,), retry, 1.5)
    assert str(effect) == "work(1)"
    assert next(call(work, 1)) == Perform(work, (1,), Retry(attempts=1), None)


@pytest.mark.parametrize(
    ("wrong", "message"),
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
def test_an_invalid_policy_is_refused_with_its_bounds(wrong: dict[str, Any], message: str) -> None:
    """The author sees the mistake at construction, not when an effect first fails."""
    with pytest.raises(Violated) as refused:
        Retry(**wrong)

    assert message in str(refused.value)


@pytest.mark.parametrize("timeout", ["5s", -1, timedelta(seconds=-1), float("nan")])
def test_a_timeout_that_is_no_duration_is_refused_with_the_remedy(timeout: Any) -> None:
    """A bare TypeError would name neither the argument nor the types that it takes."""
    with pytest.raises(Violated) as refused:
        next(call(work, 1, timeout=timeout))

    assert str(refused.value.violation) == (
        "invalid duration: call.timeout: expected seconds or a timedelta, not below 0, "
        f"such as timedelta(seconds=5), got {timeout!r}"
    )


def test_delays_grow_up_to_the_longest() -> None:
    """No delay overflows, however many attempts there are."""
    retry = Retry(attempts=100, delay=1.0, factor=100.0, jitter=0.5, longest=10.0)

    assert [retry.wait_after(n) for n in (1, 2, 99)] == [1.0, 10.0, 10.0]
    assert retry.wait_after(99, chance=1.0) == 5.0
