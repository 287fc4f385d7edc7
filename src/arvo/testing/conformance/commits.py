"""Commits: applied completely or not at all, on the revision they were decided on, and once."""

import asyncio
from itertools import count
from typing import Any, Final

from attrs import evolve

from arvo.core.commit import Commit
from arvo.core.events.subject import workflow_id_of
from arvo.core.record import Record
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import (
    Committed,
    Conflict,
    Duplicate,
    IdReused,
    WorkflowIdTaken,
)
from arvo.testing.conformance.kit import BackendKit, conformance_test
from arvo.testing.conformance.kit.linearizability import (
    Read,
    Refusal,
    Span,
    Swap,
    find_linearization,
)
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    begin_commit,
    dead_letter,
    event,
    grow,
    record,
    service_commit,
    subject,
    timer,
    to_begin,
    to_service,
    to_workflow,
    turn_commit,
)

WRITERS = 4
GROWING_TURNS = 40
TURNS_PER_WRITER = 3
RUNS = 5
OTHER: Final = "com.kit.other"


class Commits(BackendKit):
    """Tests of `load`, `commit` and `replace_record`."""

    @conformance_test
    async def test_an_unknown_workflow_has_no_record(self, backend: Backend) -> None:
        """A workflow that starts must find no record."""
        assert await backend.load(subject()) is None

    @conformance_test
    async def test_a_commit_is_applied_completely(self, backend: Backend) -> None:
        """I1: record, events and dead letters are written, and the delivery is acknowledged."""
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event that was sent")
        request, lost = to_service("ask"), dead_letter("lost", event("lost"))

        result = await backend.commit(
            delivery, turn_commit(delivery, 1, messages=[request]), [request], [lost]
        )

        assert result == Committed()
        assert await backend.load(subject()) == record(1)
        received = await self.eventually(backend.receive(SERVICE), "the event of the commit")
        assert received.message == request
        assert await backend.dead_letters() == (lost,)
        assert (await backend.depth()).total == 1

    @conformance_test
    async def test_a_record_that_grows_is_loaded_as_it_was_committed(
        self, backend: Backend
    ) -> None:
        """I2: entry by entry, also where the backend writes what a turn changes.

        A turn may append to the lists of a record or begin them anew, and change any of its maps;
        an operator may replace the record in between.
        """
        before: Record | None = None
        for revision in range(1, GROWING_TURNS + 1):
            following = record(1) if before is None else grow(before)
            if revision == GROWING_TURNS // 2:
                assert await backend.replace_record(following, revision - 1) == Committed()
            else:
                await backend.send(to_workflow(f"turn-{revision}"))
                delivery = await self.eventually(backend.receive(WORKFLOW), "the event of a turn")
                commit = evolve(turn_commit(delivery, revision), record=following, before=before)
                assert await backend.commit(delivery, commit, [], []) == Committed()

            loaded = await backend.load(subject())
            assert loaded == following
            assert [*loaded.pending_requests] == [*following.pending_requests]
            before = following

    @conformance_test
    async def test_a_commit_on_an_outdated_record_changes_nothing(self, backend: Backend) -> None:
        """I4, I6: the commit conflicts, and the conflict names the current revision."""
        await self._start_workflow(backend)
        await backend.send(to_workflow("next"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the next event")
        request = to_service("ask")
        stale = turn_commit(delivery, 1, messages=[request], timers=[timer("early", 0.0)])

        result = await backend.commit(
            delivery, stale, [request], [dead_letter("lost", event("lost"))]
        )

        assert result == Conflict(1)
        assert await backend.load(subject()) == record(1)
        assert await backend.dead_letters() == ()
        await self.never(backend.receive(SERVICE), "an event of a refused commit")
        # The worker still holds the delivery: it loads the record and takes the step again.
        assert await backend.commit(delivery, turn_commit(delivery, 2), [], []) == Committed()
        await self.eventually(backend.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_a_commit_decided_before_a_record_was_replaced_conflicts(
        self, backend: Backend
    ) -> None:
        """I6: the revision fences commits, so no worker overwrites an operator's change."""
        await self._start_workflow(backend)
        await backend.send(to_workflow("next"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the next event")

        assert await backend.replace_record(record(2, state={"by": "operator"}), 0) == Conflict(1)
        assert await backend.replace_record(record(2, state={"by": "operator"}), 1) == Committed()
        assert await backend.commit(delivery, turn_commit(delivery, 2), [], []) == Conflict(2)
        assert await backend.load(subject()) == record(2, state={"by": "operator"})

    @conformance_test
    async def test_an_event_is_consumed_once(self, backend: Backend) -> None:
        """I2: an event that is sent twice is delivered twice and applied once."""
        await backend.send(to_workflow("begin"))
        await backend.send(to_workflow("begin"))
        first = await self.eventually(backend.receive(WORKFLOW), "the event")
        assert await backend.commit(first, turn_commit(first, 1), [], []) == Committed()
        second = await self.eventually(backend.receive(WORKFLOW), "the same event again")
        request = to_service("ask")

        assert (
            await backend.commit(second, turn_commit(second, 2, messages=[request]), [request], [])
            == Duplicate()
        )
        assert await backend.load(subject()) == record(1)
        await self.eventually(
            backend.wait_until_idle(), "the backend is idle: the duplicate is settled"
        )

    @conformance_test
    async def test_another_event_with_a_known_id_is_refused(self, backend: Backend) -> None:
        """I2: its sender learns of it by a dead letter; the first event keeps its effect."""
        await self._start_workflow(backend)
        await backend.send(to_workflow("begin", data={"key": "another"}))
        other = await self.eventually(backend.receive(WORKFLOW), "the other event")
        request = to_service("ask")

        for revision in (1, 2):
            commit = turn_commit(other, revision, messages=[request])
            assert await backend.commit(other, commit, [request], []) == IdReused()

        assert await backend.load(subject()) == record(1)
        await self.never(backend.receive(SERVICE), "an event of a refused commit")
        await backend.nack(other, 0.0)
        again = await self.eventually(backend.receive(WORKFLOW), "the other event again")
        lost = dead_letter("lost", again.message.event)
        await backend.dead_letter(again, lost)
        assert await backend.dead_letters() == (lost,)
        await self.eventually(backend.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_an_event_that_is_sent_again_may_have_another_trace(
        self, backend: Backend
    ) -> None:
        """I2: the inbox compares what an event says, not how it came."""
        await self._start_workflow(backend)
        await backend.send(to_workflow("begin", traceparent="00-1-2-01"))
        again = await self.eventually(backend.receive(WORKFLOW), "the event again")

        assert await backend.commit(again, turn_commit(again, 2), [], []) == Duplicate()

    @conformance_test
    async def test_another_request_with_a_known_id_is_refused(self, backend: Backend) -> None:
        """I2: also for a handler without memory, within one process."""
        await backend.send(to_service("ask"))
        first = await self.eventually(backend.receive(SERVICE), "the request")
        assert await backend.commit(first, service_commit(first), [], []) == Committed()
        await backend.send(to_service("ask", data={"key": "another"}))
        other = await self.eventually(backend.receive(SERVICE), "the other request")

        assert await backend.commit(other, service_commit(other), [], []) == IdReused()

        await backend.dead_letter(other, dead_letter("lost", other.message.event))
        assert [each.id for each in await backend.dead_letters()] == ["lost"]
        await self.eventually(backend.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_events_with_the_same_id_are_distinguished_by_source_and_subject(
        self, backend: Backend
    ) -> None:
        """An id is unique within its source (CloudEvents 1.0 §id), and each run consumes events."""
        messages = [
            to_workflow("same", run="one"),
            to_workflow("same", run="two"),
            to_workflow("same", run="one", source="com.kit.other"),
        ]
        revisions = {"one": 0, "two": 0}
        for message, run in zip(messages, ("one", "two", "one"), strict=True):
            await backend.send(message)
            delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
            revisions[run] += 1
            commit = turn_commit(delivery, revisions[run], run=run)
            assert await backend.commit(delivery, commit, [], []) == Committed()

    @conformance_test
    async def test_a_workflow_id_that_another_run_has_is_taken(self, backend: Backend) -> None:
        """I2: by another subject it would begin the same order a second time."""
        first, second = await self._receive_begins(
            backend, to_begin("a"), to_begin("b", initiator=OTHER)
        )
        request, begun = to_service("ask"), begin_commit(first)
        assert begun.record is not None

        assert await backend.commit(first, begun, [], []) == Committed()
        refused = evolve(begin_commit(second), events=(request.event,))
        result = await backend.commit(second, refused, [request], [dead_letter("lost", event("e"))])

        assert result == WorkflowIdTaken(begun.record)
        assert await backend.load(second.message.event.subject) is None
        assert await backend.dead_letters() == ()
        await self.never(backend.receive(SERVICE), "an event of a refused commit")
        # The worker still holds the delivery, and its event has not been consumed.
        answer = Commit(handler=WORKFLOW, event=second.message.event, outcome="failed")
        assert await backend.commit(second, answer, [], []) == Committed()
        await self.eventually(backend.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_a_workflow_id_is_free_where_its_policy_allows_the_next_run(
        self, backend: Backend
    ) -> None:
        """I2: after a run that has ended; and another id, or a failed first turn, takes none."""
        cases: tuple[tuple[Message, dict[str, Any], bool], ...] = (
            (to_begin("other", "two"), {}, False),
            (to_begin("failed"), {"status": "failed", "init": ""}, False),
            (to_begin("a", initiator="com.kit.a"), {"status": "done"}, False),
            (to_begin("b", initiator=OTHER), {}, True),
            (to_begin("c", initiator=OTHER, policy="allow_if_failed"), {}, True),
            (to_begin("d", initiator=OTHER, policy="allow"), {}, False),
            (to_begin("e", initiator="com.kit.e", policy="allow"), {}, True),
        )
        for begin, changes, is_taken in cases:
            await backend.send(begin)
            delivery = await self.eventually(backend.receive(WORKFLOW), "the begin")

            result = await backend.commit(delivery, begin_commit(delivery, **changes), [], [])

            assert isinstance(result, WorkflowIdTaken) == is_taken, begin.event.id
            if is_taken:
                await backend.ack(delivery)

    @conformance_test
    async def test_of_concurrent_begins_with_one_workflow_id_one_is_applied(
        self, backend: Backend
    ) -> None:
        """I2: neither commit sees the record of the other one before both have begun."""
        runs = [f"run-{number}" for number in range(RUNS)]
        begins = await self._receive_begins(
            backend,
            *(to_begin(f"a-{run}", run) for run in runs),
            *(to_begin(f"b-{run}", run, initiator=OTHER) for run in runs),
        )

        async def commit(delivery: Delivery) -> tuple[str, bool]:
            result: Any = Conflict(0)
            while isinstance(result, Conflict):
                result = await backend.commit(delivery, begin_commit(delivery), [], [])
            assert isinstance(result, Committed | WorkflowIdTaken), result
            return workflow_id_of(delivery.message.event.subject), result == Committed()

        results = await self.eventually(asyncio.gather(*map(commit, begins)), "the commits")

        assert sorted(run for run, is_applied in results if is_applied) == sorted(runs)

    @conformance_test
    async def test_concurrent_commits_are_linearizable(self, backend: Backend) -> None:
        """I4: some serial order explains the result of every read and every commit."""
        history: list[Span] = []
        clock = count()
        for number in range(WRITERS):
            # Events to the service have no key, so only the revision orders their commits.
            await backend.send(to_service(f"writer-{number}"))

        async def write() -> None:
            for _ in range(TURNS_PER_WRITER):
                delivery = await self.eventually(backend.receive(SERVICE), "a writer's event")
                result: Any = Conflict(0)
                while isinstance(result, Conflict):
                    invoked = next(clock)
                    current = await backend.load(subject())
                    revision = 0 if current is None else current.revision
                    history.append(Span(Read(revision), invoked, next(clock)))
                    await asyncio.sleep(0)
                    invoked = next(clock)
                    following = to_service(f"{delivery.message.event.id}+")
                    commit = turn_commit(delivery, revision + 1, messages=[following])
                    result = await backend.commit(delivery, commit, [following], [])
                    operation = (
                        Swap(revision, revision + 1)
                        if result == Committed()
                        else Refusal(revision, result.revision)
                    )
                    history.append(Span(operation, invoked, next(clock)))

        await asyncio.gather(*(write() for _ in range(WRITERS)))

        assert find_linearization(history) is not None, history
        last = await backend.load(subject())
        assert last is not None
        assert last.revision == WRITERS * TURNS_PER_WRITER

    @conformance_test
    async def test_a_service_commit_changes_no_record(self, backend: Backend) -> None:
        """A service has no record to compare, although its event has a workflow's subject."""
        await self._start_workflow(backend)
        await backend.send(to_service("ask"))
        delivery = await self.eventually(backend.receive(SERVICE), "the request")

        assert await backend.commit(delivery, service_commit(delivery), [], []) == Committed()
        assert await backend.load(subject()) == record(1)

    async def _receive_begins(self, backend: Backend, *messages: Message) -> list[Delivery]:
        """Send messages of different keys, and receive them in the order of *messages*."""
        deliveries: dict[str, Delivery] = {}
        for message in messages:
            await backend.send(message)
            delivery = await self.eventually(backend.receive(WORKFLOW), "a begin")
            deliveries[delivery.message.event.id] = delivery
        return [deliveries[message.event.id] for message in messages]

    async def _start_workflow(self, backend: Backend) -> None:
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
        assert await backend.commit(delivery, turn_commit(delivery, 1), [], []) == Committed()
