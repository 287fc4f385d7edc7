"""Timers: not before their time, once, and after a restart as well."""

from datetime import UTC, datetime

from arvo.core.commit import Commit
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.backend import Backend, Committed
from arvo.testing.conformance.kit import BackendKit, conforms
from arvo.testing.conformance.samples import WORKFLOW, alarm, subject, to_workflow, turn

# Long enough that a backend which ignores it is found, short enough to wait for.
DUE_SECONDS = 0.3


class Timers(BackendKit):
    """What the alarms of a commit owe."""

    @conforms
    async def test_a_timer_comes_when_it_is_due_and_once(self, backend: Backend) -> None:
        """I7: not early; to the workflow that set it."""
        due = await self._set(backend)
        assert (await backend.depth()).timers == (1 if self.reports_depth else 0)

        delivery = await self.soon(backend.receive(WORKFLOW), "the timer")

        assert datetime.now(UTC) >= due
        assert delivery.message.event.id == "timer"
        assert delivery.message.to == ToHandler(WORKFLOW, subject())
        assert await backend.commit(delivery, turn(delivery, 2), [], []) == Committed()
        await self.never(backend.receive(WORKFLOW), "the timer a second time")
        assert (await backend.depth()).timers == 0

    @conforms
    async def test_timers_come_in_the_order_that_they_are_due(self, backend: Backend) -> None:
        """Not in the order that they were set."""
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event that begins")
        timers = [alarm("late", 2 * DUE_SECONDS), alarm("soon", DUE_SECONDS)]
        commit = turn(delivery, 1, alarms=timers)
        assert await backend.commit(delivery, commit, [], []) == Committed()

        for number, key in enumerate(("soon", "late"), start=2):
            found = await self.soon(backend.receive(WORKFLOW), f"the timer {key}")
            assert found.message.event.id == key
            assert await backend.commit(found, turn(found, number), [], []) == Committed()

    @conforms
    async def test_a_timer_that_was_due_before_it_was_set_comes_at_once(
        self, backend: Backend
    ) -> None:
        """A worker whose clock is behind sets such timers."""
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event that begins")
        commit = turn(delivery, 1, alarms=[alarm("past", -60.0)])
        assert await backend.commit(delivery, commit, [], []) == Committed()

        found = await self.soon(backend.receive(WORKFLOW), "the timer")

        assert found.message.event.id == "past"

    @conforms
    async def test_a_timer_that_was_cleared_changes_nothing(self, backend: Backend) -> None:
        """It may come all the same; whoever waits for it need not."""
        await self._set(backend)
        await backend.send(to_workflow("next"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the next event")
        clearing: Commit = turn(delivery, 2)
        clearing = Commit(
            handler=clearing.handler,
            event=clearing.event,
            expected=clearing.expected,
            record=clearing.record,
            cleared_timers=("timer",),
        )

        assert await backend.commit(delivery, clearing, [], []) == Committed()

        await self.soon(
            backend.wait_until_idle(), "rest: nobody waits for a timer that was cleared"
        )

    @conforms
    async def test_a_timer_outlives_whoever_set_it(self, backend: Backend) -> None:
        """I7: also after a restart."""
        if not self.is_durable:
            return
        due = await self._set(backend)
        await backend.close()

        async with self.using() as after:
            delivery = await self.soon(after.receive(WORKFLOW), "the timer, after a restart")

            assert delivery.post.event.id == "timer"
            assert datetime.now(UTC) >= due

    async def _set(self, backend: Backend) -> datetime:
        """Begin a workflow that waits for a timer, and say when that is due."""
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event that begins")
        wanted = alarm("timer", DUE_SECONDS)
        assert await backend.commit(delivery, turn(delivery, 1, alarms=[wanted]), [], []) == (
            Committed()
        )
        return wanted.due
