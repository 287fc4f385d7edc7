"""Checkpoints: the results of effects stay with their delivery until it is settled."""

from arvo.interpreters.ports.backend import Backend, FindsRefusals
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import (
    Committed,
    Conflict,
    Duplicate,
    Fenced,
    IdReused,
)
from arvo.testing.conformance.kit import (
    NO_LEASE,
    NO_REFUSALS,
    NOT_DURABLE,
    conformance_test,
    skip,
)
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    record,
    subject,
    to_service,
    to_workflow,
    turn_commit,
)
from arvo.testing.conformance.restarts import Restarts

ONE = b'{"effects":["one"]}'
TWO = b'{"effects":["one","two"]}'


class Checkpoints(Restarts):
    """Tests of `checkpoint`."""

    @conformance_test
    async def test_a_checkpoint_is_delivered_with_the_next_attempt(self, backend: Backend) -> None:
        """The effects behind it are not performed again; the newest checkpoint counts."""
        for queue, message in ((WORKFLOW, to_workflow("begin")), (SERVICE, to_service("ask"))):
            await backend.send(message)
            delivery = await self.eventually(backend.receive(queue), "the event")
            assert await delivery.progress.load() == b""
            assert await backend.checkpoint(delivery, ONE) == Committed()
            assert await backend.checkpoint(delivery, TWO) == Committed()
            await backend.nack(delivery, 0.0)

            again = await self.eventually(backend.receive(queue), "the event again")

            assert await again.progress.load() == TWO
            await backend.ack(again)

    @conformance_test
    async def test_an_empty_checkpoint_deletes_the_one_before(self, backend: Backend) -> None:
        """A step that is to be decided anew performs its effects again."""
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        await backend.checkpoint(delivery, ONE)
        assert await backend.checkpoint(delivery, b"") == Committed()
        await backend.nack(delivery, 0.0)

        again = await self.eventually(backend.receive(WORKFLOW), "the event again")

        assert await again.progress.load() == b""

    @conformance_test
    async def test_a_checkpoint_changes_no_record_and_ends_with_the_commit(
        self, backend: Backend
    ) -> None:
        """The first turn stores its results although there is no record yet."""
        await backend.send(to_workflow("begin"))
        await backend.send(to_workflow("next"))
        first = await self.eventually(backend.receive(WORKFLOW), "the event")
        await backend.checkpoint(first, ONE)
        assert await backend.load(subject()) is None
        assert await backend.commit(first, turn_commit(first, 1), [], []) == Committed()

        second = await self.eventually(backend.receive(WORKFLOW), "the next event")

        assert await second.progress.load() == b""
        assert await backend.load(subject()) == record(1)
        await backend.checkpoint(second, TWO)
        assert await backend.load(subject()) == record(1)
        assert await backend.commit(second, turn_commit(second, 2), [], []) == Committed()

    @conformance_test
    async def test_a_checkpoint_survives_a_restart(self, backend: Backend) -> None:
        """A process that takes over from a dead one continues behind its last effect."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        await backend.send(to_workflow("begin"))
        await backend.send(to_service("ask"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        request = await self.eventually(backend.receive(SERVICE), "the request")
        await backend.checkpoint(delivery, ONE)
        await backend.checkpoint(request, TWO)
        await backend.close()

        async with self.session() as restarted:
            delivery = await self.eventually(restarted.receive(WORKFLOW), "the event again")
            request = await self.eventually(restarted.receive(SERVICE), "the request again")

            assert await delivery.progress.load() == ONE
            assert await request.progress.load() == TWO

    @conformance_test
    async def test_a_refusal_is_known_before_the_turn(self, backend: Backend) -> None:
        """A duplicate, and a turn on an outdated record, perform no effect (`FindsRefusals`)."""
        if not _finds_refusals(backend):
            skip(NO_REFUSALS)
        await backend.send(to_workflow("begin"))
        first = await self.eventually(backend.receive(WORKFLOW), "the event")
        assert await _find_refusal(backend, first, 0) is None
        assert await _find_refusal(backend, first, 1) == Conflict(0)
        assert await _find_consumption(backend, first.message) is None
        assert await backend.commit(first, turn_commit(first, 1), [], []) == Committed()

        await backend.send(to_workflow("begin"))
        copy = await self.eventually(backend.receive(WORKFLOW), "the copy")
        assert await _find_refusal(backend, copy, 1) == Duplicate()
        assert await _find_consumption(backend, copy.message) == Duplicate()
        await backend.ack(copy)
        await backend.send(to_workflow("begin", data={"key": "another"}))
        other = await self.eventually(backend.receive(WORKFLOW), "another event with its id")
        assert await _find_refusal(backend, other, 1) == IdReused()
        assert await _find_consumption(backend, other.message) == IdReused()
        await backend.ack(other)
        await backend.send(to_workflow("next"))
        second = await self.eventually(backend.receive(WORKFLOW), "the next event")
        assert await _find_refusal(backend, second, 0) == Conflict(1)
        assert await _find_refusal(backend, second, 1) is None
        await backend.ack(second)

        await backend.send(to_service("ask"))
        request = await self.eventually(backend.receive(SERVICE), "the request")
        assert await _find_refusal(backend, request, None) is None
        await backend.ack(request)

    @conformance_test
    async def test_a_checkpoint_of_a_stale_worker_is_fenced(self, backend: Backend) -> None:
        """It must not replace that of the worker that has the delivery now."""
        if not self.has_leases:
            skip(NO_LEASE)
        await backend.send(to_workflow("begin"))
        stale = await self.eventually(backend.receive(WORKFLOW), "the event")
        await self.expire_lease(backend)

        async with self.session() as other:
            current = await self.eventually(other.receive(WORKFLOW), "the event, redelivered")
            assert await other.checkpoint(current, TWO) == Committed()
            assert await backend.checkpoint(stale, ONE) == Fenced()
            await other.nack(current, 0.0)
            again = await self.eventually(other.receive(WORKFLOW), "the event again")
            assert await again.progress.load() == TWO


async def _find_consumption(backend: object, message: Message) -> Duplicate | IdReused | None:
    assert isinstance(backend, FindsRefusals)
    return await backend.find_consumption(message)


def _finds_refusals(backend: object) -> bool:
    return isinstance(backend, FindsRefusals)


async def _find_refusal(
    backend: object, delivery: Delivery, expected: int | None
) -> Conflict | Duplicate | IdReused | Fenced | None:
    assert isinstance(backend, FindsRefusals)
    return await backend.find_refusal(delivery, expected)
