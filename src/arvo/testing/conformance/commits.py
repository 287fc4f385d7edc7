"""Commits: all or nothing, on the record they were decided on, once."""

import asyncio
from itertools import count
from typing import Any

from arvo.interpreters.ports.backend import Backend, Committed, Conflict, Duplicate
from arvo.testing.conformance.kit import BackendKit, conforms
from arvo.testing.conformance.linearizability import Read, Refusal, Span, Swap, linear_order
from arvo.testing.conformance.samples import (
    SERVICE,
    WORKFLOW,
    alarm,
    answer,
    event,
    letter,
    record,
    subject,
    to_service,
    to_workflow,
    turn,
)

RIVALS = 4
TURNS_EACH = 3


class Commits(BackendKit):
    """What `load`, `commit` and `replace_record` owe."""

    @conforms
    async def test_nothing_is_remembered_of_what_never_was(self, backend: Backend) -> None:
        """A workflow that begins must find nothing."""
        assert await backend.load(subject()) is None

    @conforms
    async def test_a_commit_is_applied_whole(self, backend: Backend) -> None:
        """I1: record, events, dead letters, and the delivery settled, in one."""
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event that was sent")
        asked, lost = to_service("ask"), letter("lost", event("lost"))

        applied = await backend.commit(delivery, turn(delivery, 1, posts=[asked]), [asked], [lost])

        assert applied == Committed()
        assert await backend.load(subject()) == record(1)
        assert (await self.soon(backend.receive(SERVICE), "what was committed")).message == asked
        assert await backend.dead_letters() == (lost,)
        assert (await backend.depth()).total == 1

    @conforms
    async def test_a_commit_on_an_old_record_changes_nothing(self, backend: Backend) -> None:
        """I4, I6: whoever decided on what is no more is refused, and told what there is now."""
        await self._begun(backend)
        await backend.send(to_workflow("next"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the next event")
        asked = to_service("ask")
        stale = turn(delivery, 1, posts=[asked], alarms=[alarm("early", 0.0)])

        applied = await backend.commit(delivery, stale, [asked], [letter("lost", event("lost"))])

        assert applied == Conflict(1)
        assert await backend.load(subject()) == record(1)
        assert await backend.dead_letters() == ()
        await self.never(backend.receive(SERVICE), "an event of a refused commit")
        # Still in hand: the worker loads, and steps again.
        assert await backend.commit(delivery, turn(delivery, 2), [], []) == Committed()
        await self.soon(backend.wait_until_idle(), "rest")

    @conforms
    async def test_a_step_that_was_decided_before_an_amendment_is_refused(
        self, backend: Backend
    ) -> None:
        """I6: fencing by revision; nobody overwrites an operator's change without seeing it."""
        await self._begun(backend)
        await backend.send(to_workflow("next"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the next event")

        assert await backend.replace_record(record(2, state={"by": "operator"}), 0) == Conflict(1)
        assert await backend.replace_record(record(2, state={"by": "operator"}), 1) == Committed()
        assert await backend.commit(delivery, turn(delivery, 2), [], []) == Conflict(2)
        assert await backend.load(subject()) == record(2, state={"by": "operator"})

    @conforms
    async def test_an_event_is_consumed_once(self, backend: Backend) -> None:
        """I2: sent twice, it is handed out twice and applied once."""
        await backend.send(to_workflow("begin"))
        await backend.send(to_workflow("begin"))
        first = await self.soon(backend.receive(WORKFLOW), "the event")
        assert await backend.commit(first, turn(first, 1), [], []) == Committed()
        second = await self.soon(backend.receive(WORKFLOW), "the same event again")
        asked = to_service("ask")

        assert (
            await backend.commit(second, turn(second, 2, posts=[asked]), [asked], []) == Duplicate()
        )
        assert await backend.load(subject()) == record(1)
        await self.soon(
            backend.wait_until_idle(), "rest: what was seen is settled, and sends nothing"
        )

    @conforms
    async def test_whose_event_it_is_tells_it_from_others_of_its_id(self, backend: Backend) -> None:
        """An id is its sender's own (CloudEvents 1.0 §id), and each run consumes for itself."""
        messages = [
            to_workflow("same", run="one"),
            to_workflow("same", run="two"),
            to_workflow("same", run="one", source="com.kit.other"),
        ]
        revisions = {"one": 0, "two": 0}
        for message, run in zip(messages, ("one", "two", "one"), strict=True):
            await backend.send(message)
            delivery = await self.soon(backend.receive(WORKFLOW), "the event")
            revisions[run] += 1
            commit = turn(delivery, revisions[run], run=run)
            assert await backend.commit(delivery, commit, [], []) == Committed()

    @conforms
    async def test_of_many_who_commit_at_once_each_finds_its_turn(self, backend: Backend) -> None:
        """I4: some serial order explains every answer (a linearizable compare and set)."""
        history: list[Span] = []
        clock = count()
        for number in range(RIVALS):
            # Each of a key of its own, all about one record: nothing else keeps them apart.
            await backend.send(to_service(f"rival-{number}"))

        async def rival() -> None:
            for _ in range(TURNS_EACH):
                delivery = await self.soon(backend.receive(SERVICE), "a rival's event")
                applied: Any = Conflict(0)
                while isinstance(applied, Conflict):
                    called = next(clock)
                    found = await backend.load(subject())
                    held = 0 if found is None else found.revision
                    history.append(Span(Read(held), called, next(clock)))
                    await asyncio.sleep(0)
                    called = next(clock)
                    more = to_service(f"{delivery.message.event.id}+")
                    applied = await backend.commit(
                        delivery, turn(delivery, held + 1, posts=[more]), [more], []
                    )
                    told = (
                        Swap(held, held + 1)
                        if applied == Committed()
                        else Refusal(held, applied.revision)
                    )
                    history.append(Span(told, called, next(clock)))

        await asyncio.gather(*(rival() for _ in range(RIVALS)))

        assert linear_order(history) is not None, history
        found = await backend.load(subject())
        assert found is not None
        assert found.revision == RIVALS * TURNS_EACH

    @conforms
    async def test_a_commit_about_no_workflow_leaves_records_alone(self, backend: Backend) -> None:
        """A service's answer compares nothing, though its event has a workflow's subject."""
        await self._begun(backend)
        await backend.send(to_service("ask"))
        delivery = await self.soon(backend.receive(SERVICE), "the request")

        assert await backend.commit(delivery, answer(delivery), [], []) == Committed()
        assert await backend.load(subject()) == record(1)

    async def _begun(self, backend: Backend) -> None:
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event that begins")
        assert await backend.commit(delivery, turn(delivery, 1), [], []) == Committed()
