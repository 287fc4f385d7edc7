"""Suspects: deliveries whose workers died are retried with care, and then dead-lettered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from attrs import define, evolve, field

from arvo import (
    DeadLetter,
    Emit,
    Event,
    ExecutionViolation,
    MemoryBackend,
    Retry,
    Runtime,
    Stats,
    System,
    Unavailable,
    Violated,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import Committed
from arvo.interpreters.worker.suspects import Suspects
from tests.interpreters.runtime.running import FAST, Replaced, within
from tests.shop import CardCharged, charge_request, payment_handler

T = TypeVar("T")


@define
class Mortal:
    """Makes each delivery one whose worker has died; records which ones are started."""

    deaths: int
    owned: bool = True
    memory: MemoryBackend = field(factory=MemoryBackend, init=False)
    started: list[str] = field(factory=list, init=False)

    async def receive(self, queue: str) -> Delivery:
        delivery = await self.memory.receive(queue)
        # In place: the queues find a delivery by its identity.
        object.__setattr__(delivery, "deaths", self.deaths)
        object.__setattr__(delivery, "attempt", delivery.attempt + self.deaths)
        return delivery

    async def mark_started(self, delivery: Delivery) -> bool:
        self.started.append(delivery.message.event.id)
        if not self.owned:
            await self.memory.ack(delivery)
        return self.owned

    def __getattr__(self, name: str) -> Any:
        if name == "commit_chains":
            # All is delivered by `receive`.
            raise AttributeError(name)
        return getattr(self.memory, name)


def run_on(
    backend: Any, seen: list[str], work: Callable[[Runtime], Awaitable[T]], **options: Any
) -> tuple[T, Stats]:
    """Run *work* on a backend, with a handler that records the events that it handles in *seen*."""

    async def go() -> tuple[T, Stats]:
        async with Runtime(charge_system(seen), backend, **options) as runtime:
            return await work(runtime), await runtime.drain(timeout=60)

    return within(go())


def charge_system(seen: list[str]) -> System:
    """Make a system that records the events that it handles."""

    def handle(event: Event[Any]) -> Emit:
        seen.append(event.id)
        return Emit(CardCharged("r"))

    return System([payment_handler(handle)])


@pytest.mark.promise("I11")
@pytest.mark.parametrize(("attempts", "deaths_max"), [(1, 2), (2, 2), (5, 5)])
def test_after_the_attempts_of_the_policy_it_is_a_dead_letter(
    attempts: int, deaths_max: int
) -> None:
    """Without another attempt. At the first death the worker may only have fetched it, so one
    death never makes a dead letter.
    """
    seen: list[str] = []

    async def work(runtime: Runtime) -> tuple[DeadLetter, ...]:
        with pytest.raises(Violated) as refused:
            await runtime.request(charge_request("poison"))
        text = f"its worker died {deaths_max} times"
        assert refused.value.violation == ExecutionViolation(text)
        return await runtime.dead_letters()

    dead_letters, stats = run_on(Mortal(deaths_max), seen, work, retry=Retry(attempts))

    assert [(entry.reason, entry.attempts) for entry in dead_letters] == [
        (f"its worker died {deaths_max} times", deaths_max)
    ]
    assert seen == []
    assert stats == Stats(dead_lettered=1)


def handle_one(backend: Mortal, **options: Any) -> tuple[list[str], Stats]:
    """Send one event, and return the events that are handled, and the counts."""
    seen: list[str] = []

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request("c1"))

    _, stats = run_on(backend, seen, work, **options)
    return seen, stats


@pytest.mark.promise("I11")
@pytest.mark.parametrize(("attempts", "deaths"), [(1, 1), (2, 1), (5, 4)])
def test_before_that_it_is_started_and_handled(attempts: int, deaths: int) -> None:
    """The start is recorded first, so that another death is counted."""
    backend = Mortal(deaths)

    assert handle_one(backend, retry=Retry(attempts)) == (["c1"], Stats(handled=1, unclaimed=1))
    # The answer is a suspect as well in this backend.
    assert backend.started[0] == "c1"


@pytest.mark.promise("I11")
def test_a_delivery_without_a_death_costs_no_write() -> None:
    """The usual case."""
    backend = Mortal(0)

    assert handle_one(backend)[0] == ["c1"]
    assert backend.started == []


@pytest.mark.promise("I11")
def test_one_that_belongs_to_another_worker_is_not_handled() -> None:
    """That worker handles it."""
    assert handle_one(Mortal(1, owned=False)) == ([], Stats(fenced=1))


@pytest.mark.promise("I11")
def test_a_dead_letter_that_cannot_be_stored_is_stored_later() -> None:
    """For the same reason, and still without another attempt."""
    backend = Mortal(5)
    fails = [True]

    async def dead_letter(delivery: Delivery, entry: DeadLetter) -> Committed:
        if fails.pop() if fails else False:
            raise Unavailable("no store")
        return await backend.memory.dead_letter(delivery, entry)

    async def work(runtime: Runtime) -> list[str]:
        await runtime.send(charge_request("poison"))
        await runtime.drain(timeout=60)
        return [entry.reason for entry in await runtime.dead_letters()]

    seen: list[str] = []
    store: Any = Replaced(backend, dead_letter=dead_letter)
    reasons, stats = run_on(store, seen, work, retry=evolve(FAST, attempts=5))

    assert (reasons, seen) == (["its worker died 5 times"], [])
    assert stats == Stats(retried=1, dead_lettered=1)


@define
class Attempts:
    """The retry policy of each handler."""

    policy: Retry

    def policy_of(self, _: Delivery) -> Retry:
        return self.policy


def make_suspects(attempts: int, **options: Any) -> Suspects:
    """Make the suspects of a worker, which ends none of them in these tests."""
    backend: Any = Mortal(0)
    retry: Any = Attempts(Retry(attempts))
    return Suspects(backend, retry, Stats(), **options)


def suspect(deaths: int) -> Delivery:
    """Make a delivery with deaths."""
    return Delivery(Message(charge_request(), ToHandler("com.payment.charge", None)), 1, 0, deaths)


@pytest.mark.promise("I11")
@pytest.mark.parametrize(
    ("attempts", "deaths", "concurrent"),
    [
        (5, (1, 1, 1), 3),
        (5, (2, 2, 3), 1),
        (5, (1, 2, 1, 4), 3),
        (3, (2, 2), 1),
        (2, (1, 1), 1),
        (1, (1, 1), 1),
    ],
)
def test_suspects_are_processed_one_at_a_time_before_the_last_attempt(
    attempts: int, deaths: tuple[int, ...], concurrent: int
) -> None:
    """A good event that was in progress beside the bad one is not counted again with it."""
    running, counts = 0, []

    async def dispatch(_: Delivery) -> None:
        nonlocal running
        running += 1
        counts.append(running)
        for _ticks in range(20):
            await asyncio.sleep(0)
        running -= 1

    async def go() -> None:
        suspects = make_suspects(attempts)
        await asyncio.gather(*(suspects.process(suspect(each), dispatch) for each in deaths))

    asyncio.run(go())

    assert (len(counts), max(counts)) == (len(deaths), concurrent)


@pytest.mark.promise("I11")
def test_a_suspect_does_not_wait_for_ever() -> None:
    """A handler that hangs stops no other suspect."""
    ended: list[int] = []

    async def go() -> None:
        suspects, hang = make_suspects(5, alone_seconds=0.01), asyncio.Event()

        async def dispatch(delivery: Delivery) -> None:
            if delivery.deaths == 3:
                await hang.wait()
            ended.append(delivery.deaths)

        hanging = asyncio.create_task(suspects.process(suspect(3), dispatch))
        await asyncio.sleep(0)
        await suspects.process(suspect(2), dispatch)
        hang.set()
        await hanging
        # And the turn of the one that hung is over.
        await suspects.process(suspect(4), dispatch)

    asyncio.run(asyncio.wait_for(go(), 10))

    assert ended == [2, 3, 4]
