"""Queue: in order, one at a time for a key, as often as it takes, and never too much."""

import asyncio

from arvo.interpreters.ports.backend import OUTBOUND_QUEUE, REPLY_QUEUE, Backend, Committed
from arvo.testing.conformance.kit import BackendKit, conforms
from arvo.testing.conformance.samples import (
    SERVICE,
    WORKFLOW,
    answer,
    to_home,
    to_outside,
    to_service,
    to_workflow,
    turn,
)

EVENTS = 200
TAKERS = 8


class Queue(BackendKit):
    """What `send`, `receive`, `done`, `again`, `depth` and `rest` owe."""

    @conforms
    async def test_events_of_a_key_come_one_at_a_time_in_order(self, backend: Backend) -> None:
        """A workflow takes one turn after the other."""
        for number in range(4):
            await backend.send(to_workflow(f"e{number}"))

        for number in range(4):
            delivery = await self.soon(backend.receive(WORKFLOW), f"event {number}")
            assert delivery.message == to_workflow(f"e{number}")
            await self.never(backend.receive(WORKFLOW), "another one of that key meanwhile")
            assert await backend.commit(delivery, turn(delivery, number + 1), [], []) == Committed()

    @conforms
    async def test_another_key_need_not_wait(self, backend: Backend) -> None:
        """A slow workflow stops no other."""
        await backend.send(to_workflow("first", run="one"))
        await backend.send(to_workflow("second", run="one"))
        await backend.send(to_workflow("third", run="two"))
        await self.soon(backend.receive(WORKFLOW), "the first")

        delivery = await self.soon(backend.receive(WORKFLOW), "that of another key")

        assert delivery.message.event.id == "third"

    @conforms
    async def test_what_a_commit_sends_comes_in_its_order(self, backend: Backend) -> None:
        """The outbox is a queue."""
        await backend.send(to_service("ask"))
        delivery = await self.soon(backend.receive(SERVICE), "the request")
        replies = [to_workflow(f"reply-{number}") for number in range(3)]
        assert await backend.commit(delivery, answer(delivery, replies), replies, []) == Committed()

        for number, reply in enumerate(replies, start=1):
            found = await self.soon(backend.receive(WORKFLOW), f"reply {number}")
            assert found.message == reply
            assert await backend.commit(found, turn(found, number), [], []) == Committed()

    @conforms
    async def test_what_leaves_has_lanes_of_its_own(self, backend: Backend) -> None:
        """Outside and home; `done` settles both."""
        for queue, message in ((OUTBOUND_QUEUE, to_outside("o")), (REPLY_QUEUE, to_home("h"))):
            await backend.send(message)
            delivery = await self.soon(backend.receive(queue), f"what waits in {queue}")
            assert delivery.message == message
            await backend.ack(delivery)
        await self.soon(backend.wait_until_idle(), "rest")

    @conforms
    async def test_a_delivery_comes_again_after_its_delay(self, backend: Backend) -> None:
        """Waiting helps, and others of its key need not wait as well."""
        await backend.send(to_workflow("first"))
        await backend.send(to_workflow("second"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the first")
        assert delivery.attempt == 1
        loop = asyncio.get_running_loop()
        began = loop.time()

        await backend.nack(delivery, 0.2)

        other = await self.soon(backend.receive(WORKFLOW), "the second")
        assert other.message.event.id == "second"
        assert await backend.commit(other, turn(other, 1), [], []) == Committed()
        retried = await self.soon(backend.receive(WORKFLOW), "the first again")
        assert (retried.message, retried.attempt) == (delivery.message, 2)
        # A clock in milliseconds may round.
        assert loop.time() - began >= 0.19

    @conforms
    async def test_whoever_waits_and_goes_takes_nothing_along(self, backend: Backend) -> None:
        """A worker that stops while it waits must not swallow what comes next."""
        waiting = asyncio.ensure_future(backend.receive(SERVICE))
        await asyncio.sleep(self.quiet_period)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        await backend.send(to_service("ask"))

        delivery = await self.soon(backend.receive(SERVICE), "what came after")
        assert delivery.message == to_service("ask")

    @conforms
    async def test_each_of_many_is_handed_to_one(self, backend: Backend) -> None:
        """Nothing twice, nothing forgotten, however many take."""
        taken: list[str] = []

        async def taker() -> None:
            while True:
                delivery = await backend.receive(SERVICE)
                taken.append(delivery.message.event.id)
                assert await backend.commit(delivery, answer(delivery), [], []) == Committed()

        takers = [asyncio.ensure_future(taker()) for _ in range(TAKERS)]
        await asyncio.gather(*(backend.send(to_service(f"e{n}")) for n in range(EVENTS)))
        await self.soon(backend.wait_until_idle(), "rest")
        for task in takers:
            task.cancel()
        await asyncio.gather(*takers, return_exceptions=True)

        assert sorted(taken) == sorted(f"e{n}" for n in range(EVENTS))

    @conforms
    async def test_a_full_queue_makes_senders_wait(self, backend: Backend) -> None:
        """Backpressure, not loss; and those who make room are never made to wait."""
        if not self.reports_depth:
            return
        await asyncio.gather(*(backend.send(to_service(f"e{n}")) for n in range(self.queue_max)))
        sending = asyncio.ensure_future(backend.send(to_service("last")))
        await asyncio.sleep(self.quiet_period)
        assert not sending.done()

        delivery = await self.soon(backend.receive(SERVICE), "one of them")
        more = [to_workflow(f"more-{number}", run=f"r{number}") for number in range(3)]
        commit = backend.commit(delivery, answer(delivery, more), more, [])
        assert await self.soon(commit, "a commit while the queue is full") == Committed()
        for _ in range(3):
            found = await self.soon(backend.receive(SERVICE), "another one")
            assert await backend.commit(found, answer(found), [], []) == Committed()
        await self.soon(sending, "room for whoever waited")

    @conforms
    async def test_depth_says_what_is_under_way(self, backend: Backend) -> None:
        """An operator reads it, and a drain waits for it."""
        if not self.reports_depth:
            return
        assert (await backend.depth()).total == 0
        await backend.send(to_service("first"))
        await backend.send(to_service("second"))
        delivery = await self.soon(backend.receive(SERVICE), "the first")
        resting = asyncio.ensure_future(backend.wait_until_idle())
        await asyncio.sleep(self.quiet_period)
        assert not resting.done()
        assert (await backend.depth()).total == 2

        assert await backend.commit(delivery, answer(delivery), [], []) == Committed()
        other = await self.soon(backend.receive(SERVICE), "the second")
        assert await backend.commit(other, answer(other), [], []) == Committed()

        await self.soon(resting, "rest")
        assert (await backend.depth()).total == 0
