"""Rolling: an old and a new version of a system process the events of one backend together."""

from collections.abc import Awaitable, Callable, Sized
from types import SimpleNamespace
from typing import Any

import pytest

from arvo import Backend, Client, ConfigViolation, MemoryBackend, Runtime, Unavailable
from arvo.interpreters.ports.services import SupportsServiceRegistry
from tests.interpreters.rolling import charge_event, new, old, order_event, refund_event
from tests.interpreters.runtime.running import Replaced
from tests.interpreters.until import until
from tests.interpreters.within import within

EVENTS = 100
WORKFLOWS = 20
# How many turns a workflow takes: its init event, and the reply to its request.
TURNS = 2


@pytest.mark.promise("I1", "I8")
def test_events_of_a_new_version_are_handled_while_old_workers_run(
    open_backend: Callable[[], Backend],
) -> None:
    """A rolling deploy buries none of them, and none of the replies to a new handler."""

    async def go() -> None:
        async with Runtime(old, open_backend()) as before, Runtime(new, open_backend()) as after:
            await until(lambda: before.is_working and after.is_working)
            for number in range(EVENTS):
                await after.send(charge_event(number))
            for number in range(WORKFLOWS):
                await after.send(order_event(number))
                await after.send(refund_event(number))

            handled = EVENTS + 2 * WORKFLOWS * (TURNS + 1)
            await until(lambda: before.stats().handled + after.stats().handled >= handled)

            assert await after.dead_letters() == ()
            assert before.stats().handled + after.stats().handled == handled
            assert after.stats().released == 0
            for event in map(order_event, range(WORKFLOWS)):
                record = await after.record(event.subject)
                assert record is not None
                assert record.status == "done"
            await after.drain()

    within(go(), 120)


def test_an_event_that_no_worker_serves_is_a_dead_letter_that_names_the_version(
    open_backend: Callable[[], Backend],
) -> None:
    """The operator sees that a deploy is missing, and redrives the event after it."""

    async def go() -> None:
        backend = open_backend()
        async with Runtime(old, backend, grace=0.0) as before:
            async with Client(new, open_backend()) as web:
                await web.send(charge_event(1))
            await until(lambda: before.stats().dead_lettered == 1)

            [dead_letter] = await before.dead_letters()
            assert dead_letter.event.id == charge_event(1).id
            assert dead_letter.reason.endswith(
                "; no registered worker serves com.pay.charge 2.0.0"
                " (registered: com.pay.charge 1.0.0)"
            )
            assert isinstance(dead_letter.violation, ConfigViolation)
            assert dead_letter.attempts == 1

        async with Runtime(new, open_backend()) as after:
            await after.redrive_dead_letter(dead_letter.id)
            await until(lambda: after.stats().handled == 1)
            await after.drain()
            assert await after.dead_letters() == ()

    within(go(), 60)


@pytest.mark.promise("I8")
def test_events_wait_for_the_first_worker_of_a_new_version(
    open_backend: Callable[[], Backend],
) -> None:
    """A deploy may send events of the new version before a worker that has it is there."""

    async def go() -> None:
        async with Runtime(old, open_backend(), grace=60.0) as before:
            async with Client(new, open_backend()) as web:
                for number in range(5):
                    await web.send(charge_event(number))
                    await web.send(order_event(number))
            await until(lambda: before.stats().released >= 10)
            assert before.stats().dead_lettered == 0

            async with Runtime(new, open_backend()) as after:
                await until(lambda: before.stats().handled + after.stats().handled >= 20)
                await after.drain()
                assert await after.dead_letters() == ()

    within(go(), 120)


class Plain:
    """A backend with the operations of the port and no others, as of a user."""

    def __init__(self) -> None:
        self._inner = MemoryBackend()

    def __getattr__(self, name: str) -> Any:
        if name in ("services", "release"):
            raise AttributeError(name)
        return getattr(self._inner, name)


def test_without_a_registry_an_event_is_retried_for_the_grace_period() -> None:
    """Another process may have the version, which this one cannot see."""

    async def go() -> None:
        plain: Any = Plain()
        async with Runtime(old, plain, grace=0.2) as runtime, Client(new, plain) as web:
            await web.send(charge_event(1))
            await until(lambda: runtime.stats().dead_lettered == 1)

            [dead_letter] = await runtime.dead_letters()
            assert dead_letter.reason.endswith(
                "; no worker that serves com.pay.charge 2.0.0 took it within 0.2 s"
            )
            assert runtime.stats().released == dead_letter.attempts - 1 > 0

    within(go())


def test_no_event_becomes_a_dead_letter_while_the_registry_is_unavailable() -> None:
    """Then it is unknown which workers are live."""

    async def go() -> None:
        backend = MemoryBackend()
        listing = backend.services.list
        outages = iter(range(20))

        async def list_later() -> Any:
            if next(outages, None) is not None:
                raise Unavailable("the registry is away")
            return await listing()

        services = SimpleNamespace(
            list=list_later,
            register=backend.services.register,
            deregister=backend.services.deregister,
        )
        replaced: Any = Replaced(backend, services=services)
        async with Runtime(old, replaced, grace=0.0) as before, Client(new, backend) as web:
            await web.send(charge_event(1))
            await until(lambda: before.stats().released == 3)
            async with Runtime(new, backend) as after:
                await until(lambda: after.stats().handled == 1)
                assert await after.dead_letters() == ()

    within(go())


def test_a_worker_is_registered_until_it_stops(open_backend: Callable[[], Backend]) -> None:
    """Its events wait for it no longer."""

    async def go() -> None:
        watching = open_backend()
        assert isinstance(watching, SupportsServiceRegistry)
        async with Runtime(new, open_backend()) as runtime:
            await until(lambda: bool_of(watching.services.list()))
            [services] = await watching.services.list()
            assert services.versions["com.pay.charge"] == ("1.0.0", "2.0.0")
            await runtime.stop()
        assert await watching.services.list() == ()
        await watching.close()

    within(go(), 30)


async def bool_of(listing: Awaitable[Sized]) -> bool:
    return len(await listing) > 0
