"""Elsewhere: what leaves the system reaches the process that listens, of several on a backend."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from arvo import Backend, Client, Emit, Event, MemoryBackend, Runtime, System, Unavailable
from arvo.engine.step.route import ToCaller, ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.services import WorkerServices
from tests.interpreters.runtime.running import Replaced
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.shop import WEB, CardCharged, charge_request, payment_handler, payments, reply_to

EVENTS = 20
# Each may go to and fro several times, with growing pauses.
LEAVING = 4
OpenBackend = Callable[[], Backend]

# One process handles events, another one has the listeners.
handling = System([payments])
listening = System([])


async def send(system: System, backend: Backend, *numbers: int) -> None:
    async with Client(system, backend) as client:
        for number in numbers:
            await client.send(charge_request(f"c{number}"))


@pytest.mark.promise("I8")
def test_an_answer_reaches_the_process_that_listens_to_its_address(
    open_backend: OpenBackend,
) -> None:
    """The process that delivers it has no listener, and leaves it to the one that has."""
    got: list[str | None] = []

    async def go() -> None:
        async with (
            Runtime(handling, open_backend()) as worker,
            Runtime(listening, open_backend()) as web,
        ):
            # Added while it runs, so it is registered again.
            @web.on_address(WEB)
            async def listener(event: Event[Any]) -> None:
                got.append(event.parentid)

            registry: Any = open_backend()
            await until_listed(registry, WEB)
            await registry.close()
            await send(handling, open_backend(), *range(EVENTS))
            await until(lambda: len(got) >= EVENTS)
            await web.drain(timeout=30)
            assert worker.stats().unclaimed == web.stats().unclaimed == 0
            assert web.stats().answered == EVENTS
            assert await web.dead_letters() == ()

    within(go(), 120)

    assert set(got) == {f"c{number}" for number in range(EVENTS)}


@pytest.mark.promise("I8")
@pytest.mark.parametrize("domain", ["bank", None])
def test_an_event_reaches_the_process_that_listens_to_its_domain(
    open_backend: OpenBackend, domain: str | None
) -> None:
    """A process without the listener may take it first; it was a dead letter there."""
    got: list[str | None] = []
    paying = System([payment_handler(lambda _: Emit(CardCharged("r"), domain="bank"))])

    async def go() -> None:
        async with (
            Runtime(paying, open_backend()) as worker,
            Runtime(listening, open_backend()) as web,
        ):
            # Added while it runs and waits, so it is registered again.
            @web.on_domain(domain)
            async def listener(event: Event[Any]) -> None:
                got.append(event.parentid)

            registry: Any = open_backend()
            await until_domain_listed(registry, domain)
            await registry.close()
            await send(paying, open_backend(), *range(LEAVING))
            await until(lambda: len(got) >= LEAVING)
            await web.drain(timeout=60)
            assert web.stats().sent_out == LEAVING
            assert worker.stats().dead_lettered == web.stats().dead_lettered == 0

    # The process that does not listen may take it several times, with growing pauses.
    within(go(), 300)

    assert sorted(got, key=str) == sorted((f"c{number}" for number in range(LEAVING)), key=str)


async def until_domain_listed(backend: Any, domain: str | None) -> None:
    async def is_listed() -> bool:
        return any(domain in each.domains for each in await backend.services.list())

    await until(is_listed)


async def until_listed(backend: Any, address: str) -> None:
    async def is_listed() -> bool:
        return any(address in each.callers for each in await backend.services.list())

    await until(is_listed)


@pytest.mark.promise("I8")
def test_answers_wait_for_a_process_that_restarts(open_backend: OpenBackend) -> None:
    """A deployment of the listener's process loses none of them."""
    got: list[str | None] = []

    def web() -> Runtime:
        runtime = Runtime(listening, open_backend())
        runtime.on_address(WEB)(lambda event: got.append(event.parentid))
        return runtime

    async def go() -> None:
        async with Runtime(handling, open_backend(), grace=60.0) as worker:
            async with web() as first:
                await until_listed(first._backend, WEB)
                # As for any answer that it receives and has no listener for.
                await worker._tasks.worker.directory.callers()
            await send(handling, open_backend(), *range(EVENTS))
            await until(lambda: worker.stats().released >= EVENTS)
            async with web() as second:
                await until(lambda: len(got) >= EVENTS)
                await second.drain(timeout=30)
            assert worker.stats().unclaimed == 0
            assert worker.stats().dead_lettered == 0

    within(go(), 120)


