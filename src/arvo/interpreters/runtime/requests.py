"""Requests: the events of this process whose answers a caller awaits (request-reply)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Literal, final

from attrs import define, field

from arvo.core.begin import has_chosen_id, is_keyed, may_begin_next
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.digest import content_digest
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.engine.step.admit import admit_emitted
from arvo.engine.step.doors import find_id_conflict
from arvo.engine.step.route import ToHandler, reply_addresses
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.backend import (
    AppliesBackpressure,
    Backend,
    FindsRefusals,
    find_outputs,
)
from arvo.interpreters.ports.errors import Corrupt, NoReply, Unavailable
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import PAGE_MAX, Duplicate
from arvo.interpreters.runtime.asks import is_asked, poll_for_signal_answer, shortest_pause
from arvo.interpreters.runtime.operations import history_entries

# The first and the longest pause between two reads of a workflow whose answer a caller awaits.
POLL_SECONDS_MIN: Final = 0.05
POLL_SECONDS_MAX: Final = 1.0
# How long a request that has timed out waits for the store, to report how far its event has come.
PROGRESS_SECONDS_MAX: Final = 1.0
# Answers that are remembered: the delivery of one follows the record that shows it in moments.
ANSWERED_MAX: Final = 1_000


@final
@define(eq=False)
class PendingReply:
    """An event whose answer a caller awaits.

    *consumed* is set when the event turns out to be a duplicate: no new answer will come.
    """

    event: Event[Any]
    answer: "asyncio.Future[Event[Any]]"
    consumed: asyncio.Event = field(factory=asyncio.Event, init=False)
    on_consumed: Callable[[], None] = field(default=lambda: None, init=False)
    # The id of the answer that is being committed, and the future of a caller that waits for that.
    claimed_by: str | None = field(default=None, init=False)
    _settled: "asyncio.Future[None] | None" = field(default=None, init=False)

    async def settled(self) -> None:
        """Wait while an answer is being committed."""
        if self.claimed_by is not None:
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    def settle(self) -> None:
        """Note that no answer is being committed any more."""
        self.claimed_by = None
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def resolve(self, outcome: Event[Any] | Exception) -> None:
        """Set the answer, or the exception that explains its absence. The first one counts."""
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)

    @property
    def answer_id(self) -> str | None:
        """The id of the answer; None if there is none, or an exception in its place."""
        done = self.answer.done() and not self.answer.cancelled()
        return self.answer.result().id if done and self.answer.exception() is None else None


@final
@define(eq=False)
class Requests:
    """The pending replies, by the id of the event and the subject that its answer will have.

    A worker calls `on_answered`, `on_refused` and `on_duplicate` for every event, requested or not.
    """

    system: System
    backend: Backend
    _pending: dict[tuple[str, str], PendingReply] = field(factory=dict, init=False)
    # The ids of the last answers: one that was found in a record may be delivered after that.
    _answered: dict[tuple[str, str], str] = field(factory=dict, init=False)
    # Checked once: `isinstance` with a protocol is slow.
    _bounded: AppliesBackpressure | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        backend = self.backend
        self._bounded = backend if isinstance(backend, AppliesBackpressure) else None

    async def ask(
        self, event: Event[Any], timeout: float, send: Callable[[Event[Any]], Awaitable[None]]
    ) -> Event[Any]:
        """Send an event and wait for its answer (see `Runtime.request`)."""
        if is_keyed(event):
            issue = Issue("event", "one of a contract without a key: use `send`", repr(event.type))
            raise Violated(ExecutionViolation("several senders share the run of a key", issue))
        key = event.id, _answer_subject(event)
        shared = self._pending.get(key)
        if shared is not None and not shared.answer.cancelled():
            return await self._join(shared, event, timeout, send)
        pending = PendingReply(event, asyncio.get_running_loop().create_future())
        self._pending[key] = pending
        stage: Literal["waiting for room", "sending", "sent"] = "waiting for room"
        try:
            async with asyncio.timeout(timeout):
                if self._bounded is not None:
                    await self._bounded.wait_for_room()
                stage = "sending"
                await send(event)
                stage = "sent"
                # An answer that came over a wire or from a store has a payload of plain JSON.
                return admit_emitted(self.system, await self._answer(pending))
        except TimeoutError:
            # If the answer is in the hands of the backend, no other way leads to it.
            await pending.settled()
            if pending.answer.done() and not pending.answer.cancelled():
                # The event was handled while its sending still waited for a slow store.
                return admit_emitted(self.system, pending.answer.result())
            raise await self._timeout_error(event, timeout, stage) from None
        finally:
            if self._pending.get(key) is pending:
                del self._pending[key]
            if pending.answer_id is not None:
                self._answered[key] = pending.answer_id
                if len(self._answered) > ANSWERED_MAX:
                    del self._answered[next(iter(self._answered))]

    async def _join(
        self,
        shared: PendingReply,
        event: Event[Any],
        timeout: float,
        send: Callable[[Event[Any]], Awaitable[None]],
    ) -> Event[Any]:
        """Wait for the answer to the same begin or signal, which another caller awaits; if that
        one gives up, send it again.

        Raises `Violated` for other events: their callers could not be told apart.
        """
        is_same = content_digest(shared.event) == content_digest(event)
        is_repeatable = has_chosen_id(event) or is_asked(self.system, event)
        if not is_repeatable or not is_same:
            issue = Issue("id", "an id that no pending request has", repr(event.id))
            raise Violated(ExecutionViolation("this event is being requested already", issue))
        clock = asyncio.get_running_loop().time
        until = clock() + timeout
        await asyncio.wait([shared.answer], timeout=timeout)
        if not shared.answer.done():
            raise await self._timeout_error(event, timeout, "sent")
        if shared.answer.cancelled():
            return await self.ask(event, max(until - clock(), 0.0), send)
        return admit_emitted(self.system, shared.answer.result())

    def on_answered(self, event: Event[Any]) -> bool:
        """Resolve the request that *event* answers; return False if there is none here."""
        key = event.parentid or "", event.subject
        pending = self._pending.get(key)
        # Another sender may have given its own event the same id.
        if pending is not None and event.to in reply_addresses(pending.event):
            pending.resolve(event)
            return pending.answer_id == event.id
        return self._answered.get(key) == event.id

    def claim(self, event: Event[Any]) -> bool:
        """Return whether a request waits for *event*, which is committed next.

        The request then waits for `on_reply` or `release`, also where its time is over.
        """
        pending = self._pending.get((event.parentid or "", event.subject))
        if pending is None or pending.claimed_by is not None or pending.answer.done():
            return False
        if event.to not in reply_addresses(pending.event):
            return False
        pending.claimed_by = event.id
        return True

    def on_reply(self, event: Event[Any]) -> None:
        """Resolve the request that has claimed *event*, which was committed."""
        pending = self._claimed(event)
        if pending is not None:
            pending.resolve(event)
            pending.settle()

    def release(self, event: Event[Any]) -> None:
        """Let the request that has claimed *event* wait on: it was not committed."""
        pending = self._claimed(event)
        if pending is not None:
            pending.settle()

    def on_refused(self, event: Event[Any], error: Exception) -> None:
        """Fail the request for *event*: no answer will come."""
        pending = self._pending.get((event.id, _answer_subject(event)))
        # Another event may have the same id, of this sender or of another one.
        if pending is not None and content_digest(pending.event) == content_digest(event):
            pending.resolve(error)

    def on_duplicate(self, event: Event[Any]) -> None:
        """Note that *event* was consumed before. A mere redelivery changes nothing."""
        pending = self._pending.get((event.id, _answer_subject(event)))
        if pending is not None and pending.event is event:
            pending.consumed.set()
            pending.on_consumed()
            if not self._begins_workflow(event) and not is_asked(self.system, event):
                pending.resolve(NoReply(f"event {event.id!r} was consumed before"))

    def fail(self, error: Exception) -> None:
        """Fail every pending request."""
        for pending in self._pending.values():
            pending.resolve(error)

    def stop(self) -> None:
        """Fail every pending request, because the runtime stops."""
        for pending in self._pending.values():
            if not pending.answer.done():
                text = f"the runtime stopped before event {pending.event.id!r} was answered"
                pending.resolve(NoReply(text))
                # The caller may be gone, and asyncio logs an exception that is never retrieved.
                pending.answer.exception()

    def _shortest_pause(self) -> float:
        """Return the shortest pause between two reads of a workflow, in seconds."""
        return shortest_pause(len(self._pending))

    def _claimed(self, event: Event[Any]) -> PendingReply | None:
        pending = self._pending.get((event.parentid or "", event.subject))
        return pending if pending is not None and pending.claimed_by == event.id else None

    async def _answer(self, pending: PendingReply) -> Event[Any]:
        is_signal = is_asked(self.system, pending.event)
        if not is_signal and not self._begins_workflow(pending.event):
            return await pending.answer
        tasks: list[asyncio.Task[None]] = []

        def start() -> None:
            # Not from the start: most answers come sooner.
            if not tasks:
                work = (
                    self._poll_for_signal_answer(pending)
                    if is_signal
                    else poll_for_answer(self.backend, pending, self._shortest_pause)
                )
                name, on_failure = "arvo poll for answer", pending.resolve
                tasks.append(supervise(work, name=name, on_failure=on_failure))

        pause = max(POLL_SECONDS_MIN, self._shortest_pause())
        timer = asyncio.get_running_loop().call_later(pause, start)
        pending.on_consumed = start
        try:
            if pending.consumed.is_set():
                start()
            return await pending.answer
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll_for_signal_answer(self, pending: PendingReply) -> None:
        try:
            callers = self._pending.__len__
            pending.resolve(await poll_for_signal_answer(self.backend, pending.event, callers))
        except (NoReply, Corrupt) as error:
            pending.resolve(error)

    def _begins_workflow(self, event: Event[Any]) -> bool:
        handler = self.system.handler_at(event.to)
        return event.type == event.to and (handler is None or is_workflow(handler))

    async def _timeout_error(self, event: Event[Any], timeout: float, stage: str) -> Exception:
        if stage == "waiting for room":
            reason = f"the backend had no room, or did not answer, within {timeout} s"
            text = f"event {event.id!r} was not taken: {reason}"
            return Unavailable(text)
        if stage == "sending":
            text = (
                f"event {event.id!r} was still being sent after {timeout} s and may have been "
                "taken: send the same event again, it will be handled once"
            )
        else:
            text = f"event {event.id!r} was not answered within {timeout} s"
        return TimeoutError(f"{text}; {await self._progress(event)}")

    async def _progress(self, event: Event[Any]) -> str:
        """Describe how far an event has come."""
        try:
            async with asyncio.timeout(PROGRESS_SECONDS_MAX):
                record = await self.backend.load(event.subject)
                dead_letters = await self.backend.dead_letters(subject=event.subject)
        except (Unavailable, Corrupt, TimeoutError):
            return "the store does not answer"
        text = ""
        if dead_letters:
            # First, because a dead letter explains more than a pending request.
            own = [entry for entry in dead_letters if entry.event.id == event.id]
            which, entry = ("its own", own[-1]) if own else ("the first", dead_letters[0])
            number = "many" if len(dead_letters) == PAGE_MAX else len(dead_letters)
            text = f"{number} of its events are dead letters, {which}: {entry.reason}; "
        if record is None:
            return f"{text}no record is stored for its subject"
        text += f"its workflow is {record.status}"
        waiting = list(record.open_requests)
        return f"{text} and waits for answers to {waiting}" if waiting else text


async def poll_for_answer(
    backend: Backend, pending: PendingReply, shortest_pause: Callable[[], float] = lambda: 0.0
) -> None:
    """Read the workflow that an event begins until it has ended, and resolve the request.

    Any process may have delivered the answer, and long ago if the event was sent before. If the
    store no longer has the workflow, the answer may still be delivered to this process.
    """
    event, pause = pending.event, POLL_SECONDS_MIN
    while not pending.answer.done():
        was_consumed = pending.consumed.is_set()
        try:
            is_elsewhere = not was_consumed and await _is_duplicate_elsewhere(backend, event)
            record = await backend.load(event.subject)
            if is_elsewhere and record is not None and record.init != event.id:
                pending.consumed.set()
                was_consumed = True
            is_its = record is not None and _is_begun_by(record, event, was_consumed)
            # One that may begin the next run is refused by its turn alone: this run may end before.
            is_final = record is not None and not may_begin_next(event)
            conflict = find_id_conflict(record, event) if record and is_final else None
            if conflict is not None:
                # Its answer is for the sender of the other event.
                pending.resolve(Violated(conflict))
            elif was_consumed and not is_its:
                pending.resolve(NoReply(f"event {event.id!r} was consumed before"))
            elif record is not None and is_its and record.status != "active":
                answer = await _find_answer(backend, event)
                if answer is not None:
                    pending.resolve(answer)
                elif was_consumed:
                    text = "was answered before, but the answer is no longer stored"
                    pending.resolve(NoReply(f"event {event.id!r} {text}"))
                return
        except Unavailable:
            pass
        except Corrupt as error:
            pending.resolve(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(pause, shortest_pause())):
                # A duplicate wakes it at once, the first time; after that it only pauses.
                await (asyncio.sleep(POLL_SECONDS_MAX) if was_consumed else pending.consumed.wait())
        pause = min(2 * pause, POLL_SECONDS_MAX)


async def _is_duplicate_elsewhere(backend: Backend, event: Event[Any]) -> bool:
    """Return whether another process has consumed a begin that may begin the next run.

    Its content does not show that: the run that has it may have ended before. Read before the
    record: a begin that is consumed in between may have begun the next run.
    """
    if not may_begin_next(event) or not isinstance(backend, FindsRefusals):
        return False
    message = Message(event, ToHandler(event.type, event.subject))
    return isinstance(await backend.find_consumption(message), Duplicate)


def _is_begun_by(record: Record, event: Event[Any], was_consumed: bool) -> bool:
    """Return whether *event* has begun the run of *record*, or is the same begin by content."""
    if record.init == event.id or not has_chosen_id(event):
        return record.init == event.id
    # Before its turn, one that may begin the next run has only the content of the last one.
    is_certain = was_consumed or not may_begin_next(event)
    return is_certain and record.init_digest == content_digest(event)


async def _find_answer(backend: Backend, init: Event[Any]) -> Event[Any] | None:
    """Return the last event that a workflow has produced for the sender of its *init* event."""
    addresses = reply_addresses(init)
    if (retaining := find_outputs(backend)) is not None:
        outputs = await retaining.produced(init.subject)
        return next((event for event in reversed(outputs) if event.to in addresses), None)
    async for entry in history_entries(backend, init.subject):
        if entry.kind == "produced" and entry.event is not None and entry.event.to in addresses:
            return entry.event
    return None


def _answer_subject(event: Event[Any]) -> str:
    """Return the subject of an event's answer: that of its parent workflow if it begins a child."""
    parent = event.raw.get(PARENT_SUBJECT)
    return parent if isinstance(parent, str) else event.subject
