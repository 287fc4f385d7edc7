"""Timers: they fire once, not before their time, and after a restart too."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from attrs import evolve

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.protocol import Timer
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.results import Committed
from arvo.testing.conformance.kit import NO_LISTING, NOT_DURABLE, BackendKit, conformance_test, skip
from arvo.testing.conformance.kit.samples import WORKFLOW, subject, timer, to_workflow, turn_commit

# Long enough to detect a backend that ignores it, short enough to wait for.
DUE_SECONDS = 0.3


class Timers(BackendKit):
    """Tests of the timers of a commit."""

    @conformance_test
    async def test_a_timer_fires_once_and_not_early(self, backend: Backend) -> None:
        """I7: its event goes to the workflow that set it."""
        due = await self._set_timer(backend)
        depth = await backend.depth()
        # On a stalled machine it may have fired meanwhile.
        if datetime.now(UTC) < due:
            assert depth.timers == (1 if self.reports_depth else 0)

        delivery = await self.eventually(backend.receive(WORKFLOW), "the timer")

        assert datetime.now(UTC) >= due
        assert delivery.message.event.id == "timer"
        assert delivery.message.to == ToHandler(WORKFLOW, subject())
        assert await backend.commit(delivery, turn_commit(delivery, 2), [], []) == Committed()
        await self.never(backend.receive(WORKFLOW), "the timer a second time")
        assert (await backend.depth()).timers == 0

    @conformance_test
    async def test_timers_are_listed_by_their_due_time(self, backend: Backend) -> None:
        """The next one first, then by id, in pages; one that was cleared is not listed."""
        if not self.supports_listing:
            skip(NO_LISTING)
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
        one, last = timer("d", 600), timer("c", 900)
        set_ = [last, timer("a", 300), one, evolve(timer("b", 600), due=one.due)]
        commit = _with_timers(turn_commit(delivery, 1, timers=set_), set_)
        assert await backend.commit(delivery, commit, [], []) == Committed()
        await backend.send(to_workflow("next"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the second event")
        cleared = evolve(turn_commit(delivery, 2), cleared_timers=("c",))
        cleared = _with_timers(cleared, set_[1:])
        assert await backend.commit(delivery, cleared, [], []) == Committed()

        timers = await backend.timers()

        due = {each.event.id: each.due for each in set_}
        assert [each.id for each in timers] == ["a", "b", "d"]
        assert {(each.subject, each.handler) for each in timers} == {(subject(), WORKFLOW)}
        assert all(abs(each.due - due[each.id]) < timedelta(seconds=1) for each in timers)
        assert await backend.timers(limit=2) == timers[:2]
        assert await backend.timers(after=timers[0], handler=WORKFLOW) == timers[1:]
        assert await backend.timers(handler="com.unknown") == ()

    @conformance_test
    async def test_timers_fire_in_order_of_their_due_time(self, backend: Backend) -> None:
        """The order in which they were set does not matter."""
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
        late, soon = timer("late", 2 * DUE_SECONDS), timer("soon", DUE_SECONDS)
        commit = turn_commit(delivery, 1, timers=[late, soon])
        assert await backend.commit(delivery, commit, [], []) == Committed()

        fired_ids: list[str] = []
        were_both_due = []
        for number in (2, 3):
            fired = await self.eventually(backend.receive(WORKFLOW), "a timer")
            were_both_due.append(datetime.now(UTC) >= late.due)
            fired_ids.append(fired.message.event.id)
            assert await backend.commit(fired, turn_commit(fired, number), [], []) == Committed()

        # On a stalled machine both are due when the first one is delivered: in any order.
        assert fired_ids == ["soon", "late"] or were_both_due[0]
        assert sorted(fired_ids) == ["late", "soon"]

    @conformance_test
    async def test_a_timer_due_in_the_past_fires_at_once(self, backend: Backend) -> None:
        """A worker whose clock is slow sets such timers."""
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
        commit = turn_commit(delivery, 1, timers=[timer("past", -60.0)])
        assert await backend.commit(delivery, commit, [], []) == Committed()

        fired = await self.eventually(backend.receive(WORKFLOW), "the timer")

        assert fired.message.event.id == "past"

    @conformance_test
    async def test_a_cleared_timer_does_not_block_idling(self, backend: Backend) -> None:
        """Its event may still be delivered, but `wait_until_idle` does not wait for it."""
        # On a slow machine a shorter one would be due before it is cleared.
        await self._set_timer(backend, 3_600.0)
        await backend.send(to_workflow("next"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the next event")
        commit = evolve(turn_commit(delivery, 2), cleared_timers=("timer",))

        assert await backend.commit(delivery, commit, [], []) == Committed()

        await self.eventually(
            backend.wait_until_idle(), "the backend is idle: it ignores a cleared timer"
        )

    @conformance_test
    async def test_a_timer_survives_a_restart(self, backend: Backend) -> None:
        """I7: a durable backend stores its timers."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        due = await self._set_timer(backend)
        await backend.close()

        async with self.session() as restarted:
            delivery = await self.eventually(
                restarted.receive(WORKFLOW), "the timer, after a restart"
            )

            assert delivery.message.event.id == "timer"
            assert datetime.now(UTC) >= due

    async def _set_timer(self, backend: Backend, seconds: float = DUE_SECONDS) -> datetime:
        """Start a workflow that sets a timer, and return the time at which it is due."""
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the first event")
        pending = timer("timer", seconds)
        commit = turn_commit(delivery, 1, timers=[pending])
        assert await backend.commit(delivery, commit, [], []) == Committed()
        return pending.due


def _with_timers(commit: Commit, timers: Sequence[PendingTimer]) -> Commit:
    """Return a commit whose record has the timers that are pending, as that of a workflow has."""
    assert commit.record is not None
    pending = {it.event.id: Timer(it.event.id, it.due.isoformat(), EMPTY) for it in timers}
    return evolve(commit, record=evolve(commit.record, timers=FrozenDict(pending)))
