"""Restarts: data survives them, a stale worker changes nothing, and workers see each other."""

import asyncio
from typing import Final

from arvo.interpreters.ports.backend import Backend, CountsDeaths
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.results import Committed, Duplicate, Fenced
from arvo.interpreters.ports.services import (
    ReleasesDeliveries,
    SupportsServiceRegistry,
    WorkerServices,
)
from arvo.testing.conformance.kit import (
    NO_DEATHS,
    NO_LEASE,
    NO_REGISTRY,
    NO_RELEASE,
    NO_SHARED_DEPTH,
    NOT_DURABLE,
    BackendKit,
    conformance_test,
    skip,
)
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    dead_letter,
    event,
    record,
    service_commit,
    subject,
    to_service,
    to_workflow,
    turn_commit,
)

OLD: Final = WorkerServices("old", {SERVICE: ("1.0.0",)})
NEW: Final = WorkerServices("new", {SERVICE: ("1.0.0", "2.0.0")}, ("com.shop.web",))


class Restarts(BackendKit):
    """Tests of durable backends; for the others pytest reports them as skipped."""

    @conformance_test
    async def test_a_sent_event_survives_a_restart(self, backend: Backend) -> None:
        """I1: once `send` returns, the event is stored."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        await backend.send(to_service("ask"))
        await backend.close()

        async with self.session() as restarted:
            delivery = await self.eventually(restarted.receive(SERVICE), "the event sent before")

            assert delivery.message == to_service("ask")

    @conformance_test
    async def test_an_unsettled_delivery_is_redelivered_after_a_restart(
        self, backend: Backend
    ) -> None:
        """I1: a delivery is settled by its commit, not by receiving it."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        await backend.send(to_workflow("first"))
        await backend.send(to_workflow("second"))
        await self.eventually(backend.receive(WORKFLOW), "the first event")
        await backend.close()

        async with self.session() as restarted:
            delivery = await self.eventually(restarted.receive(WORKFLOW), "the first event again")

            assert delivery.message == to_workflow("first")

    @conformance_test
    async def test_a_commit_survives_a_restart(self, backend: Backend) -> None:
        """Record, events, dead letters, and the mark that the event was consumed."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        request, lost = to_service("ask"), dead_letter("lost", event("lost"))
        commit = turn_commit(delivery, 1, messages=[request])
        assert await backend.commit(delivery, commit, [request], [lost]) == Committed()
        await backend.close()

        async with self.session() as restarted:
            assert await restarted.load(subject()) == record(1)
            assert await restarted.dead_letters() == (lost,)
            received = await self.eventually(restarted.receive(SERVICE), "the request")
            assert received.message == request
            await restarted.send(to_workflow("begin"))
            again = await self.eventually(restarted.receive(WORKFLOW), "the event once more")
            assert await restarted.commit(again, turn_commit(again, 2), [], []) == Duplicate()

    @conformance_test
    async def test_capacity_freed_by_another_backend_unblocks_senders(
        self, backend: Backend
    ) -> None:
        """A process that only sends must not wait forever once the queue was full."""
        if not self.is_durable or not self.reports_depth:
            skip(NO_SHARED_DEPTH)
        await asyncio.gather(*(backend.send(to_service(f"e{n}")) for n in range(self.queue_max)))
        sending = asyncio.ensure_future(backend.send(to_service("last")))
        await asyncio.sleep(self.quiet_period)
        assert not sending.done()

        async with self.session() as other:
            for _ in range(2):
                delivery = await self.eventually(
                    other.receive(SERVICE), "an event that the first backend sent"
                )
                commit = service_commit(delivery)
                assert await other.commit(delivery, commit, [], []) == Committed()

            await self.eventually(sending, "the blocked send")

    @conformance_test
    async def test_a_commit_of_a_stale_worker_is_fenced(self, backend: Backend) -> None:
        """I6: its commit is refused, and the worker that has the delivery now can commit."""
        if not self.has_leases:
            skip(NO_LEASE)
        await backend.send(to_service("ask"))
        stale = await self.eventually(backend.receive(SERVICE), "the request")
        await self.expire_lease(backend)

        async with self.session() as other:
            current = await self.eventually(
                other.receive(SERVICE), "the request, redelivered to another worker"
            )
            assert current.message == stale.message
            refused = service_commit(stale)
            assert await backend.commit(stale, refused, [to_service("x")], []) == Fenced()
            assert await other.commit(current, service_commit(current), [], []) == Committed()
            await self.eventually(other.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_a_dead_letter_of_a_stale_worker_is_fenced(self, backend: Backend) -> None:
        """I6: the worker that has the delivery now decides; an event is dead-lettered once."""
        if not self.has_leases:
            skip(NO_LEASE)
        await backend.send(to_service("ask"))
        stale = await self._receive(backend)
        await self.expire_lease(backend)

        async with self.session() as other:
            current = await self._receive(other)
            assert await backend.dead_letter(stale, dead_letter("d1", event("ask"))) == Fenced()
            assert await other.dead_letters() == ()
            assert await other.commit(current, service_commit(current), [], []) == Committed()

    @conformance_test
    async def test_the_deaths_of_workers_are_counted(self, backend: Backend) -> None:
        """I11: each counts as an attempt; after the first one only if the delivery was started."""
        if not self.has_leases:
            skip(NO_LEASE)
        await backend.send(to_service("ask"))
        delivery = await self._receive(backend)
        assert (delivery.attempt, delivery.deaths) == (1, 0)
        await self.expire_lease(backend)

        async with self.session() as only_fetches, self.session() as starts:
            if not _counts_deaths(only_fetches):
                skip(NO_DEATHS)
            delivery = await self._receive(only_fetches)
            assert (delivery.attempt, delivery.deaths) == (2, 1)
            await self.expire_lease(only_fetches)
            delivery = await self._receive(starts)
            assert (delivery.attempt, delivery.deaths) == (2, 1)
            assert await _mark_started(starts, delivery)
            await self.expire_lease(starts)
            assert not await _mark_started(starts, delivery)

        async with self.session() as last:
            delivery = await self._receive(last)
            assert (delivery.attempt, delivery.deaths) == (3, 2)

    @conformance_test
    async def test_a_worker_that_stops_has_not_died(self, backend: Backend) -> None:
        """I11: neither `close` nor `nack` counts as a death, also of a started delivery."""
        if not self.has_leases:
            skip(NO_LEASE)
        await backend.send(to_service("ask"))
        await self._receive(backend)
        await self.expire_lease(backend)

        async with self.session() as stops:
            if not _counts_deaths(stops):
                skip(NO_DEATHS)
            assert await _mark_started(stops, await self._receive(stops))
        async with self.session() as returns:
            delivery = await self._receive(returns)
            assert (delivery.attempt, delivery.deaths) == (2, 1)
            assert await _mark_started(returns, delivery)
            await returns.nack(delivery, 0.0)
            delivery = await self._receive(returns)
            assert (delivery.attempt, delivery.deaths) == (3, 1)
            await self.expire_lease(returns)

        async with self.session() as last:
            delivery = await self._receive(last)
            assert (delivery.attempt, delivery.deaths) == (3, 1)
            assert await last.commit(delivery, service_commit(delivery), [], []) == Committed()

    async def _receive(self, backend: Backend) -> Delivery:
        return await self.eventually(backend.receive(SERVICE), "the request")


class Services(BackendKit):
    """Tests of rolling deploys; a backend without a registry, or without `release`, skips them."""

    @conformance_test
    async def test_registered_services_are_listed_until_they_are_deregistered(
        self, backend: Backend
    ) -> None:
        """A worker looks there before it calls an event undeliverable."""
        if not isinstance(backend, SupportsServiceRegistry):
            skip(NO_REGISTRY)
        await backend.services.register(OLD)
        await backend.services.register(WorkerServices("new", {SERVICE: ()}))
        await backend.services.register(NEW)
        assert set(await backend.services.list()) == {OLD, NEW}

        await backend.services.deregister("old")
        await backend.services.deregister("unknown")

        assert await backend.services.list() == (NEW,)

    @conformance_test
    async def test_services_of_another_process_are_listed(self, backend: Backend) -> None:
        """An old worker and a new one are two processes."""
        if not self.is_durable or not isinstance(backend, SupportsServiceRegistry):
            skip(NO_REGISTRY)
        await backend.services.register(OLD)

        async with self.session() as other:
            await other.services.register(NEW)

            assert set(await backend.services.list()) == {OLD, NEW}
            assert set(await other.services.list()) == {OLD, NEW}
            await backend.services.deregister("old")
            await backend.close()
            assert await other.services.list() == (NEW,)

    @conformance_test
    async def test_a_released_delivery_comes_again_as_the_same_attempt(
        self, backend: Backend
    ) -> None:
        """It waits for another worker, and must not use up its attempts meanwhile."""
        if not isinstance(backend, ReleasesDeliveries):
            skip(NO_RELEASE)
        await backend.send(to_service("ask"))

        for _ in range(3):
            delivery = await self.eventually(backend.receive(SERVICE), "the request")
            assert (delivery.message, delivery.attempt) == (to_service("ask"), 1)
            await backend.release(delivery, 0.0)

        delivery = await self.eventually(backend.receive(SERVICE), "the request")
        await backend.nack(delivery, 0.0)
        retried = await self.eventually(backend.receive(SERVICE), "the second attempt")
        assert retried.attempt == 2

    @conformance_test
    async def test_a_released_delivery_reaches_another_process(self, backend: Backend) -> None:
        """The worker that released it keeps nothing of it."""
        is_tested = self.is_durable and self.shares_released
        if not is_tested or not isinstance(backend, ReleasesDeliveries):
            skip(NO_RELEASE)
        await backend.send(to_service("ask"))
        delivery = await self.eventually(backend.receive(SERVICE), "the request")
        await backend.release(delivery, 0.0)

        async with self.session() as other:
            again = await self.eventually(other.receive(SERVICE), "the request, in another process")

            assert (again.message, again.attempt) == (to_service("ask"), 1)


def _counts_deaths(backend: object) -> bool:
    return isinstance(backend, CountsDeaths)


async def _mark_started(backend: object, delivery: Delivery) -> bool:
    assert isinstance(backend, CountsDeaths)
    return await backend.mark_started(delivery)
