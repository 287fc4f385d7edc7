"""Queue: delivery in order, one at a time for each key, at least once, and with backpressure."""

import asyncio

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE
from arvo.interpreters.ports.results import Committed
from arvo.testing.conformance.kit import NO_DEPTH, BackendKit, conformance_test, skip
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    service_commit,
    to_caller,
    to_domain,
    to_service,
    to_workflow,
    turn_commit,
)

EVENTS = 200
RECEIVERS = 8
DELAY_SECONDS = 0.2
# A clock in milliseconds may round the delay down.
DELAY_SECONDS_MIN = 0.19


class Queue(BackendKit):
    """Tests of `send`, `receive`, `ack`, `nack`, `depth` and `wait_until_idle`."""

    @conformance_test
    async def test_events_of_one_key_are_delivered_one_at_a_time_in_order(
        self, backend: Backend
    ) -> None:
        """A workflow takes its turns one after the other."""
        for number in range(4):
            await backend.send(to_workflow(f"e{number}"))

        for number in range(4):
            delivery = await self.eventually(backend.receive(WORKFLOW), f"event {number}")
            assert delivery.message == to_workflow(f"e{number}")
            await self.never(backend.receive(WORKFLOW), "another event of the same key meanwhile")
            commit = turn_commit(delivery, number + 1)
            assert await backend.commit(delivery, commit, [], []) == Committed()

    @conformance_test
    async def test_events_of_another_key_are_delivered_meanwhile(self, backend: Backend) -> None:
        """A slow workflow does not block the others."""
        await backend.send(to_workflow("first", run="one"))
        await backend.send(to_workflow("second", run="one"))
        await backend.send(to_workflow("third", run="two"))

        received = [
            await self.eventually(backend.receive(WORKFLOW), "one of each key") for _ in range(2)
        ]

        # Different workflows have no order.
        assert {delivery.message.event.id for delivery in received} == {"first", "third"}

    @conformance_test
    async def test_events_of_a_commit_are_delivered_in_order(self, backend: Backend) -> None:
        """The outbox is a queue."""
        await backend.send(to_service("ask"))
        delivery = await self.eventually(backend.receive(SERVICE), "the request")
        replies = [to_workflow(f"reply-{number}") for number in range(3)]
        commit = service_commit(delivery, replies)
        assert await backend.commit(delivery, commit, replies, []) == Committed()

        for number, reply in enumerate(replies, start=1):
            received = await self.eventually(backend.receive(WORKFLOW), f"reply {number}")
            assert received.message == reply
            turn = turn_commit(received, number)
            assert await backend.commit(received, turn, [], []) == Committed()

    @conformance_test
    async def test_outbound_events_and_replies_have_their_own_queues(
        self, backend: Backend
    ) -> None:
        """`ack` settles deliveries of both queues."""
        for queue, message in ((OUTBOUND_QUEUE, to_domain("o")), (REPLY_QUEUE, to_caller("h"))):
            await backend.send(message)
            delivery = await self.eventually(backend.receive(queue), f"the message in {queue}")
            assert delivery.message == message
            await backend.ack(delivery)
        await self.eventually(backend.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_a_nacked_delivery_is_redelivered_after_its_delay(self, backend: Backend) -> None:
        """Not earlier, and as the second attempt."""
        await backend.send(to_workflow("first"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
        assert delivery.attempt == 1
        loop = asyncio.get_running_loop()
        nacked_at = loop.time()

        await backend.nack(delivery, DELAY_SECONDS)

        retried = await self.eventually(backend.receive(WORKFLOW), "the first event again")
        assert (retried.message, retried.attempt) == (delivery.message, 2)
        assert loop.time() - nacked_at >= DELAY_SECONDS_MIN

    @conformance_test
    async def test_a_cancelled_receive_takes_no_delivery(self, backend: Backend) -> None:
        """A worker that stops while it waits must not lose the next event."""
        waiting = asyncio.ensure_future(backend.receive(SERVICE))
        await asyncio.sleep(self.quiet_period)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        await backend.send(to_service("ask"))

        delivery = await self.eventually(backend.receive(SERVICE), "the event sent afterwards")
        assert delivery.message == to_service("ask")

    @conformance_test
    async def test_concurrent_receivers_share_events_without_duplicates(
        self, backend: Backend
    ) -> None:
        """No event is delivered twice and none is lost."""
        received: list[str] = []

        async def receive() -> None:
            while True:
                delivery = await backend.receive(SERVICE)
                received.append(delivery.message.event.id)
                commit = service_commit(delivery)
                assert await backend.commit(delivery, commit, [], []) == Committed()

        receivers = [asyncio.ensure_future(receive()) for _ in range(RECEIVERS)]
        await asyncio.gather(*(backend.send(to_service(f"e{n}")) for n in range(EVENTS)))
        await self.eventually(backend.wait_until_idle(), "the backend is idle")
        for task in receivers:
            task.cancel()
        await asyncio.gather(*receivers, return_exceptions=True)

        assert sorted(received) == sorted(f"e{n}" for n in range(EVENTS))

    @conformance_test
    async def test_a_full_queue_blocks_senders(self, backend: Backend) -> None:
        """`send` waits for capacity, and a commit never does, because it frees capacity."""
        if not self.reports_depth:
            skip(NO_DEPTH)
        await asyncio.gather(*(backend.send(to_service(f"e{n}")) for n in range(self.queue_max)))
        sending = asyncio.ensure_future(backend.send(to_service("last")))
        await asyncio.sleep(self.quiet_period)
        assert not sending.done()

        delivery = await self.eventually(backend.receive(SERVICE), "one of the events")
        more = [to_workflow(f"more-{number}", run=f"r{number}") for number in range(3)]
        committing = backend.commit(delivery, service_commit(delivery, more), more, [])
        result = await self.eventually(committing, "a commit while the queue is full")
        assert result == Committed()
        for _ in range(3):
            received = await self.eventually(backend.receive(SERVICE), "another event")
            commit = service_commit(received)
            assert await backend.commit(received, commit, [], []) == Committed()
        await self.eventually(sending, "the blocked send")

    @conformance_test
    async def test_depth_counts_events_until_they_are_settled(self, backend: Backend) -> None:
        """Operators read the depth, and a drain waits until it is 0."""
        if not self.reports_depth:
            skip(NO_DEPTH)
        assert (await backend.depth()).total == 0
        await backend.send(to_service("first"))
        await backend.send(to_service("second"))
        delivery = await self.eventually(backend.receive(SERVICE), "the first event")
        idling = asyncio.ensure_future(backend.wait_until_idle())
        await asyncio.sleep(self.quiet_period)
        assert not idling.done()
        assert (await backend.depth()).total == 2

        assert await backend.commit(delivery, service_commit(delivery), [], []) == Committed()
        other = await self.eventually(backend.receive(SERVICE), "the second event")
        assert await backend.commit(other, service_commit(other), [], []) == Committed()

        await self.eventually(idling, "the backend is idle")
        assert (await backend.depth()).total == 0
