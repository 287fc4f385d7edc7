"""Early signals: a limited number of signals may wait for workflows that have not started."""

from typing import Any

import pytest
from attrs import evolve

from arvo import Event, MemoryBackend, Retry, Runtime, TooEarly
from arvo.interpreters.services.early_signals import (
    EARLY_SECONDS,
    READ_SECONDS,
    RECORDS_READ_MAX,
    SENDER_SIGNALS_MAX,
    WORKFLOW_SIGNALS_MAX,
    EarlySignals,
)
from tests.interpreters.http.serving import post, with_client
from tests.interpreters.within import within
from tests.ordered import mark_ledger, open_ledger, ordered_system

ONCE = Retry(attempts=1)


def signals(number: int, first: int = 0) -> list[Event[Any]]:
    return [mark_ledger(f"w{n}", 0) for n in range(first, first + number)]


@pytest.mark.promise("I8")
def test_a_flood_of_signals_for_unknown_workflows_makes_few_dead_letters() -> None:
    """I8: each accepted one is a dead letter; the sender of the others gets an error."""

    async def go() -> tuple[int, int]:
        refused = 0
        async with Runtime(ordered_system, MemoryBackend(), retry=ONCE) as runtime:
            for signal in signals(SENDER_SIGNALS_MAX + 150):
                try:
                    await runtime.send(signal)
                except TooEarly:
                    refused += 1
            await runtime.drain(timeout=60)
            return refused, runtime.stats().dead_lettered

    assert within(go()) == (150, SENDER_SIGNALS_MAX)


def test_other_senders_have_places_of_their_own_within_the_number_of_the_workflow() -> None:
    """One that floods does not stop the others; many that flood have one limit together."""

    async def go() -> list[int]:
        backend = MemoryBackend()
        early = EarlySignals(lambda: backend)
        admitted = []
        for sender in range(12):
            count = 0
            for signal in signals(SENDER_SIGNALS_MAX + 1):
                try:
                    await early.admit(evolve(signal, source=f"com.sender.{sender}"))
                    count += 1
                except TooEarly:
                    pass
            admitted.append(count)
        return admitted

    admitted = within(go())

    assert admitted == [SENDER_SIGNALS_MAX] * 10 + [0, 0]
    assert sum(admitted) == WORKFLOW_SIGNALS_MAX


def test_a_signal_leaves_its_place_when_its_workflow_starts_or_an_hour_has_passed() -> None:
    """Signals that overtake the start of their workflows are never refused for long."""
    now = 0.0

    async def is_admitted(early: EarlySignals, signal: Event[Any]) -> bool:
        try:
            await early.admit(signal)
        except TooEarly:
            return False
        return True

    async def go() -> list[bool]:
        nonlocal now
        backend = MemoryBackend()
        async with Runtime(ordered_system, backend) as runtime:
            early = EarlySignals(lambda: backend, lambda: now)
            for signal in signals(SENDER_SIGNALS_MAX):
                await early.admit(signal)
            [late, later, last] = signals(3, first=SENDER_SIGNALS_MAX)
            results = [await is_admitted(early, late)]
            await runtime.send(open_ledger(f"w{RECORDS_READ_MAX}"))
            await runtime.drain(timeout=60)
            results.append(await is_admitted(early, late))
            now += READ_SECONDS
            results += [await is_admitted(early, late), await is_admitted(early, late)]
            results.append(await is_admitted(early, later))
            now += EARLY_SECONDS
            return [*results, await is_admitted(early, later), await is_admitted(early, last)]

    assert within(go()) == [False, False, True, True, False, True, True]


def test_an_event_that_begins_a_workflow_is_never_early() -> None:
    """Nor is a signal for a workflow that has started, whatever the number."""

    async def go() -> int:
        async with Runtime(ordered_system, MemoryBackend()) as runtime:
            for number in range(SENDER_SIGNALS_MAX + 1):
                await runtime.send(open_ledger(f"w{number}"))
            await runtime.drain(timeout=60)
            for signal in signals(SENDER_SIGNALS_MAX + 1):
                await runtime.send(signal)
            return (await runtime.drain(timeout=60)).dead_lettered

    assert within(go()) == 0


def test_over_http_a_signal_too_many_gets_429() -> None:
    """A check and a send count once; the response says what to do, and when."""

    async def use(client: Any, _: Runtime) -> list[Any]:
        return [await post(client, signal) for signal in signals(SENDER_SIGNALS_MAX + 1)]

    *accepted, refused = with_client(ordered_system, use)

    assert {response.status_code for response in accepted} == {202}
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert "begin the workflow first" in refused.json()["detail"]
