"""Operators: workflows are listed and their records replaced, dead letters listed and redriven."""

from datetime import datetime
from typing import Any

from attrs import evolve

from arvo.core.events.identity import ID_REUSE_POLICY
from arvo.core.events.subject import workflow_id_of
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.results import Committed, Conflict, Duplicate, VersionUse
from arvo.testing.conformance.kit import NO_LISTING, BackendKit, conformance_test, skip
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    dead_letter,
    event,
    recent,
    record,
    subject,
    timer,
    to_begin,
    to_service,
    to_workflow,
    turn_commit,
)


class Operators(BackendKit):
    """Tests of `workflows`, `workflow`, `history`, and the options of `replace_record`."""

    @conformance_test
    async def test_workflows_are_listed_by_status_and_handler(self, backend: Backend) -> None:
        """The one that changed last comes first; `workflow` returns a single one."""
        if not self.supports_listing:
            skip(NO_LISTING)
        for run, status in (("one", "active"), ("two", "done"), ("three", "active")):
            await backend.send(to_workflow("begin", run=run))
            delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
            commit = turn_commit(delivery, 1, run=run, status=status)
            assert await backend.commit(delivery, commit, [], []) == Committed()

        everything = await backend.workflows()
        active = await backend.workflows(status="active", handler=WORKFLOW)

        subjects = {stored.record.subject for stored in everything}
        assert subjects == set(map(subject, ("one", "two", "three")))
        assert {stored.record.subject for stored in active} == set(map(subject, ("one", "three")))
        times = [stored.changed for stored in everything]
        assert times == sorted(times, reverse=True)
        assert await backend.workflows(limit=2) == everything[:2]
        assert await backend.workflows(after=everything[1]) == everything[2:]
        assert await backend.workflows(handler="com.unknown") == ()
        assert await backend.workflow(subject("one")) in everything
        assert await backend.workflow(subject("four")) is None

    @conformance_test
    async def test_workflows_are_found_by_their_workflow_id(self, backend: Backend) -> None:
        """Where the id was chosen; a store without a list has an index of these ids."""
        for run, status in (("one", "active"), ("two", "done")):
            await backend.send(to_begin("begin", run))
            delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
            commit = turn_commit(delivery, 1, run=run, status=status)
            assert await backend.commit(delivery, commit, [], []) == Committed()

        (found,) = await backend.workflows(workflow_id="two")

        assert found == await backend.workflow(subject("two"))
        assert found.record.subject == subject("two")
        matching = await backend.workflows(workflow_id="two", status="done", handler=WORKFLOW)
        assert matching == (found,)
        assert await backend.workflows(workflow_id="two", status="active") == ()
        assert await backend.workflows(workflow_id="two", handler="com.unknown") == ()
        assert await backend.workflows(workflow_id="two", after=found) == ()
        assert await backend.workflows(workflow_id="three") == ()

    @conformance_test
    async def test_workflows_are_selected_by_labels_and_text(self, backend: Backend) -> None:
        """Those of the newest record; a store without a list selects among the runs of one id."""
        chosen = {"extensions": {ID_REUSE_POLICY: "reject"}, "type": WORKFLOW}
        labels = {"one": {"customer": "ann", "size": 5}, "two": {"customer": "anna", "paid": True}}
        for run, given in labels.items():
            for revision, state in enumerate(({}, given), start=1):
                await backend.send(to_workflow(f"{run}-{revision}", run=run, **chosen))
                delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
                commit = turn_commit(delivery, revision, run=run, labels=state)
                assert await backend.commit(delivery, commit, [], []) == Committed()

        async def runs(**filters: Any) -> set[str]:
            found: set[str] = set()
            for id_ in (None,) if self.supports_listing else tuple(labels):
                page = await backend.workflows(workflow_id=id_, **filters)
                found |= {workflow_id_of(stored.record.subject) for stored in page}
            return found

        assert await runs(labels={"customer": "ann"}) == {"one"}
        assert await runs(labels={"customer": "ann", "size": "5"}) == {"one"}
        assert await runs(labels={"size": 5.0}) == {"one"}
        assert await runs(labels={"paid": True}) == {"two"}
        assert await runs(labels={"customer": "ann", "paid": True}) == set()
        assert await runs(labels={"customer": "an"}) == set()
        assert await runs(text="ann") == {"one", "two"}
        assert await runs(text="r=anna") == {"two"}
        assert await runs(text="tw") == {"two"}
        assert await runs(text="tw", labels={"customer": "ann"}) == set()
        assert await runs(text="%") == set()
        stored = await backend.load(subject("one"))
        assert stored is not None
        assert stored.labels == labels["one"]

    @conformance_test
    async def test_workflows_are_selected_by_version(self, backend: Backend) -> None:
        """That of the newest record: a workflow moves from the list of one version to another's."""
        chosen = {"extensions": {ID_REUSE_POLICY: "reject"}, "type": WORKFLOW}
        for run, version in (("one", "1.0.0"), ("two", "1.0.0"), ("three", "10.0.0")):
            await backend.send(to_workflow(run, run=run, **chosen))
            delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
            commit = turn_commit(delivery, 1, run=run, version=version)
            assert await backend.commit(delivery, commit, [], []) == Committed()

        async def runs(version: str, **filters: Any) -> list[str]:
            found: set[str] = set()
            for id_ in (None,) if self.supports_listing else ("one", "two", "three"):
                page = await backend.workflows(workflow_id=id_, version=version, **filters)
                found |= {workflow_id_of(stored.record.subject) for stored in page}
            return sorted(found)

        assert await runs("1.0.0") == ["one", "two"]
        assert await runs("10.0.0") == ["three"]
        assert await runs("0.0.0") == []
        assert await runs("1.0.0", handler=WORKFLOW, status="active", text="tw") == ["two"]
        assert await runs("1.0.0", status="done") == []
        migrated = record(2, run="two", version="10.0.0")
        assert await backend.replace_record(migrated, expected=1) == Committed()
        assert await runs("1.0.0") == ["one"]
        assert await runs("10.0.0") == ["three", "two"]

    @conformance_test
    async def test_the_next_run_replaces_the_record_of_an_ended_one(self, backend: Backend) -> None:
        """By compare and set, as each turn: it has the same subject, and keeps the history."""
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
        ended = turn_commit(delivery, 1, status="done")
        assert await backend.commit(delivery, ended, [], []) == Committed()
        await backend.send(to_workflow("again"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the second event")
        commit = turn_commit(delivery, 2, init="again", state={"run": 2})

        assert await backend.commit(delivery, commit, [], []) == Committed()

        assert await backend.load(subject()) == record(2, init="again", state={"run": 2})
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event once more")
        old = turn_commit(delivery, 3)
        assert await backend.commit(delivery, old, [], []) == Duplicate()

    @conformance_test
    async def test_a_history_lists_consumed_and_produced_events(self, backend: Backend) -> None:
        """In order; a limit returns the newest entries."""
        if not self.supports_listing:
            skip(NO_LISTING)
        reply = to_workflow("reply", run="other")
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
        commit = turn_commit(delivery, 1, messages=[reply])
        assert await backend.commit(delivery, commit, [reply], []) == Committed()
        assert await backend.replace_record(record(2), 1) == Committed()

        entries = await backend.history(subject())

        assert [(entry.kind, entry.revision) for entry in entries] == [
            ("consumed", 1),
            ("produced", 1),
            ("replaced", 2),
        ]
        assert [entry.event for entry in entries[:2]] == [delivery.message.event, reply.event]
        assert entries[2].record == record(2)
        assert await backend.history(subject(), limit=1) == entries[2:]
        assert await backend.history(subject(), before=entries[1].position) == entries[:1]

    @conformance_test
    async def test_replacing_a_record_redelivers_events_and_sets_timers(
        self, backend: Backend
    ) -> None:
        """Events that the workflow has consumed are delivered to it again, in their order."""
        for revision, key in enumerate(("begin", "late"), start=1):
            await backend.send(to_workflow(key))
            delivery = await self.eventually(backend.receive(WORKFLOW), "the first events")
            commit = turn_commit(delivery, revision)
            assert await backend.commit(delivery, commit, [], []) == Committed()
        redeliver, timers = [event("begin"), event("late")], [timer("timer", -1.0)]

        assert await backend.replace_record(
            record(3), 0, timers=timers, redeliver=redeliver
        ) == Conflict(2)
        await self.never(backend.receive(WORKFLOW), "an event of a refused replacement")
        assert (
            await backend.replace_record(record(3), 2, timers=timers, redeliver=redeliver)
            == Committed()
        )

        ids = []
        for revision in (4, 5, 6):
            delivery = await self.eventually(backend.receive(WORKFLOW), "events and timer")
            ids.append(delivery.message.event.id)
            commit = turn_commit(delivery, revision)
            assert await backend.commit(delivery, commit, [], []) == Committed()
        assert sorted(ids) == ["begin", "late", "timer"]
        assert ids.index("begin") < ids.index("late")

    @conformance_test
    async def test_workflows_are_counted_by_version(self, backend: Backend) -> None:
        """Those that are active or failed; the ended ones need no version any more."""
        if not self.supports_listing:
            skip(NO_LISTING)
        runs = (("1.0.0", "active"), ("2.0.0", "failed"), ("1.0.0", "active"), ("3.0.0", "done"))
        for number, (version, status) in enumerate(runs):
            await backend.send(to_workflow(f"begin-{number}", run=f"run-{number}"))
            delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
            commit = turn_commit(delivery, 1, run=f"run-{number}", version=version, status=status)
            assert await backend.commit(delivery, commit, [], []) == Committed()

        assert await backend.versions() == (
            VersionUse(WORKFLOW, "1.0.0", 2, 0),
            VersionUse(WORKFLOW, "2.0.0", 0, 1),
        )

    @conformance_test
    async def test_acts_of_operators_are_listed_newest_first(self, backend: Backend) -> None:
        """In pages, and those of one subject."""
        entries = [
            AuditEntry(
                id=f"act-{number}",
                at=datetime.fromisoformat(recent(second)),
                verb="cancel",
                subject=subject("odd" if number % 2 else "even"),
                target=None if number % 2 else f"e{number}",
                actor=None if number % 3 else "ann \u20ac",
                reason="" if number % 2 else "the customer called\n",
                detail="to 2.0.0",
            )
            for number, second in enumerate((0, 1, 1, 1, 2, 3))
        ]
        for entry in entries:
            await backend.record_act(entry)
        newest = tuple(reversed(entries))

        assert await backend.audit_log() == newest
        assert await backend.audit_log(limit=2) == newest[:2]
        assert await backend.audit_log(after=newest[2], limit=2) == newest[3:5]
        assert await backend.audit_log(subject=subject("odd")) == newest[::2]
        assert await backend.audit_log(subject=subject("odd"), after=newest[2]) == newest[4::2]
        assert await backend.audit_log(subject=subject("none")) == ()


class DeadLetters(BackendKit):
    """Tests of `dead_letter`, `dead_letters` and `redrive`."""

    @conformance_test
    async def test_a_dead_letter_preserves_all_its_fields(self, backend: Backend) -> None:
        """I8: event, reason, attempts and violation are stored; the delivery is settled."""
        await backend.send(to_service("bad"))
        delivery = await self.eventually(backend.receive(SERVICE), "the event")
        violation = ContractViolation("data", (Issue("data.key", "a number", "'bad'"),))
        failed = dead_letter("dead-1", delivery.message.event, delivery.message.to)
        failed = evolve(failed, violation=violation)

        await backend.dead_letter(delivery, failed)

        assert await backend.dead_letters() == (failed,)
        await self.eventually(backend.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_dead_letters_are_listed_oldest_first(self, backend: Backend) -> None:
        """Dead letters without a delivery are listed too."""
        times = [recent(second) for second in range(3)]
        failed = tuple(dead_letter(f"dead-{at}", event(f"e{at}"), at=at) for at in times)

        for one in failed:
            await backend.dead_letter(None, one)

        assert await backend.dead_letters() == failed

    @conformance_test
    async def test_dead_letters_are_listed_in_pages_and_by_subject(self, backend: Backend) -> None:
        """Every one once, also where the last one of a page was deleted since."""
        times = [recent(second) for second in (0, 1, 1, 1, 2, 3)]
        for number, at in enumerate(times):
            lost = event(f"e{number}", run="odd" if number % 2 else "even")
            await backend.dead_letter(None, dead_letter(f"dead-{number}", lost, at=at))
        listed, last = [], None
        for number in range(len(times)):
            [last] = await backend.dead_letters(after=last, limit=1)
            listed.append(last)
            if number % 2:
                await backend.redrive(last.id, [])

        assert [each.id for each in listed] == [f"dead-{number}" for number in range(6)]
        assert await backend.dead_letters(after=last) == ()

        for each in listed[1::2]:
            await backend.dead_letter(None, each)
        odd, second = subject("odd"), listed[1]

        assert await backend.dead_letters(subject=odd) == tuple(listed[1::2])
        assert await backend.dead_letters(subject=odd, limit=1) == (second,)
        assert await backend.dead_letters(subject=odd, after=second) == tuple(listed[3::2])
        assert await backend.dead_letters(subject=subject("none")) == ()
        assert await backend.find_dead_letter("dead-3") == listed[3]
        assert await backend.find_dead_letter("dead-9") is None

    @conformance_test
    async def test_dead_letters_are_selected_and_counted_in_groups(self, backend: Backend) -> None:
        """By cause, handler and type; the groups are those of the dead letters that are listed."""
        unfit = ContractViolation("unfit", (Issue("data.key", "a number", "'bad'"),))
        faults = (
            ("no answer after 5 s", None),
            ("no answer after 30 s", None),
            ("unfit: got 'bad'", unfit),
        )
        entries = [
            evolve(
                dead_letter(f"dead-{n}", event(f"e{n}", type=type_), to=to, at=recent(n)),
                reason=faults[n % 3][0],
                violation=faults[n % 3][1],
            )
            for n, (type_, to) in enumerate(
                [("com.kit.one", to_service("e").to)] * 4 + [("com.kit.two", None)] * 3
            )
        ]
        for entry in entries:
            await backend.dead_letter(None, entry)

        groups = await backend.dead_letter_groups()

        late, wrong = "no answer after … s", "unfit: data.key: expected a number"
        assert [(each.number, each.cause, each.handler, each.type) for each in groups] == [
            (3, late, SERVICE, "com.kit.one"),
            (2, late, None, "com.kit.two"),
            (1, wrong, None, "com.kit.two"),
            (1, wrong, SERVICE, "com.kit.one"),
        ]
        first, last = (datetime.fromisoformat(entries[n].at) for n in (0, 3))
        assert (groups[0].first, groups[0].last) == (first, last)
        assert await backend.dead_letter_groups(limit=2) == groups[:2]
        assert await backend.dead_letter_groups(handler=SERVICE) == (groups[0], groups[3])
        assert await backend.dead_letter_groups(cause=wrong, type="com.kit.two") == (groups[2],)
        assert await backend.dead_letter_groups(text="none of them") == ()

        async def listed(**filters: Any) -> list[int]:
            found = await backend.dead_letters(**filters)
            return [entries.index(each) for each in found]

        assert await listed(cause=late) == [0, 1, 3, 4, 6]
        assert await listed(handler=SERVICE, type="com.kit.one", text="a number") == [2]
        assert await listed(handler="") == [4, 5, 6]
        assert await listed(since=last, cause=late) == [3, 4, 6]
        assert await listed(cause=late, after=entries[1], limit=2) == [3, 4]
        assert await listed(subject=subject(), type="com.kit.two") == [4, 5, 6]
        assert await listed(subject=subject("none"), cause=late) == []

    @conformance_test
    async def test_a_dead_letter_is_redriven_or_deleted_once(self, backend: Backend) -> None:
        """It is removed and its messages are sent, both or neither, and only once."""
        await backend.dead_letter(None, dead_letter("dead-1", event("e1")))
        await backend.dead_letter(None, dead_letter("dead-2", event("e2")))

        assert await backend.redrive("dead-1", [to_service("e1")]) is True
        assert await backend.redrive("dead-1", [to_service("e1")]) is False
        assert await backend.redrive("dead-2", []) is True
        assert await backend.redrive("unknown", [to_service("e3")]) is False

        assert await backend.dead_letters() == ()
        redriven = await self.eventually(backend.receive(SERVICE), "the redriven event")
        assert redriven.message == to_service("e1")
        await self.never(backend.receive(SERVICE), "an event that was not redriven")
