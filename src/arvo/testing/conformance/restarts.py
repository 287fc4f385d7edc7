"""Restarts: what was taken outlives whoever took it, and a stale one changes nothing."""

import asyncio

from arvo.interpreters.ports.backend import Backend, Committed, Duplicate, Fenced
from arvo.testing.conformance.kit import BackendKit, conforms
from arvo.testing.conformance.samples import (
    SERVICE,
    WORKFLOW,
    answer,
    event,
    letter,
    record,
    subject,
    to_service,
    to_workflow,
    turn,
)


class Restarts(BackendKit):
    """What a backend whose store *survives* owes; others owe none of it."""

    async def expire_lease(self, backend: Backend) -> None:
        """Let others have what *backend* has in hand, as when its lease runs out.

        Override it where deliveries have leases: then a stale worker is tested too.
        """

    @conforms
    async def test_what_was_sent_outlives_the_sender(self, backend: Backend) -> None:
        """I1: when `send` returns, the event is the backend's."""
        if not self.is_durable:
            return
        await backend.send(to_service("ask"))
        await backend.close()

        async with self.using() as after:
            found = await self.soon(after.receive(SERVICE), "what was sent before")

            assert found.post == to_service("ask")

    @conforms
    async def test_what_was_in_hand_is_handed_out_again(self, backend: Backend) -> None:
        """I1: received is not carried through."""
        if not self.is_durable:
            return
        await backend.send(to_workflow("first"))
        await backend.send(to_workflow("second"))
        await self.soon(backend.receive(WORKFLOW), "the first")
        await backend.close()

        async with self.using() as after:
            found = await self.soon(after.receive(WORKFLOW), "the first, again")

            assert found.post == to_workflow("first")

    @conforms
    async def test_what_was_committed_is_all_there(self, backend: Backend) -> None:
        """Records, events, dead letters, and what was consumed."""
        if not self.is_durable:
            return
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event")
        asked, lost = to_service("ask"), letter("lost", event("lost"))
        commit = turn(delivery, 1, posts=[asked])
        assert await backend.commit(delivery, commit, [asked], [lost]) == Committed()
        await backend.close()

        async with self.using() as after:
            assert await after.load(subject()) == record(1)
            assert await after.dead_letters() == (lost,)
            assert (await self.soon(after.receive(SERVICE), "the request")).post == asked
            await after.send(to_workflow("begin"))
            again = await self.soon(after.receive(WORKFLOW), "the event once more")
            assert await after.commit(again, turn(again, 2), [], []) == Duplicate()

    @conforms
    async def test_room_that_another_one_makes_is_room(self, backend: Backend) -> None:
        """A process that only sends must not wait for ever once the queue was full."""
        if not self.is_durable or not self.reports_depth:
            return
        await asyncio.gather(*(backend.send(to_service(f"e{n}")) for n in range(self.queue_max)))
        sending = asyncio.ensure_future(backend.send(to_service("last")))
        await asyncio.sleep(self.quiet_period)
        assert not sending.done()

        async with self.using() as other:
            for _ in range(2):
                found = await self.soon(other.receive(SERVICE), "what another one sent")
                assert await other.commit(found, answer(found), [], []) == Committed()

            await self.soon(sending, "room for whoever waited")

    @conforms
    async def test_a_stale_worker_settles_nothing(self, backend: Backend) -> None:
        """I6: what it decided is refused, and the one who has the delivery now carries it on."""
        if type(self).expire_lease is Restarts.expire_lease:
            return
        await backend.send(to_service("ask"))
        stale = await self.soon(backend.receive(SERVICE), "the request")
        await self.expire_lease(backend)

        async with self.using() as other:
            found = await self.soon(other.receive(SERVICE), "the request, to another worker")
            assert found.post == stale.message
            assert await backend.commit(stale, answer(stale), [to_service("x")], []) == Fenced()
            assert await other.commit(found, answer(found), [], []) == Committed()
            await self.soon(other.rest(), "rest")
