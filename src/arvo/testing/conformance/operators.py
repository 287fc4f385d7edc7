"""Operators: workflows can be found, looked at, and set going again."""

from arvo.interpreters.ports.backend import Backend, Committed, Conflict
from arvo.testing.conformance.kit import BackendKit, conforms
from arvo.testing.conformance.samples import (
    WORKFLOW,
    alarm,
    event,
    record,
    subject,
    to_workflow,
    turn,
)


class Operators(BackendKit):
    """What `workflows`, `kept`, `history` and the rest of `replace_record` owe."""

    @conforms
    async def test_workflows_are_listed_by_what_they_are(self, backend: Backend) -> None:
        """The one that changed last comes first; `kept` gives the same of one."""
        if not self.supports_listing:
            return
        for run, status in (("one", "active"), ("two", "done"), ("three", "active")):
            await backend.send(to_workflow("begin", run=run))
            delivery = await self.soon(backend.receive(WORKFLOW), "the event that begins")
            commit = turn(delivery, 1, run=run, status=status)
            assert await backend.commit(delivery, commit, [], []) == Committed()

        found = await backend.workflows()
        active = await backend.workflows(status="active", handler=WORKFLOW)

        assert {kept.record.subject for kept in found} == set(map(subject, ("one", "two", "three")))
        assert {kept.record.subject for kept in active} == set(map(subject, ("one", "three")))
        assert [kept.changed for kept in found] == sorted(
            (kept.changed for kept in found), reverse=True
        )
        assert await backend.workflows(limit=2) == found[:2]
        assert await backend.workflows(after=found[1]) == found[2:]
        assert await backend.workflows(handler="com.nobody") == ()
        assert await backend.workflow(subject("one")) in found
        assert await backend.workflow(subject("four")) is None

    @conforms
    async def test_a_history_tells_what_was_consumed_and_produced(self, backend: Backend) -> None:
        """In order, and the newest where not all is wanted."""
        if not self.supports_listing:
            return
        reply = to_workflow("reply", run="other")
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event that begins")
        commit = turn(delivery, 1, posts=[reply])
        assert await backend.commit(delivery, commit, [reply], []) == Committed()
        assert await backend.replace_record(record(2), 1) == Committed()

        lines = await backend.history(subject())

        assert [(line.kind, line.revision) for line in lines] == [
            ("consumed", 1),
            ("produced", 1),
            ("amended", 2),
        ]
        assert [line.event for line in lines[:2]] == [delivery.message.event, reply.event]
        assert lines[2].record == record(2)
        assert await backend.history(subject(), limit=1) == lines[2:]
        assert await backend.history(subject(), before=lines[1].position) == lines[:1]

    @conforms
    async def test_an_amendment_sets_a_workflow_going_again(self, backend: Backend) -> None:
        """An event that it has consumed is handed to it once more, and its timers are armed."""
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event that begins")
        assert await backend.commit(delivery, turn(delivery, 1), [], []) == Committed()
        again, timers = [event("begin")], [alarm("timer", -1.0)]

        assert await backend.replace_record(
            record(2), 0, timers=timers, redeliver=again
        ) == Conflict(1)
        await self.never(backend.receive(WORKFLOW), "an event of a refused amendment")
        assert (
            await backend.replace_record(record(2), 1, timers=timers, redeliver=again)
            == Committed()
        )

        found = []
        for revision in (3, 4):
            delivery = await self.soon(backend.receive(WORKFLOW), "event and timer")
            found.append(delivery.message.event.id)
            assert await backend.commit(delivery, turn(delivery, revision), [], []) == Committed()
        assert sorted(found) == ["begin", "timer"]
