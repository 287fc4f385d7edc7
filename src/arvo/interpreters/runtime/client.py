"""Client: sends events to the workflows on a backend, and inspects and operates them."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from arvo.core.events.event import Event
from arvo.core.events.uri import is_uri
from arvo.core.history import HistoryEntry
from arvo.core.record import Record, Status
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.history.replay import Replay, replay
from arvo.engine.history.typed import typed_entry
from arvo.engine.query import query
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler, Unroutable, route
from arvo.engine.system.system import System, require_system
from arvo.engine.workflow_tree import Tree
from arvo.interpreters.ports.backend import Backend, SupportsPing
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Destination, Message
from arvo.interpreters.ports.process import check_process
from arvo.interpreters.ports.results import PAGE_MAX, Depth, StoredWorkflow
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.runtime.description import WorkflowDescription, describe
from arvo.interpreters.runtime.operations import (
    find_record,
    history_entries,
    load_record,
    load_tree,
    make_cancellation,
    migrate_workflow,
    revive_workflow,
    workflow_not_found,
)
from arvo.interpreters.services.doors import refuse_outside
from arvo.interpreters.services.early_signals import EarlySignals

# How long a probe waits for the backend before it reports it as unreachable.
PROBE_SECONDS_MAX: Final = 5.0
# A subject that no workflow has.
_PROBE_SUBJECT: Final = "arvo.probe"


class Client:
    """A client for a system on a backend: it sends events and inspects, cancels, migrates, revives
    and replays workflows. It processes nothing; a `Runtime` does.

    *backend*: a URL or a `Backend`. Use it as `async with Client(system, url) as client`. A client
    that only inspects needs no handlers: `Client(System([]), url)`. Its operations raise
    `Unavailable` and `Corrupt` as the backend does.
    """

    def __init__(self, system: System, backend: str | Backend) -> None:
        require_system(system, type(self).__name__)
        self.system = system
        self._own_backend = backend_from_url(backend)
        self._early = EarlySignals(lambda: self._backend)
        self._process = os.getpid()

    async def __aenter__(self) -> Self:
        self._process = os.getpid()
        return self

    @property
    def _backend(self) -> Backend:
        """The backend; raises `Violated` in a process that was forked while it was in use."""
        check_process(self._process, type(self).__name__)
        return self._own_backend

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._backend.close()

    async def send(self, event: Event[Any]) -> None:
        """Send an event into the system. When this returns, the backend has accepted it.

        Waits while the queue is full. Raises `Violated` as `check` does, and `TooLarge` for an
        event above 1 MiB, or one that the broker does not accept.
        """
        await self._admit(event)
        await self._send(event)

    async def check(self, event: Event[Any]) -> None:
        """Raise `Violated` if *event* may not enter the system from outside.

        An outsider may begin workflows, address handlers, send signals, and answer an open request
        that left by a domain. The event must fit its contract. An event of a version that only
        another worker serves passes. Raises `TooEarly`, a `Violated`, if too many signals wait for
        workflows that have not started.
        """
        await self._refuse(event, partial(self._early.admit, counts=False))

    async def _admit(self, event: Event[Any]) -> None:
        """Check an event that is sent next; an early signal takes one of the places."""
        await self._refuse(event, self._early.admit)

    async def _refuse(
        self, event: Event[Any], admit: Callable[[Event[Any]], Awaitable[None]]
    ) -> None:
        self._destination(event)
        violation = await refuse_outside(self.system, self._backend, event, admit=admit)
        if violation is not None:
            raise Violated(violation)

    async def _send(self, event: Event[Any]) -> None:
        """Send an event without asking whether its sender is inside."""
        await self._backend.send(Message(event, self._destination(event)))

    async def workflows(
        self,
        *,
        status: Status | None = None,
        type: str | None = None,  # noqa: A002 - the name of the event attribute
        unchanged_since: datetime | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
    ) -> tuple[StoredWorkflow, ...]:
        """List at most *limit* workflows, the most recently changed first.

        *status*, *type* (`arvo.orc.order.fulfil`): only those. *unchanged_since*: only those that
        have not changed since; this finds workflows that make no progress. *after*: the last
        workflow of the previous page.
        """
        if type is not None and not is_uri(type):
            return ()
        return await self._backend.workflows(
            status=status,
            handler=type,
            unchanged_since=unchanged_since,
            after=after,
            limit=limit,
        )

    async def describe(self, subject: str) -> WorkflowDescription:
        """Describe the state of a workflow: what it waits for, since when, and why it failed.

        Raises `Violated` if there is no such workflow.
        """
        stored = await self._backend.workflow(subject) if is_uri(subject) else None
        if stored is None:
            raise workflow_not_found(subject)
        history = await self._backend.history(subject)
        return describe(stored, history, await self.dead_letters(subject=subject))

    async def history(self, subject: str) -> tuple[HistoryEntry, ...]:
        """Return every event that a workflow has consumed and produced, oldest first.

        Their data are payload classes where this system has the contract of the sender or of the
        receiver, and frozen mappings elsewhere: the same on every backend.
        """
        entries = [entry async for entry in history_entries(self._backend, subject)]
        return tuple(typed_entry(self.system, entry) for entry in reversed(entries))

    async def record(self, subject: str) -> Record | None:
        """Return the stored record of a workflow, or None."""
        return await find_record(self._backend, subject)

    async def query(self, subject: str) -> Any:
        """Return the state of a workflow, in the form that its handler defines (see `arvo.query`).

        Raises `Violated` if there is no such workflow, or if its state does not fit the handler.
        """
        return query(self.system, await load_record(self._backend, subject))

    async def tree(self, subject: str) -> Tree:
        """Return the whole tree of workflows that a workflow belongs to (see `arvo.tree`)."""
        return await load_tree(self._backend, subject)

    async def cancel(self, subject: str, reason: str, *, by: str | None = None) -> None:
        """Cancel a workflow. It takes a last turn, which sends its compensations, cancels its
        children, and sends its initiator a system error with the name `Cancelled`.

        *by*: the subject of the workflow that began it, in another system, if that one asks for
        the cancellation. It waits no more, and gets no system error.

        Raises `Violated` if *subject* names no workflow of this system. A workflow that has ended
        is not changed.
        """
        await self._send(make_cancellation(self.system, subject, reason, by))

    async def migrate(
        self, subject: str, *, to: str, state: Callable[[Any], Any] | None = None
    ) -> Record:
        """Move an active workflow to another version, and return its record (see `arvo.migrate`).

        It acts between two turns: a turn that is in progress meanwhile is taken again, on the new
        record. Raises `Violated` if the workflow cannot be moved.
        """
        return await migrate_workflow(self.system, self._backend, subject, to=to, state=state)

    async def revive(self, subject: str, *, after_compensation: bool = False) -> Record:
        """Let a failed workflow continue from its last good record, and return that.

        The event on which it failed is delivered once more, and its timers are set again; a timer
        that was due in the meantime is delivered at once. Events that arrived after the failure are
        dead letters; redrive them. The initiator was sent the failure and may receive a completion
        now. If the failure sent compensations, their effect stays, and the state does not show it:
        that raises `Violated` unless *after_compensation* allows it.

        Raises `Violated` if the workflow has not failed, or if its history has lost the event.
        """
        return await revive_workflow(
            self.system, self._backend, subject, after_compensation=after_compensation
        )

    async def replay(
        self,
        subject: str,
        *,
        until: int | datetime | None = None,
        effects: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
    ) -> Replay:
        """Replay a workflow's turns with this system, without side effects (see `arvo.replay`)."""
        record = await load_record(self._backend, subject)
        history = await self.history(subject)
        return replay(self.system, history, until=until, record=record, effects=effects)

    async def is_reachable(self) -> bool:
        """Return whether the backend answers a small request within `PROBE_SECONDS_MAX`.

        On SQLite the request is a write, so it fails on a full disk.
        """
        try:
            async with asyncio.timeout(PROBE_SECONDS_MAX):
                if isinstance(self._backend, SupportsPing):
                    await self._backend.ping()
                else:
                    await self._backend.load(_PROBE_SUBJECT)
        except (Unavailable, Corrupt, TimeoutError):
            return False
        return True

    async def depth(self) -> Depth:
        """Return how many messages are under way, in all processes."""
        return await self._backend.depth()

    async def dead_letters(
        self,
        *,
        after: DeadLetter | None = None,
        limit: int = PAGE_MAX,
        subject: str | None = None,
    ) -> tuple[DeadLetter, ...]:
        """List at most *limit* events that could not be processed, oldest first.

        *after*: the last dead letter of the previous page; it may have been deleted since.
        *subject*: only those whose event has this subject.
        """
        if subject is not None and not is_uri(subject):
            return ()
        return await self._backend.dead_letters(after=after, limit=limit, subject=subject)

    async def redrive_dead_letter(self, id: str) -> None:  # noqa: A002 - as `DeadLetter.id`
        """Send the event of a dead letter again, and delete the dead letter.

        Raises `Violated` if there is no dead letter with that *id*, or no handler for its event.
        """
        dead_letter = await self._backend.find_dead_letter(id) if id.isprintable() else None
        if dead_letter is None:
            raise _dead_letter_not_found(id)
        to = dead_letter.to or self._destination(dead_letter.event)
        if not await self._backend.redrive(id, [Message(dead_letter.event, to)]):
            raise _dead_letter_not_found(id)

    async def delete_dead_letter(self, id: str) -> None:  # noqa: A002 - as `DeadLetter.id`
        """Delete a dead letter; raises `Violated` if there is none with that *id*."""
        if not id.isprintable() or not await self._backend.redrive(id, []):
            raise _dead_letter_not_found(id)

    def _destination(self, event: Event[Any]) -> Destination:
        match route(self.system, event, None):
            case ToHandler() | ToDomain() | ToCaller() as to:
                return to
            case Unroutable():
                known = ", ".join(self.system.addresses) or "none"
                issue = Issue("to", f"the address of a handler ({known})", repr(event.to))
                raise Violated(ConfigViolation(f"no handler answers event {event.id!r}", issue))


def _dead_letter_not_found(id_: str) -> Violated:
    issue = Issue("id", "the id of a dead letter (see dead_letters)", repr(id_))
    return Violated(ConfigViolation("there is no such dead letter", issue))
