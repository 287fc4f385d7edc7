"""Listeners: functions that receive the events that leave the system by a domain."""

import asyncio
from typing import Any

import pytest

from arvo import (
    ConfigViolation,
    Event,
    Runtime,
    Stats,
    Violated,
)
from arvo.core.violations.issue import Issue
from tests.interpreters.runtime.running import FAST, emit_to_domain, run_runtime
from tests.shop import (
    charge_request,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_event_with_a_domain_goes_to_its_listener(kind: str) -> None:
    """Human in the loop; the listener for None gets all other domains."""
    got: list[tuple[str, str | None]] = []

    async def work(runtime: Runtime) -> None:
        @runtime.on_domain("other")
        def unused(event: Event[Any]) -> None:
            got.append(("other", event.domain))

        if kind == "plain":
            runtime.on_domain()(lambda event: got.append(("rest", event.domain)))
        else:

            @runtime.on_domain()
            async def rest(event: Event[Any]) -> None:
                await asyncio.sleep(0)
                got.append(("rest", event.domain))

        with pytest.raises(Violated, match="this domain already has a listener"):
            runtime.on_domain("other")(unused)
        await runtime.send(charge_request())

    _, stats = run_runtime(emit_to_domain("human"), work)

    assert got == [("rest", "human")]
    assert stats == Stats(handled=1, sent_out=1)


@pytest.mark.parametrize(("failures", "sent_out", "dead"), [(1, 1, 0), (2, 0, 1)])
def test_an_event_whose_listener_raises_is_retried(failures: int, sent_out: int, dead: int) -> None:
    """B34: the event is delivered again, and becomes a dead letter in the end."""
    tries: list[str] = []

    async def work(runtime: Runtime) -> None:
        @runtime.on_domain("human")
        def listener(event: Event[Any]) -> None:
            tries.append(event.id)
            if len(tries) <= failures:
                raise ConnectionError("no mail server")

        await runtime.send(charge_request())
        await runtime.drain(timeout=60)
        reasons = [dead_letter.reason for dead_letter in await runtime.dead_letters()]
        assert all("the listener of human raised ConnectionError" in reason for reason in reasons)

    _, stats = run_runtime(emit_to_domain("human"), work, retry=FAST)

    assert stats == Stats(handled=1, retried=1, sent_out=sent_out, dead_lettered=dead)


def test_an_event_whose_listener_raises_a_violation_is_not_retried() -> None:
    """A retry cannot help: an operator reads which field is wrong."""
    issue = Issue("status", "2xx", "410 Gone")

    async def work(runtime: Runtime) -> object:
        @runtime.on_domain("human")
        def listener(_: Event[Any]) -> None:
            raise Violated(ConfigViolation("they refuse this event", issue))

        await runtime.send(charge_request())
        await runtime.drain(timeout=60)
        [dead_letter] = await runtime.dead_letters()
        return dead_letter.violation

    violation, stats = run_runtime(emit_to_domain("human"), work, retry=FAST)

    assert violation == ConfigViolation("they refuse this event", issue)
    assert stats == Stats(handled=1, dead_lettered=1)


@pytest.mark.promise("I8")
def test_an_event_to_a_domain_without_a_listener_is_a_dead_letter() -> None:
    """B34: an approval that no person sees must not vanish (promise I8)."""

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request())

    _, stats = run_runtime(emit_to_domain("human"), work)

    assert stats == Stats(handled=1, dead_lettered=1)


def test_on_domain_without_parentheses_is_refused() -> None:
    """The listener would never be called."""
    on_domain: Any = Runtime(shop).on_domain

    with pytest.raises(Violated, match=r"write `@runtime.on_domain\(\)` with parentheses"):
        on_domain(lambda event: None)
