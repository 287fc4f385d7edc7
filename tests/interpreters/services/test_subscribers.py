"""Subscribers: outcomes wait for a listener that was seen, or not missed for too long."""

from typing import Any

from arvo import MemoryBackend, System
from arvo.interpreters.calls.listeners import Listeners
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.services import WorkerServices
from arvo.interpreters.services.directory import ServiceDirectory
from arvo.interpreters.services.subscribers import SEEN_SECONDS, Subscribers
from tests.engine.system.test_outcomes import BILLING, order, part
from tests.interpreters.runtime.running import Replaced, within

SYSTEM = System([order, part], subscriptions={BILLING: [order]})
HOUR = 3_600.0


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def subscribers(backend: Any, time: Time, listeners: Listeners | None = None) -> Subscribers:
    directory = ServiceDirectory(SYSTEM, backend, listeners or Listeners(concurrent_max=1))
    return Subscribers(directory, HOUR, time)


def test_outcomes_wait_for_an_hour_from_the_last_time_that_a_listener_was_seen() -> None:
    async def go() -> None:
        backend, time = MemoryBackend(), Time()
        decides = subscribers(backend, time)
        other = WorkerServices("other", {}, (BILLING,))
        assert await decides.absence(BILLING) is None
        time.now += HOUR - 1
        assert await decides.absence(BILLING) is None
        await backend.services.register(other)
        time.now += HOUR
        assert await decides.absence(BILLING) is None
        await backend.services.deregister("other")
        time.now += SEEN_SECONDS
        assert await decides.absence(BILLING) is None
        time.now += HOUR - 1
        assert await decides.absence(BILLING) is None
        time.now += 1
        reason = await decides.absence(BILLING)
        assert reason is not None
        assert reason.endswith("for 3600 s (see on_workflow_complete)")
        await backend.services.register(other)
        assert await decides.absence(BILLING) is None

    within(go())


def test_two_looks_that_are_far_apart_are_no_absence() -> None:
    """Each may fall into a restart of the listener's process, which was there between them."""

    async def go() -> None:
        backend, time = MemoryBackend(), Time()
        decides = subscribers(backend, time)
        for _ in range(3):
            assert await decides.absence(BILLING) is None
            time.now += 2 * HOUR
        for _ in range(4):
            assert await decides.absence(BILLING) is None
            time.now += HOUR / 4
        assert await decides.absence(BILLING) is not None

    within(go())


def test_a_listener_of_this_process_is_there() -> None:
    async def go() -> None:
        listeners, time = Listeners(concurrent_max=1), Time()
        listeners.on_subscription(BILLING, 60)(lambda _: None)
        decides = subscribers(MemoryBackend(), time, listeners)
        for _ in range(3):
            time.now += HOUR
            assert await decides.absence(BILLING) is None

    within(go())


def test_while_it_is_unknown_who_listens_outcomes_wait() -> None:
    class Registry:
        async def list(self) -> tuple[WorkerServices, ...]:
            raise Unavailable("the store is down")

    async def go() -> None:
        time = Time()
        decides = subscribers(Replaced(MemoryBackend(), services=Registry()), time)
        without_registry = subscribers(object(), time)
        for _ in range(3):
            time.now += HOUR
            assert await decides.absence(BILLING) is None
            assert await without_registry.absence(BILLING) is None

    within(go())
