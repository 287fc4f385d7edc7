"""Refusals: a turn whose commit would be refused performs no effect."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Backend,
    Contract,
    Event,
    Flow,
    OrchestratorContract,
    Runtime,
    Stamp,
    Subject,
    System,
    Version,
    Workflow,
    call,
    flow,
    flows,
    stamping,
    wait_for,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from tests.interpreters.until import until
from tests.interpreters.within import within

SOURCE = "com.refusals.test"
TIME = "2026-01-02T03:04:05.000+00:00"
SIGNALS = 3


@frozen
class Begin:
    name: str


@frozen
class Item:
    number: int


@frozen
class Ended:
    numbers: list[int]


item = Contract(
    uri="#/refusals/item",
    type="com.refusals.item",
    versions={"1.0.0": Version(accepts=Item, emits={})},
)
_RUN = Workflow(init=Begin, complete=Ended)
old_list = OrchestratorContract(
    uri="#/refusals/list", name="refusals.list", versions={"1.0.0": _RUN}
)
new_list = OrchestratorContract(
    uri="#/refusals/list", name="refusals.list", versions={"1.0.0": _RUN, "2.0.0": _RUN}
)


def make_system(contract: OrchestratorContract[Any, Any], fetch: Callable[[int], Any]) -> System:
    """Make a system whose workflow fetches each item that a signal names."""

    def follow(event: Event[Begin]) -> Flow[Ended]:
        numbers = [(yield from call(fetch, 0))]
        for _ in range(SIGNALS):
            received = yield from wait_for(Item)
            numbers.append((yield from call(fetch, received.number)))
        return Ended(numbers)

    versions = [flow(contract, each, signals=[item["1.0.0"]])(follow) for each in contract.versions]
    return System([flows(*versions)])


def begin_event(version: str = "1.0.0") -> Event[Any]:
    subject = str(Subject.new(new_list.type, version, initiator=SOURCE, id="run"))
    with stamping(lambda: Stamp("begin", TIME)):
        return new_list[version].init(Begin("a"), source=SOURCE, subject=subject)


def item_event(number: int) -> Event[Any]:
    subject = begin_event().subject
    with stamping(lambda: Stamp(f"item-{number}", TIME)):
        return item["1.0.0"].accepts(Item(number), source=SOURCE, subject=subject, to=new_list.type)


class Fetched(list[int]):
    """The numbers that were fetched, by any worker."""

    async def fetch(self, number: int) -> int:
        self.append(number)
        return number


@pytest.mark.promise("I2")
def test_a_duplicate_performs_no_effect(open_backend: Callable[[], Backend]) -> None:
    """Also where only the inbox knows that it is one: a signal leaves no trace in the record."""

    async def go() -> None:
        fetched = Fetched()
        async with Runtime(make_system(old_list, fetched.fetch), open_backend()) as runtime:
            for event in (begin_event(), item_event(1), item_event(2)):
                await runtime.send(event)
                await runtime.drain(20)
            await runtime.send(item_event(1))
            await runtime.drain(20)

            assert list(fetched) == [0, 1, 2]

    within(go(), 60)


@pytest.mark.promise("I2")
def test_a_turn_on_an_outdated_record_performs_no_effect(
    open_backend: Callable[[], Backend],
) -> None:
    """Another worker may have cancelled the workflow since this one cached its record."""

    async def go() -> None:
        fetched = Fetched()
        async with Runtime(make_system(old_list, fetched.fetch), open_backend()) as runtime:
            begin = begin_event()
            await runtime.send(begin)
            await runtime.drain(20)
            before = await runtime.record(begin.subject)
            assert before is not None
            await runtime.cancel(begin.subject, "a test")
            await runtime.drain(20)
            runtime._tasks.worker.records.put(before)
            await runtime.send(item_event(1))
            await runtime.drain(20)

            assert list(fetched) == [0]
            assert runtime.stats().late == 1

    within(go(), 60)


@pytest.mark.promise("I1")
def test_a_worker_that_lacks_the_version_keeps_the_results_of_another_one(
    open_backend: Callable[[], Backend],
) -> None:
    """In a rolling deploy an old worker may get the event of a new one that died in its turn."""

    async def go() -> None:
        backend, fetched = open_backend(), Fetched()
        begin, progress = begin_event("2.0.0"), b'{"effects":[]}'
        await backend.send(Message(begin, ToHandler(new_list.type, begin.subject)))
        delivery = await backend.receive(new_list.type)
        await backend.checkpoint(delivery, progress)
        await backend.nack(delivery, 0.0)
        # It would claim the event again.
        await backend.close()

        system = make_system(old_list, fetched.fetch)
        async with Runtime(system, open_backend(), grace=30.0) as old:
            await until(lambda: old.stats().released > 0)

        backend = open_backend()
        again = await backend.receive(new_list.type)
        assert await again.progress.load() == progress
        await backend.ack(again)
        await backend.close()

    within(go(), 60)
