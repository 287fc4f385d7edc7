"""Outcomes: the listener of a subscription hears each end of a workflow, also a missed one."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from arvo import (
    Backend,
    Client,
    Event,
    MemoryBackend,
    Retry,
    Runtime,
    Unavailable,
    Violated,
)
from arvo.core.events.protocol import CANCELLED
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from tests.engine.system.test_outcomes import BILLING, Shipped
from tests.interpreters.missed_outcomes import LISTENING, WORKERS, begin, hear_later
from tests.interpreters.runtime.running import FAST, within
from tests.interpreters.until import until

OpenBackend = Callable[[], Backend]


@pytest.mark.promise("I8")
def test_outcomes_wait_while_no_process_listens(open_backend: OpenBackend) -> None:
    within(hear_later(open_backend))


def test_each_outcome_is_taken_by_one_of_the_listening_processes(open_backend: OpenBackend) -> None:
    heard: list[str] = []

    async def go() -> None:
        async with (
            Runtime(WORKERS, open_backend(), grace=30) as workers,
            Runtime(LISTENING, open_backend(), grace=30) as first,
            Runtime(LISTENING, open_backend(), grace=30) as second,
        ):
            for listening in (first, second):
                listening.on_workflow_complete(BILLING)(lambda event: heard.append(event.subject))
            for number in range(20):
                await workers.send(begin(number))
            await until(lambda: len(set(heard)) == 20)
            await workers.drain(timeout=30)
        assert Counter(heard) == {begin(number).subject: 1 for number in range(20)}

    within(go())


def test_a_listener_that_fails_is_called_again_and_then_its_outcome_can_be_redriven(
    open_backend: OpenBackend,
) -> None:
    calls: list[str] = []
    is_broken = True

    async def go() -> None:
        nonlocal is_broken
        async with Runtime(WORKERS, open_backend(), retry=FAST) as runtime:

            @runtime.on_workflow_complete(BILLING)
            async def bill(event: Event[Any]) -> None:
                calls.append(event.id)
                if is_broken:
                    raise Unavailable("the bank is closed")

            await runtime.send(begin(1))
            await until(lambda: runtime.stats().dead_lettered == 1)
            [dead] = await runtime.dead_letters()
            assert "the bank is closed" in dead.reason
            assert dead.to == ToHandler(BILLING, None)
            assert len(calls) == FAST.attempts
            is_broken = False
            await runtime.redrive_dead_letter(dead.id)
            await until(lambda: len(calls) == FAST.attempts + 1)
            await runtime.drain(timeout=30)
            assert await runtime.dead_letters() == ()
        assert len(set(calls)) == 1

    within(go())


def test_a_listener_that_hangs_does_not_hang_the_workflows() -> None:
    async def go() -> None:
        async with Runtime(WORKERS, retry=Retry(1)) as runtime:

            @runtime.on_workflow_complete(BILLING, timeout=0.01)
            async def hang(event: Event[Any]) -> None:
                await asyncio.Event().wait()

            assert (await runtime.request(begin(1), timeout=30)).data == Shipped(3)
            await runtime.drain(timeout=30)
            [dead] = await runtime.dead_letters()
            assert "did not return within 0.01 s" in dead.reason

    within(go())


def test_a_request_and_the_listener_both_get_the_end(open_backend: OpenBackend) -> None:
    heard: list[Event[Any]] = []

    async def go() -> None:
        async with Runtime(WORKERS, open_backend()) as runtime:
            runtime.on_workflow_complete(BILLING)(heard.append)
            answer = await runtime.request(begin(1), timeout=30)
            await until(lambda: bool(heard))
            await runtime.drain(timeout=30)
        [outcome] = heard
        assert outcome.data == answer.data == Shipped(3)
        assert outcome.id != answer.id

    within(go())


@pytest.mark.promise("I2")
def test_a_workflow_that_is_begun_twice_is_heard_once(open_backend: OpenBackend) -> None:
    heard: list[str] = []

    async def go() -> None:
        async with Runtime(WORKERS, open_backend()) as runtime:
            runtime.on_workflow_complete(BILLING)(lambda event: heard.append(event.id))
            for _ in range(3):
                await runtime.request(begin(1), timeout=30)
            await until(lambda: bool(heard))
            await runtime.drain(timeout=30)
        assert len(heard) == 1

    within(go())


def test_a_cancellation_before_the_first_turn_is_an_outcome(open_backend: OpenBackend) -> None:
    heard: list[Event[Any]] = []

    async def go() -> None:
        async with Client(WORKERS, open_backend()) as client:
            await client.send(begin(1))
            await client.cancel(begin(1).subject, reason="no longer wanted")
        async with Runtime(WORKERS, open_backend(), grace=30) as runtime:
            runtime.on_workflow_complete(BILLING)(heard.append)
            await until(lambda: bool(heard))
            await runtime.drain(timeout=30)
        [outcome] = heard
        assert (outcome.subject, outcome.data.name) == (begin(1).subject, CANCELLED)

    within(go())


def test_without_a_listener_in_memory_an_outcome_is_a_dead_letter_at_once() -> None:
    async def go() -> None:
        async with Runtime(WORKERS) as runtime:
            await runtime.request(begin(1), timeout=30)
            await runtime.drain(timeout=30)
            [dead] = await runtime.dead_letters()
            expected = "no process has a listener of the subscription 'com.shop.billing'"
            assert expected in dead.reason
            assert "on_workflow_complete" in dead.reason
            heard: list[Event[Any]] = []
            runtime.on_workflow_complete(BILLING)(heard.append)
            await runtime.redrive_dead_letter(dead.id)
            await until(lambda: [event.data for event in heard] == [Shipped(3)])

    within(go())


def test_an_event_that_another_program_puts_into_the_queue_is_no_outcome() -> None:
    heard: list[Event[Any]] = []

    async def go() -> None:
        backend: Any = MemoryBackend()
        async with Runtime(WORKERS, backend, retry=Retry(1)) as runtime:
            runtime.on_workflow_complete(BILLING)(heard.append)
            await runtime.request(begin(1), timeout=30)
            await until(lambda: bool(heard))
            await backend.send(Message(heard[0], ToHandler(BILLING, None), outside=True))
            await until(lambda: runtime.stats().dead_lettered == 1)
            [dead] = await runtime.dead_letters()
            assert "is no outcome of a workflow" in dead.reason
        assert len(heard) == 1

    within(go())


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (
            lambda runtime: runtime.on_workflow_complete("com.shop.bills"),
            r"a subscription of the system \('com.shop.billing'\), as in System\(",
        ),
        (lambda runtime: runtime.on_workflow_complete(print), "no such subscription"),
        (lambda runtime: runtime.on_workflow_complete(BILLING, timeout=0), "more than 0 seconds"),
        (lambda runtime: runtime.on_address(BILLING), "on_workflow_complete"),
        (
            lambda runtime: [runtime.on_workflow_complete(BILLING)(print) for _ in range(2)],
            "this subscription already has a listener",
        ),
    ],
)
def test_what_is_no_listener_of_a_subscription_is_refused(
    register: Callable[[Runtime], object], message: str
) -> None:
    with pytest.raises(Violated, match=message):
        register(Runtime(WORKERS))