@pytest.mark.promise("I8")
def test_an_answer_whose_listener_does_not_come_back_is_a_dead_letter() -> None:
    """The sender has declared that its answers matter, so an operator must know."""

    async def go() -> str:
        backend = MemoryBackend()
        async with Runtime(handling, backend, grace=0.05) as worker:
            web = WorkerServices("web", {}, (WEB,))
            await backend.services.register(web)
            assert await worker._tasks.worker.directory.callers() == {WEB}
            await backend.services.deregister("web")
            await worker.send(charge_request("c1"))
            await until(lambda: worker.stats().dead_lettered > 0)
            assert worker.stats().unclaimed == 0
            assert worker.stats().released > 0
            [dead_letter] = await worker.dead_letters()
            assert dead_letter.attempts == 1
            return dead_letter.reason

    reason = within(go())

    assert reason == (
        f"answered to an address that is not known: {WEB}; no worker has a listener, for 0.05 s"
    )


def test_a_handler_that_is_repeated_answers_once_where_its_listener_is_elsewhere() -> None:
    """With another content by the same id, as after a crash: the first answer was passed on."""
    request = charge_request("c1", redirectto=WEB)

    async def go() -> tuple[int, int]:
        backend = MemoryBackend()
        await backend.services.register(WorkerServices("web", {}, (WEB,)))
        async with Runtime(handling, backend) as worker:
            for receipt in ("r-1", "r-2"):
                answer = reply_to(request, CardCharged(receipt))
                await backend.send(Message(answer, ToCaller(WEB)))
            await until(lambda: worker.stats().released == 2)
            depth = await backend.depth()
            return depth.ready, depth.total

    assert within(go()) == (1, 1)


def test_a_handler_elsewhere_that_is_repeated_may_emit_other_content() -> None:
    """Another system on the backend serves it, so its events are from inside."""

    async def go() -> tuple[int, int]:
        backend = MemoryBackend()
        await backend.services.register(WorkerServices("other", {"com.other.app": ("1.0.0",)}, ()))
        async with Runtime(handling, backend) as worker:
            for amount in (10.0, 11.0):
                event = charge_request("c1", amount, source="com.other.app", redirectto=WEB)
                await backend.send(Message(event, ToHandler(payments.source, None)))
            stats = await worker.drain(timeout=60)
            return stats.duplicates, stats.dead_lettered

    assert within(go()) == (1, 0)


@pytest.mark.promise("I8")
def test_a_request_is_answered_in_its_process_if_that_has_the_listener(
    open_backend: OpenBackend,
) -> None:
    """Another process handles the event, and passes the answer of its handler to this one."""

    async def go() -> None:
        async with Runtime(handling, open_backend()) as web, Runtime(handling, open_backend()):
            web.on_address(WEB)(lambda _: None)
            requests = (
                web.request(charge_request(f"c{number}"), timeout=60) for number in range(EVENTS)
            )
            answers = await asyncio.gather(*requests)
            assert {answer.parentid for answer in answers} == {f"c{n}" for n in range(EVENTS)}

    within(go(), 120)


def test_an_answer_is_not_given_up_while_the_registry_is_unavailable() -> None:
    """Then it is unknown whether another process listens."""

    async def go() -> None:
        # The first one is met in a tick, which leaves the answer to a task of its own.
        backend, outages = MemoryBackend(), iter(range(4))

        async def list_later() -> Any:
            if next(outages, None) is not None:
                raise Unavailable("the registry is away")
            return await backend.services.list()

        services = SimpleNamespace(
            list=list_later,
            register=backend.services.register,
            deregister=backend.services.deregister,
        )
        replaced: Any = Replaced(backend, services=services)
        async with Runtime(handling, replaced) as worker:
            await worker.send(charge_request())
            await until(lambda: worker.stats().unclaimed == 1)
            assert worker.stats().retried == 3

    within(go())
