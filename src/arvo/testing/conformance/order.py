"""Order: the events of one workflow are delivered in order, whatever becomes of each of them."""

import asyncio

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.results import Committed
from arvo.testing.conformance.kit import NO_LEASE, NOT_DURABLE, conformance_test, skip
from arvo.testing.conformance.kit.samples import (
    WORKFLOW,
    dead_letter,
    timer,
    to_workflow,
    turn_commit,
)
from arvo.testing.conformance.restarts import Restarts

DELAY_SECONDS = 0.2
# A clock in milliseconds may round the delay down.
DELAY_SECONDS_MIN = 0.19
# Longer than any test waits.
LONG_SECONDS = 600.0


class Order(Restarts):
    """Tests of the order of a key: in one process, and in two that share a store."""

    @conformance_test
    async def test_an_event_behind_a_nacked_one_waits_and_a_strangers_does_not(
        self, backend: Backend
    ) -> None:
        """I4: a workflow's events do not overtake each other, and workflows do not wait."""
        await self._send(backend, "first", "second")
        await backend.nack(await self._receive_event(backend, "first"), LONG_SECONDS)
        await backend.send(to_workflow("third"))
        await backend.send(to_workflow("stranger", run="two"))

        stranger = await self._receive_event(backend, "stranger")

        await self.never(backend.receive(WORKFLOW), "an event behind the nacked one")
        assert await backend.commit(stranger, turn_commit(stranger, 1, run="two"), [], []) == (
            Committed()
        )
        await self.never(backend.receive(WORKFLOW), "an event behind the nacked one")

    @conformance_test
    async def test_a_nacked_event_is_delivered_again_before_those_behind_it(
        self, backend: Backend
    ) -> None:
        """I4: as often as it is nacked."""
        await self._send(backend, "first", "second")
        for attempt in (1, 2):
            delivery = await self._receive_event(backend, "first")
            assert delivery.attempt == attempt
            await backend.nack(delivery, DELAY_SECONDS)

        await self._receive_in_order(backend, "first", "second")

    @conformance_test
    async def test_a_dead_letter_lets_the_next_event_pass(self, backend: Backend) -> None:
        """An event that cannot be processed does not hold back its workflow for ever."""
        await self._send(backend, "first", "second")
        await backend.nack(await self._receive_event(backend, "first"), 0.0)
        delivery = await self._receive_event(backend, "first")

        failed = dead_letter("dead-1", delivery.message.event, delivery.message.to)
        await backend.dead_letter(delivery, failed)

        await self._receive_event(backend, "second")

    @conformance_test
    async def test_a_deferred_event_lets_the_others_of_its_key_pass(self, backend: Backend) -> None:
        """It came before its time: the event that starts its workflow may be behind it."""
        await self._send(backend, "early", "begin")
        loop = asyncio.get_running_loop()
        early = await self._receive_event(backend, "early")
        deferred_at = loop.time()

        await backend.defer(early, DELAY_SECONDS)

        begin = await self._receive_event(backend, "begin")
        assert await backend.commit(begin, turn_commit(begin, 1), [], []) == Committed()
        again = await self._receive_event(backend, "early")
        assert (again.message, again.attempt) == (early.message, 2)
        assert loop.time() - deferred_at >= DELAY_SECONDS_MIN

    @conformance_test
    async def test_a_timer_that_is_not_due_holds_back_nothing(self, backend: Backend) -> None:
        """Neither one that waits, nor one that was delivered too early and is deferred."""
        await backend.send(to_workflow("begin"))
        begin = await self._receive_event(backend, "begin")
        timers = [timer("soon", 0.0), timer("late", LONG_SECONDS)]
        commit = turn_commit(begin, 1, timers=timers)
        assert await backend.commit(begin, commit, [], []) == Committed()
        await backend.defer(await self._receive_event(backend, "soon"), LONG_SECONDS)

        await backend.send(to_workflow("next"))

        await self._receive_event(backend, "next")

    @conformance_test
    async def test_of_two_backends_one_at_a_time_has_an_event_of_a_key(
        self, backend: Backend
    ) -> None:
        """I4: in the order in which the events were accepted, with delays too."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        async with self.session() as other:
            await self._send(backend, "first", "second", "third")
            delivery = await self._receive_event(backend, "first")
            await self.never(other.receive(WORKFLOW), "an event behind one in hand")
            await backend.nack(delivery, DELAY_SECONDS)
            await self._receive_in_order_from([backend, other], "first", "second", "third")

    @conformance_test
    async def test_a_nacked_event_of_a_closed_backend_keeps_its_place(
        self, backend: Backend
    ) -> None:
        """I4: another process delivers it, and what is behind it afterwards."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        await self._send(backend, "first", "second")
        await backend.nack(await self._receive_event(backend, "first"), DELAY_SECONDS)
        await backend.close()

        async with self.session() as other:
            await other.send(to_workflow("third"))
            await self._receive_in_order(other, "first", "second", "third")

    @conformance_test
    async def test_an_event_of_a_lost_worker_keeps_its_place(self, backend: Backend) -> None:
        """I4: the next worker gets it first, and the others of its key after that."""
        if not self.has_leases:
            skip(NO_LEASE)
        await self._send(backend, "first", "second")
        await self._receive_event(backend, "first")
        async with self.session() as other:
            await self.never(other.receive(WORKFLOW), "an event behind one in hand")
            await self.expire_lease(backend)
            await self._receive_in_order(other, "first", "second")

    async def _send(self, backend: Backend, *keys: str) -> None:
        for key in keys:
            await backend.send(to_workflow(key))

    async def _receive_event(self, backend: Backend, key: str) -> Delivery:
        """Receive a delivery, which has to be of the event *key*."""
        delivery = await self.eventually(backend.receive(WORKFLOW), f"event {key!r}")
        assert delivery.message.event.id == key
        return delivery

    async def _receive_in_order(self, backend: Backend, *keys: str) -> None:
        """Receive and commit the events of a workflow, one at a time."""
        await self._receive_in_order_from([backend], *keys)

    async def _receive_in_order_from(self, backends: list[Backend], *keys: str) -> None:
        """Receive and commit the events of a workflow, each from whichever backend has it."""
        waiting = {
            asyncio.ensure_future(backend.receive(WORKFLOW)): backend for backend in backends
        }
        try:
            for revision, key in enumerate(keys, start=1):
                first = asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                received, _ = await self.eventually(first, f"event {key!r}")
                task = received.pop()
                delivery, backend = task.result(), waiting.pop(task)
                assert delivery.message.event.id == key
                if others := [*waiting]:
                    # The event in hand is the only one of its key.
                    await asyncio.wait(others, timeout=self.quiet_period)
                    assert not any(other.done() for other in others), "an event behind one in hand"
                commit = turn_commit(delivery, revision)
                assert await backend.commit(delivery, commit, [], []) == Committed()
                waiting[asyncio.ensure_future(backend.receive(WORKFLOW))] = backend
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
