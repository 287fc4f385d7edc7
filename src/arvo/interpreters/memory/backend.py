"""Memory: the shortest true backend; what it holds ends with the process."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from heapq import heappop, heappush, nlargest
from typing import Any, Final, TypeAlias, final

from attrs import define, evolve, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record, Status
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.history_buffer import Past
from arvo.interpreters.delivery.queues import Lanes, fail_all, wait_in, wake_one
from arvo.interpreters.ports.backend import (
    HISTORY_PAGE_MAX,
    PAGE_MAX,
    CommitResult,
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Depth,
    Duplicate,
    Message,
    StoredWorkflow,
    Unavailable,
    timer_message,
)

# Events that may be under way before `send` waits.
QUEUE_MAX: Final = 10_000
# Dead letters, finished workflows and consumed events that are remembered: memory is all there is,
# so the oldest make way. A redelivery comes soon or never.
DEAD_LETTERS_MAX: Final = 100_000
FINISHED_MAX: Final = 100_000
SEEN_MAX: Final = 100_000
# Cleared timers that may stay on the agenda before it is made anew.
AGENDA_SLACK: Final = 64

Identity: TypeAlias = tuple[str, str, str, str]


@final
@define
class MemoryBackend:
    """Records, queues, timers and dead letters in dicts, for one process and one event loop.

    *queue_max*: how many events may be under way before `send` waits. *now*: the clock that timers
    go by. Nothing survives the process.

    No operation that changes anything awaits in its middle: that is what makes it all or nothing.
    """

    queue_max: int = QUEUE_MAX
    now: Callable[[], datetime] = utc_now
    _records: dict[str, StoredWorkflow] = field(factory=dict, init=False)
    _past: Past = field(factory=Past, init=False)
    _finished: deque[str] = field(factory=deque, init=False)
    _seen: dict[Identity, None] = field(factory=dict, init=False)
    _letters: dict[str, DeadLetter] = field(factory=dict, init=False)
    _lanes: Lanes = field(factory=Lanes, init=False)
    _timers: dict[str, tuple[datetime, Message]] = field(factory=dict, init=False)
    _agenda: list[tuple[datetime, str]] = field(factory=list, init=False)
    _alarm: asyncio.TimerHandle | None = field(default=None, init=False)
    _under_way: int = field(default=0, init=False)
    _senders: deque["asyncio.Future[None]"] = field(factory=deque, init=False)
    _resting: list["asyncio.Future[None]"] = field(factory=list, init=False)

    async def send(self, message: Message) -> None:
        """Take an event from outside; waits while `queue_max` events are under way."""
        while self._under_way >= self.queue_max:
            await wait_in(self._senders)
        self._begin(message)

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next delivery of a lane whose key nobody works on."""
        if self._agenda and self._alarm is None:
            self._watch()
        return await self._lanes.receive(queue)

    async def load(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        kept = self._records.get(subject)
        return None if kept is None else kept.record

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, send what follows and settle the delivery."""
        identity = _identity(commit.handler, commit.event)
        if identity in self._seen:
            self._settle(delivery)
            return Duplicate()
        subject = commit.event.subject if commit.record is None else commit.record.subject
        if commit.record is not None or commit.expected:
            revision = self._revision(subject)
            if revision != commit.expected:
                return Conflict(revision)
        if commit.record is not None:
            now = commit.now or self.now()
            self._remember(commit.record, now)
            self._past.add(commit, commit.record, now)
        self._seen[identity] = None
        _keep_newest(self._seen, SEEN_MAX)
        for message in messages:
            self._begin(message)
        for dead_letter in dead_letters:
            self._keep(dead_letter)
        for cleared in commit.cleared_timers:
            self._timers.pop(cleared, None)
        for timer in commit.timers:
            self._set(timer, timer_message(commit, timer))
        if len(self._agenda) > 2 * len(self._timers) + AGENDA_SLACK:
            # Timers that were cleared long before their time would pile up.
            self._agenda = sorted((due, id_) for id_, (due, _) in self._timers.items())
        if commit.timers:
            self._watch()
        self._settle(delivery)
        return Committed()

    async def workflows(
        self,
        *,
        status: Status | None = None,
        handler: str | None = None,
        unchanged_since: datetime | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
    ) -> tuple[StoredWorkflow, ...]:
        """List workflows, the one that changed last first."""
        listed = (
            kept
            for kept in self._records.values()
            if status in (None, kept.record.status)
            and handler in (None, kept.record.handler)
            and (unchanged_since is None or kept.changed < unchanged_since)
            and (after is None or _newness(kept) < _newness(after))
        )
        return tuple(nlargest(limit, listed, key=_newness))

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Give a workflow as it would be listed."""
        return self._records.get(subject)

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Give the newest lines of a workflow's history, in order."""
        return self._past.of(subject, before, limit)

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record that nobody has changed since it was read."""
        revision = self._revision(record.subject)
        if revision != expected:
            return Conflict(revision)
        now, to = self.now(), ToHandler(record.handler, record.subject)
        self._remember(record, now)
        self._past.replace_record(record, now)
        for event in (*(timer.event for timer in timers), *redeliver):
            self._seen.pop(_identity(record.handler, event), None)
        for timer in timers:
            self._set(timer, Message(timer.event, to))
        if timers:
            self._watch()
        for event in redeliver:
            self._begin(Message(event, to))
        return Committed()

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery that changed nothing of ours."""
        self._settle(delivery)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Hand a delivery out again after *delay* seconds."""
        self._lanes.settle(delivery)
        self._lanes.put_later(evolve(delivery, attempt=delivery.attempt + 1), delay)

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Settle a delivery as a dead letter."""
        self._keep(dead_letter)
        if delivery is not None:
            self._settle(delivery)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        return tuple(self._letters.values())

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Take a dead letter out and send *posts* instead."""
        if self._letters.pop(id, None) is None:
            return False
        for message in messages:
            self._begin(message)
        return True

    async def depth(self) -> Depth:
        """Say how much is under way."""
        delayed = self._lanes.delayed
        return Depth(
            ready=self._under_way - len(self._lanes.taken) - delayed,
            taken=len(self._lanes.taken),
            delayed=delayed,
            timers=len(self._timers),
        )

    async def wait_until_idle(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._resting.append(waiter)
            await waiter

    async def close(self) -> None:
        """Stop the clocks, and let nobody wait any more.

        What is delayed, or was handed out and never settled, is ready at once: who opens it again
        in this process finds it.
        """
        self._lanes.return_taken()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for delivery in self._lanes.stop_clocks():
            self._lanes.put(delivery)
        fail_all(self._senders, Unavailable("the backend was closed before it took the event"))

    def _set(self, timer: PendingTimer, message: Message) -> None:
        self._timers[timer.event.id] = timer.due, message
        heappush(self._agenda, (timer.due, timer.event.id))

    def _watch(self) -> None:
        """Send the timers that are due, and wake up for the next."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self.now()
        while self._agenda and self._agenda[0][0] <= now:
            _, id_ = heappop(self._agenda)
            timer = self._timers.pop(id_, None)
            if timer is not None:
                self._begin(timer[1])
        if self._agenda:
            # A clock that was set back is asked again, rather than trusted.
            wait = max(0.001, (self._agenda[0][0] - now).total_seconds())
            self._alarm = asyncio.get_running_loop().call_later(wait, self._watch)

    def _begin(self, message: Message) -> None:
        self._under_way += 1
        self._lanes.put(Delivery(message, 1))

    def _settle(self, delivery: Delivery) -> None:
        self._lanes.settle(delivery)
        self._under_way -= 1
        if self._under_way < self.queue_max:
            wake_one(self._senders)
        if not self._under_way:
            for waiter in self._resting:
                if not waiter.done():
                    waiter.set_result(None)
            self._resting.clear()

    def _revision(self, subject: str) -> int:
        kept = self._records.get(subject)
        return 0 if kept is None else kept.record.revision

    def _remember(self, record: Record, now: datetime) -> None:
        before = self._records.get(record.subject)
        began = now if before is None else before.began
        self._records[record.subject] = StoredWorkflow(record=record, began=began, changed=now)
        if record.status in ("done", "cancelled"):
            self._finished.append(record.subject)
            if len(self._finished) > FINISHED_MAX:
                forgotten = self._finished.popleft()
                self._records.pop(forgotten, None)
                self._past.forget(forgotten)

    def _keep(self, dead_letter: DeadLetter) -> None:
        self._letters[dead_letter.id] = dead_letter
        _keep_newest(self._letters, DEAD_LETTERS_MAX)


def _newness(kept: StoredWorkflow) -> tuple[datetime, str]:
    return kept.changed, kept.record.subject


def _identity(handler: str, event: Event[Any]) -> Identity:
    """Name a consumption: this handler, this event (by source and id), this subject."""
    return handler, event.source, event.id, event.subject


def _keep_newest(kept: dict[Identity, None] | dict[str, DeadLetter], most: int) -> None:
    if len(kept) > most:
        kept.pop(next(iter(kept)))  # type: ignore[call-overload]
