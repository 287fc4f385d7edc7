"""Laws of a system that is split over processes: it does what one process does."""

import asyncio
from contextlib import AsyncExitStack

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Event,
    Flow,
    MemoryBackend,
    Runtime,
    System,
    ask,
    call_workflow,
    gather,
    run,
    service,
    workflow,
)
from arvo.engine.system.handler import Handler
from arvo.handlers.services import ServiceSpec


@frozen
class Number:
    value: int


@frozen
class Doubled:
    value: int


@frozen
class Squared:
    value: int


@frozen
class Total:
    value: int


@service("com.math.double")
def double(request: Number) -> Doubled:
    return Doubled(2 * request.value)


@service("com.math.square")
def square(request: Number) -> Squared:
    return Squared(request.value**2)


@workflow("math.part", services=[double, square])
def part(request: Number) -> Flow[Total]:
    doubled, squared = yield from gather(ask(double, request), ask(square, request))
    return Total(doubled.value + squared.value)


@workflow("math.whole", services=[part, double])
def whole(request: Number) -> Flow[Total]:
    total = yield from call_workflow(part, request)
    doubled = yield from ask(double, Number(total.value))
    return Total(doubled.value)


HANDLERS: tuple[Handler, ...] = (double, square, part, whole)
# Each of them, as other systems name it.
REMOTE: tuple[ServiceSpec, ...] = (double, square, part, whole)


def split(places: list[int]) -> list[System]:
    """Return a system for each process; *places* has the process of each handler."""
    systems = []
    for process in set(places):
        here = [it for it, place in zip(HANDLERS, places, strict=True) if place == process]
        remote = [it for it, place in zip(REMOTE, places, strict=True) if place != process]
        systems.append(System(here, remote=remote))
    return systems


PLACES = st.lists(st.integers(0, 3), min_size=len(HANDLERS), max_size=len(HANDLERS))


@given(PLACES, st.integers(-1_000, 1_000))
def test_the_events_of_split_systems_are_those_of_one(places: list[int], value: int) -> None:
    begin = whole["1.0.0"].init(Number(value), source="com.test.web")
    expected = run(System(HANDLERS), begin)

    async def go() -> tuple[Event[Total], dict[str, int]]:
        backend = MemoryBackend()
        async with AsyncExitStack() as stack:
            for system in split(places):
                runtime = await stack.enter_async_context(Runtime(system, backend))
                if system.handler_at(whole.source) is not None:
                    asked = runtime
            answer = await asked.request(begin, timeout=30)
            records = await backend.load_all(list(expected.records))
            assert await backend.dead_letters() == ()
        return answer, {subject: record.revision for subject, record in records.items()}

    answer, revisions = asyncio.run(go())
    assert answer.data == expected.answers[0].data
    assert answer.id == expected.answers[0].id
    assert revisions == {subject: record.revision for subject, record in expected.records.items()}
