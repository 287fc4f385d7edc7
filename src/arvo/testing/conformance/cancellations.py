"""Cancellations: a turn that was decided without a pending cancellation is not committed."""

from typing import Any

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import CancellationPending, Committed, Duplicate
from arvo.testing.conformance.kit import NOT_DURABLE, BackendKit, conformance_test, skip
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    dead_letter,
    record,
    subject,
    to_service,
    to_workflow,
    turn_commit,
)


def to_cancel(key: str = "cancel", run: str = "one") -> Message:
    """Make the message that cancels a run."""
    return to_workflow(key, run, type=f"sys.{WORKFLOW}.cancel")


def last_turn(cancellation: Event[Any], revision: int, **changes: Any) -> Commit:
    """Make the commit of a cancellation, which writes *revision*."""
    fields = {"status": "cancelled", **changes}
    return Commit(
        handler=WORKFLOW,
        event=cancellation,
        outcome="cancelled",
        expected=revision - 1,
        record=record(revision, **fields),
    )


class Cancellations(BackendKit):
    """Tests of `pending_cancellation`, and of the commits that it refuses."""

    async def _receive_both(self, backend: Backend) -> tuple[Delivery, Delivery]:
        """Receive the first events of the runs one and two, which come in any order."""
        both = [await self.eventually(backend.receive(WORKFLOW), "the event") for _ in range(2)]
        both.sort(key=lambda delivery: delivery.message.event.subject != subject())
        return both[0], both[1]

    @conformance_test
    async def test_a_turn_that_was_decided_before_a_cancellation_is_refused(
        self, backend: Backend
    ) -> None:
        """Its requests are not sent: the workflow was stopped before they were."""
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        assert await backend.pending_cancellation(delivery) is None
        stop = to_cancel()
        await backend.send(stop)

        ask = to_service("ask")
        result = await backend.commit(delivery, turn_commit(delivery, 1, messages=[ask]), [ask], [])

        assert result == CancellationPending(stop.event)
        assert await backend.pending_cancellation(delivery) == stop.event
        assert await backend.load(subject()) is None
        await self.never(backend.receive(SERVICE), "the refused request")

    @conformance_test
    async def test_the_turn_of_the_cancellation_replaces_the_refused_one(
        self, backend: Backend
    ) -> None:
        """The workflow ends once, and the cancellation is a duplicate when it is delivered."""
        await backend.send(to_workflow("begin"))
        first = await self.eventually(backend.receive(WORKFLOW), "the event that starts")
        assert await backend.commit(first, turn_commit(first, 1), [], []) == Committed()
        stop = to_cancel()
        for message in (to_workflow("next"), stop):
            await backend.send(message)
        second = await self.eventually(backend.receive(WORKFLOW), "the next event")
        pending = CancellationPending(stop.event)
        assert await backend.commit(second, turn_commit(second, 2), [], []) == pending

        assert await backend.commit(second, last_turn(stop.event, 2), [], []) == Committed()

        assert await backend.load(subject()) == record(2, status="cancelled")
        again = await self.eventually(backend.receive(WORKFLOW), "the cancellation")
        assert again.message == stop
        assert await backend.commit(again, last_turn(stop.event, 3), [], []) == Duplicate()
        await self.never(backend.receive(WORKFLOW), "the replaced event")

    @conformance_test
    async def test_a_cancellation_that_was_passed_over_refuses_nothing(
        self, backend: Backend
    ) -> None:
        """A workflow whose code cannot handle its cancellation continues as before."""
        await backend.send(to_workflow("begin"))
        await backend.send(to_cancel())
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        delivery.progress.passed_over.add("cancel")

        assert await backend.pending_cancellation(delivery) is None
        assert await backend.commit(delivery, turn_commit(delivery, 1), [], []) == Committed()

    @conformance_test
    async def test_a_cancellation_stops_no_other_workflow_and_no_step_without_a_record(
        self, backend: Backend
    ) -> None:
        """Only the requests of the cancelled workflow are held back."""
        await backend.send(to_workflow("begin"))
        await backend.send(to_workflow("begin", "two"))
        # Before the cancellations, as workflows have no order between them.
        one, two = await self._receive_both(backend)
        await backend.send(to_cancel())
        await backend.send(to_cancel("other", "three"))
        assert await backend.pending_cancellation(two) is None
        assert await backend.commit(two, turn_commit(two, 1, run="two"), [], []) == Committed()
        late = Commit(handler=WORKFLOW, event=one.message.event, outcome="unknown_workflow")
        assert await backend.commit(one, late, [], []) == Committed()

    @conformance_test
    async def test_a_deferred_cancellation_is_pending(self, backend: Backend) -> None:
        """It overtook the event that starts the workflow, and holds back the first turn."""
        stop = to_cancel()
        await backend.send(stop)
        early = await self.eventually(backend.receive(WORKFLOW), "the cancellation")
        await backend.defer(early, 60.0)
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")

        result = await backend.commit(delivery, turn_commit(delivery, 1), [], [])

        assert result == CancellationPending(stop.event)

    @conformance_test
    async def test_a_dead_cancellation_is_pending_only_when_it_is_redriven(
        self, backend: Backend
    ) -> None:
        """The operator decides whether it shall count again."""
        stop = to_cancel()
        await backend.send(stop)
        early = await self.eventually(backend.receive(WORKFLOW), "the cancellation")
        await backend.dead_letter(early, dead_letter("dead", stop.event, stop.to))
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        assert await backend.pending_cancellation(delivery) is None

        assert await backend.redrive("dead", [stop])

        result = await backend.commit(delivery, turn_commit(delivery, 1), [], [])
        assert result == CancellationPending(stop.event)

    @conformance_test
    async def test_a_cancellation_that_a_workflow_sends_is_pending(self, backend: Backend) -> None:
        """A parent cancels its child: with its commit, the child sends nothing more."""
        await backend.send(to_workflow("begin"))
        await backend.send(to_workflow("begin", "two"))
        parent, child = await self._receive_both(backend)
        stop = to_cancel(run="two")
        commit = turn_commit(parent, 1, messages=[stop])
        assert await backend.commit(parent, commit, [stop], []) == Committed()

        result = await backend.commit(child, turn_commit(child, 1, run="two"), [], [])

        assert result == CancellationPending(stop.event)

    @conformance_test
    async def test_a_cancellation_that_was_consumed_before_is_not_pending(
        self, backend: Backend
    ) -> None:
        """It failed the workflow, and was delivered twice: it does not cancel the revived one."""
        stop = to_cancel()
        for message in (to_workflow("begin"), stop, to_workflow("next"), stop):
            await backend.send(message)
        begin = await self.eventually(backend.receive(WORKFLOW), "the event that starts")
        begin.progress.passed_over.add("cancel")
        assert await backend.commit(begin, turn_commit(begin, 1), [], []) == Committed()
        first = await self.eventually(backend.receive(WORKFLOW), "the cancellation")
        failed = last_turn(stop.event, 2, status="failed")
        assert await backend.commit(first, failed, [], []) == Committed()
        assert await backend.replace_record(record(3), 2) == Committed()

        delivery = await self.eventually(backend.receive(WORKFLOW), "the next event")

        assert await backend.pending_cancellation(delivery) is None
        assert await backend.commit(delivery, turn_commit(delivery, 4), [], []) == Committed()

    @conformance_test
    async def test_a_cancellation_by_another_process_is_pending(self, backend: Backend) -> None:
        """An operator's process sends it, and does no work itself."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        stop = to_cancel()
        async with self.session() as other:
            await other.send(stop)

        assert await backend.pending_cancellation(delivery) == stop.event
        result = await backend.commit(delivery, turn_commit(delivery, 1), [], [])
        assert result == CancellationPending(stop.event)
