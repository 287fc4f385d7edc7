"""Laws of handler policies: what a worker does with an exception follows from the policy."""

import asyncio
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from arvo import Effects, Emit, Event, EventHandler, Retry, Runtime, System, call
from tests.shop import CardCharged, charge, charge_request

ATTEMPTS: Final = st.integers(1, 4)


async def attempts_of(
    failures: int, runtime_attempts: int, policy: dict[str, Any]
) -> tuple[int, int, int, int]:
    """Return how often an effect was called that raises *failures* times, and how the event ended:
    the counts of handled, failed and dead-lettered events.
    """
    calls = 0

    async def flaky() -> None:
        nonlocal calls
        calls += 1
        if calls <= failures:
            raise ConnectionError("no route")

    def handle(event: Event[Any]) -> Effects[Emit]:
        yield from call(flaky)
        return Emit(CardCharged("r"))

    system = System([EventHandler(charge, {"1.0.0": handle}, **policy)])
    retry = Retry(runtime_attempts, delay=0.0)
    async with asyncio.timeout(60), Runtime(system, retry=retry) as runtime:
        await runtime.send(charge_request())
        stats = await runtime.drain()
    return calls, stats.handled, stats.failed, stats.dead_lettered


@given(
    st.integers(0, 5),
    ATTEMPTS,
    st.none() | ATTEMPTS,
    st.sampled_from(["fail", "retry", "dead-letter"]),
)
def test_an_event_is_tried_as_often_as_its_policy_allows_and_never_lost(
    failures: int, runtime_attempts: int, own_attempts: int | None, on_error: str
) -> None:
    """The handler's own policy comes before the runtime's; only "retry" takes another attempt."""
    retry = None if own_attempts is None else Retry(own_attempts, delay=0.0)
    policy = {"retry": retry, "on_error": on_error}

    counts = asyncio.run(attempts_of(failures, runtime_attempts, policy))

    allowed = (own_attempts or runtime_attempts) if on_error == "retry" else 1
    if failures < allowed:
        assert counts == (failures + 1, 1, 0, 0)
    elif on_error == "dead-letter":
        assert counts == (1, 0, 0, 1)
    else:
        assert counts == (allowed, 0, 1, 0)
